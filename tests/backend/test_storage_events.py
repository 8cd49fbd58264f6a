"""The log of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Event, Outcome
from privface_backend.storage.database import Database
from privface_backend.storage.events import EventLog
from support.gallery import START
from support.mqtt import make_event


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "privface.db")
    yield opened
    opened.close()


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database)


def event(seq: int, **changes: object) -> Event:
    return replace(make_event(seq, now=START + timedelta(minutes=seq)), **changes)  # type: ignore[arg-type]  # fields


def ids(events: object) -> list[str]:
    assert isinstance(events, list)
    return [found.event_id for found in events]


def test_an_event_comes_back_as_it_was(log: EventLog) -> None:
    stored = event(
        1, box=(0.1, 0.2, 0.3, 0.4), votes={"known": 2, "unknown": 1}, person="Zoë \U0001f600", score=0.5, margin=0.25
    )
    log.append(stored)
    assert log.get(stored.event_id) == stored
    assert log.get("another") is None


def test_the_newest_come_first(log: EventLog) -> None:
    log.extend(event(number) for number in range(5))
    assert ids(log.list()) == [f"event-{number}" for number in (4, 3, 2, 1, 0)]
    assert ids(log.list(limit=2)) == ["event-4", "event-3"]
    assert log.count() == 5


def test_paging_backward_and_forward_meets_every_event_once(log: EventLog) -> None:
    log.extend(event(number) for number in range(7))
    page = log.list(limit=3)
    assert ids(page) == ["event-6", "event-5", "event-4"]
    older = log.list(limit=3, before="event-4")
    assert ids(older) == ["event-3", "event-2", "event-1"]
    assert ids(log.list(limit=3, before="event-1")) == ["event-0"]
    assert ids(log.list(limit=3, before="event-0")) == []
    assert ids(log.list(limit=2, after="event-2")) == ["event-4", "event-3"]
    assert ids(log.list(after="event-6")) == []
    with pytest.raises(PrivFaceError) as error:
        log.list(before="event-99")
    assert error.value.code is ErrorCode.EVENT_NOT_FOUND


def test_filters(log: EventLog) -> None:
    log.extend(
        (
            event(0),
            event(1, camera="garden"),
            event(2, outcome=Outcome.UNKNOWN, person_id=None, person=None),
            event(3, person_id="somebody"),
        )
    )
    assert ids(log.list(camera="garden")) == ["event-1"]
    assert ids(log.list(outcome=Outcome.UNKNOWN)) == ["event-2"]
    assert ids(log.list(person_id="somebody")) == ["event-3"]
    assert ids(log.list(since=START + timedelta(minutes=2))) == ["event-3", "event-2"]
    assert ids(log.list(camera="door", outcome=Outcome.KNOWN, before="event-3")) == ["event-0"]


def test_an_event_told_again_takes_the_older_one_s_place(log: EventLog) -> None:
    log.extend((event(1), event(2)))
    log.append(event(1, faces=4))
    assert ids(log.list()) == ["event-2", "event-1"]
    stored = log.get("event-1")
    assert stored is not None
    assert stored.faces == 4


def test_all_of_several_or_none(log: EventLog) -> None:
    def events() -> Iterator[Event]:
        yield event(1)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        log.extend(events())
    assert log.count() == 0


def test_forgetting_a_person_removes_what_names_them(log: EventLog, database: Database) -> None:
    log.extend(event(number, person_id="ada", person="Ada Unforgettable") for number in range(30))
    log.append(event(30, person_id="grace", person="Grace"))
    assert log.forget_person("ada") == 30
    assert log.forget_person("ada") == 0
    assert ids(log.list()) == ["event-30"]
    held = b"".join(file.read_bytes() for file in database.path.parent.glob("privface.db*"))
    assert b"Unforgettable" not in held


def test_purging_removes_what_is_older(log: EventLog) -> None:
    log.extend(event(number) for number in range(10))
    assert log.purge(START + timedelta(minutes=4)) == 4
    assert log.count() == 6
    log.append(event(11))
    assert ids(log.list(limit=2)) == ["event-11", "event-9"]


def test_texts_that_no_utf_8_can_hold(log: EventLog) -> None:
    log.append(event(1, camera="door \ud800", event_id="\udc00"))
    assert [found.camera for found in log.list(camera="door \ud800")] == ["door \ud800"]
    assert log.get("\udc00") is not None


def test_a_page_has_its_limit(log: EventLog) -> None:
    log.extend(event(number) for number in range(1005))
    assert len(log.list(limit=5000)) == 1000
    assert len(log.list(limit=0)) == 1
