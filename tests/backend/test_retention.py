"""What is too old goes, and a clock that is wrong takes nothing along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from privface_backend.gallery.retention import Keeping, RetentionService
from privface_backend.protection.keys import KeyFolder
from privface_backend.protection.settings import default_folder
from privface_backend.protocol import Event, Outcome
from privface_backend.storage.database import Database
from privface_backend.storage.events import EventLog
from privface_backend.storage.retention import Retention
from support.cli import NO_BROKER, SYNTHETIC
from support.gallery import OpenGallery, make_stranger, make_visit, open_gallery
from support.here import Here
from support.keys import KEYS
from support.mqtt import make_event, until
from support.traces import traces_in

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def event(number: int, age: timedelta, **changes: object) -> Event:
    return replace(make_event(number, now=NOW - age), **changes)  # type: ignore[arg-type]  # fields


def unknown(number: int, age: timedelta, outcome: Outcome = Outcome.UNKNOWN) -> Event:
    return event(number, age, outcome=outcome, person_id=None, person=None)


@dataclass
class Clock:
    now: datetime = field(default=NOW)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "privface.db", KEYS)
    yield opened
    opened.close()


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database)


def kept(log: EventLog) -> list[str]:
    return sorted(found.event_id for found in log.list())


def test_events_without_a_name_have_a_time_of_their_own(database: Database, log: EventLog) -> None:
    log.extend((event(1, 20 * DAY), unknown(2, 20 * DAY), unknown(3, 20 * DAY, Outcome.UNUSABLE), unknown(4, DAY)))
    log.append(event(5, 40 * DAY))
    retention = Retention(database)
    found = retention.count(NOW - 30 * DAY, NOW - 7 * DAY, NOW)
    assert (found.events, found.unknown) == (3, 2)
    assert log.count() == 5
    assert retention.remove(NOW - 30 * DAY, NOW - 7 * DAY, NOW) == found
    assert kept(log) == ["event-1", "event-4"]
    assert retention.remove(NOW - 30 * DAY, NOW - 7 * DAY, NOW).events == 0


def test_what_is_removed_is_overwritten_once_a_day_at_most(tmp_path: Path, database: Database, log: EventLog) -> None:
    retention = Retention(database)
    assert retention.overwrite(NOW, at_once=False) is None
    for number, moment in enumerate((NOW, NOW + DAY / 4, NOW + DAY * 2)):
        log.extend(event(n, 40 * DAY, person="Unforgettable") for n in range(number * 100, number * 100 + 50))
        assert retention.remove(moment - 30 * DAY, moment - 30 * DAY, moment).events == 50
        assert retention.overwrite(moment, at_once=False) is (None if number == 1 else True)
        assert not traces_in(tmp_path, ["Unforgettable"], set()) or number == 1
    log.append(event(900, 40 * DAY))
    retention.remove(NOW, NOW, NOW + DAY * 2)
    assert retention.overwrite(NOW + DAY * 2, at_once=False) is None
    assert retention.overwrite(NOW + DAY * 2, at_once=True) is True


def test_what_a_clock_that_was_ahead_dated_into_the_future_goes_with_its_neighbors(
    database: Database, log: EventLog
) -> None:
    log.extend((event(1, -YEAR), event(2, 40 * DAY), event(3, -YEAR), event(4, DAY)))
    Retention(database).remove(NOW - 30 * DAY, NOW - 30 * DAY, NOW)
    assert kept(log) == ["event-3", "event-4"]


def make_service(gallery: OpenGallery, clock: Clock) -> RetentionService:
    return RetentionService(
        retention=Retention(gallery.database),
        storage=gallery.storage,
        memory=gallery.memory,
        keeping=Keeping(events=30 * DAY, nameless=30 * DAY),
        clock=clock,
    )


async def test_a_clock_that_jumps_a_year_ahead_removes_nothing_until_it_has_gone_on_for_a_day(tmp_path: Path) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery:
        clock = Clock()
        service = make_service(gallery, clock)
        gallery.events.extend((event(1, DAY), event(2, 40 * DAY)))
        assert (await service.purge()).events == 1
        clock.now = NOW + YEAR
        held = await service.purge()
        assert (held.clock_ahead, held.events, gallery.events.count()) == (YEAR, 0, 1)
        # An event that was recorded meanwhile makes the clock no truer.
        gallery.events.append(event(3, -YEAR))
        clock.now += timedelta(hours=2)
        assert (await service.purge()).clock_ahead is not None
        # Set right again, it is as if nothing had been.
        clock.now = NOW + DAY
        assert (await service.purge()).clock_ahead is None
        assert kept(gallery.events) == ["event-1", "event-3"]
        clock.now = NOW + YEAR
        assert (await service.purge()).clock_ahead is not None
        clock.now = NOW + YEAR + DAY
        done = await service.purge()
        assert (done.clock_ahead, done.events) == (None, 1)
        assert kept(gallery.events) == ["event-3"]


async def test_a_clock_that_is_set_back_removes_nothing(tmp_path: Path) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery:
        clock = Clock()
        service = make_service(gallery, clock)
        gallery.events.extend((event(1, DAY), event(2, 2 * DAY)))
        await service.purge()
        clock.now = NOW - YEAR
        assert (await service.purge()).events == 0
        assert (await service.purge()).clock_ahead is None
        assert gallery.events.count() == 2
        # From then on the clock goes right again, which is a jump of a year as well.
        clock.now = NOW
        assert (await service.purge()).clock_ahead == YEAR
        assert (await service.purge(trust_clock=True)).clock_ahead is None
        assert gallery.events.count() == 2


async def test_a_first_purge_believes_the_newest_event(tmp_path: Path) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery:
        clock = Clock(NOW + YEAR)
        service = make_service(gallery, clock)
        assert (await service.preview()).clock_ahead is None
        gallery.events.append(event(1, DAY))
        assert (await service.preview()).clock_ahead == YEAR + DAY
        assert (await service.purge()).events == 0
        assert (await service.purge(trust_clock=True)).events == 1


async def test_the_loop_purges_at_once_and_says_once_that_it_doubts_the_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery:
        # The gallery's own clock stands in the days before, so that this is too old for it.
        await gallery.memory.put_stranger(make_stranger(1, last_seen=NOW - 90 * DAY), new=True)
        await gallery.memory.keep_visit(make_visit(1, last_seen=NOW - 90 * DAY))
        clock = Clock()
        service = make_service(gallery, clock)
        gallery.events.extend((event(1, DAY), event(2, 40 * DAY)))
        assert (await service.preview()).remembered == 2
        caplog.set_level(logging.INFO, "privface_backend")
        task = asyncio.create_task(service.run(1.0))
        await until(lambda: not gallery.service.snapshot.strangers and gallery.events.count() == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        clock.now = NOW + YEAR
        task = asyncio.create_task(service.run(1.0))
        await until(lambda: "privface purge --trust-clock" in caplog.text)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert gallery.events.count() == 1


def test_the_command(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    home.configure(SYNTHETIC + NO_BROKER + "retention: {event_days: 30, unknown_days: 7}\n")
    database = Database(home.data / "privface.db", KeyFolder(default_folder()))
    now = datetime.now(UTC)
    aged = [replace(event(number, DAY), ts=now - number * DAY) for number in (1, 10, 40)]
    nameless = [replace(unknown(number, DAY), ts=now - number * DAY) for number in (2, 11)]
    EventLog(database).extend((*aged, *nameless))
    database.close()
    assert home.run("purge", "--dry-run").out.startswith("Too old: 2 events (1 of them without a name), 0 visits")
    (line,) = home.run("purge", "--json").lines
    assert line == {
        "dry_run": False,
        "events": 2,
        "unknown": 1,
        "remembered": 0,
        "rewritten": True,
        "clock_ahead_days": None,
    }
    database = Database(home.data / "privface.db", KeyFolder(default_folder()))
    assert EventLog(database).count() == 3
    database.set_meta("purge_clock", (now - YEAR).isoformat())
    database.close()
    held = home.run("purge")
    assert (held.code, "365 days ahead" in held.err) == (Exit.UNFINISHED, True)
    assert home.run("purge", "--trust-clock").code == Exit.OK
