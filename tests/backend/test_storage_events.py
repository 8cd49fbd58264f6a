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
from support.keys import KEYS
from support.mqtt import make_event


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "privface.db", KEYS)
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
    assert log.forget_person("ada") == (30, 0)
    assert log.forget_person("ada") == (0, 0)
    assert ids(log.list()) == ["event-30"]
    held = b"".join(file.read_bytes() for file in database.path.parent.glob("privface.db*"))
    assert b"Unforgettable" not in held


def test_texts_that_no_utf_8_can_hold(log: EventLog) -> None:
    log.append(event(1, camera="door \ud800", event_id="\udc00"))
    assert [found.camera for found in log.list(camera="door \ud800")] == ["door \ud800"]
    assert log.get("\udc00") is not None


def test_a_page_has_its_limit(log: EventLog) -> None:
    log.extend(event(number) for number in range(1005))
    assert len(log.list(limit=5000)) == 1000
    assert len(log.list(limit=0)) == 1


def test_an_explanation_comes_back_as_it_was_and_goes_with_its_event(log: EventLog, database: Database) -> None:
    why = {"nearest": [{"person_id": "ada", "score": 0.25}], "stranger": None, "text": "Zoë \U0001f600"}
    log.extend((event(1, visit_id="visit-1"), event(2)), {"event-1": why, "event-9": {"nearest": []}})
    assert log.explanation("event-1") == why
    assert log.explanation("event-2") is None
    assert log.explanation("event-9") is None
    log.extend((event(1, visit_id="visit-1"),))
    assert log.explanation("event-1") == why
    log.extend((event(1, visit_id="visit-1"),), {"event-1": {"nearest": []}})
    assert log.explanation("event-1") == {"nearest": []}
    assert log.forget_person("grace", {"visit-1"}) == (1, 0)
    assert log.explanation("event-1") is None
    assert database.rows("SELECT count(*) FROM explanations") == [(0,)]


def test_an_event_and_its_explanation_are_written_whole_or_not_at_all(log: EventLog) -> None:
    with pytest.raises(TypeError):
        log.extend((event(1),), {"event-1": {"nearest": {1, 2}, "bytes": object()}})
    assert log.count() == 0


def test_explanations_forget_a_person(log: EventLog, database: Database) -> None:
    ada = "3f1f6a52-0f0e-4d0c-9f57-aaaaaaaaaaaa"
    nearest = [{"person_id": ada, "score": 0.41}, {"person_id": "grace", "score": 0.3}]
    unknown = [event(number, person_id=None, person=None) for number in range(3)]
    deep = {"nearest": nearest, "faces": [{"best": ada, "others": [ada, "grace"]}]}
    log.extend(unknown, {"event-0": deep, "event-1": {"nearest": nearest[1:]}, "event-2": {"nearest": nearest}})
    log.extend((event(3, person_id=ada, person="Ada"),), {"event-3": {"nearest": nearest}})
    assert log.forget_person(ada) == (1, 0)
    assert log.explanation("event-3") is None
    assert log.forget_mentions(ada) == 2
    assert log.forget_mentions(ada) == 0
    assert log.explanation("event-0") == {
        "nearest": nearest[1:],
        "faces": [{"best": None, "others": ["grace"]}],
    }
    assert log.explanation("event-1") == log.explanation("event-2") == {"nearest": nearest[1:]}
    held = b"".join(file.read_bytes() for file in database.path.parent.glob("privface.db*"))
    assert ada.encode() not in held
