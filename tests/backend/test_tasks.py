"""The loops in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Event
from privface_backend.tasks import (
    Writer,
    follow_states,
    keep_starting,
    poll,
    write_private,
)
from support.backend import until
from support.mqtt import make_event

FULL = PrivFaceError(ErrorCode.STORAGE_FULL, "The disk is full.")


@contextlib.asynccontextmanager
async def background(loop: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_starts_when_it_can(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failures = [FULL, FULL, FULL]
    seen: list[PrivFaceError] = []

    async def start() -> None:
        if failures:
            raise failures.pop()

    await asyncio.wait_for(keep_starting(start, seen.append, first_retry=0.001), 10)
    assert seen == [FULL] * 3
    assert [record.levelname for record in caplog.records if "can't start" in record.message] == [
        "WARNING",
        "DEBUG",
        "DEBUG",
    ]


async def test_polling_warns_once_and_says_when_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        if calls <= 3:
            raise FULL

    async with background(poll(work, 0.001, "Reading")):
        await until(lambda: calls >= 6)
    assert [record.message for record in caplog.records] == ["Reading: The disk is full.", "Reading works again"]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_states_are_told_when_due_and_when_woken() -> None:
    clock, wake, told = Clock(), asyncio.Event(), []
    due: list[datetime | None] = [None]

    def tell() -> None:
        told.append(clock.now)
        if due[0] is not None and due[0] <= clock.now:
            due[0] = None

    async with background(follow_states(tell, lambda: due[0], clock, wake)):
        await until(lambda: len(told) == 1)
        due[0] = clock.now + timedelta(seconds=0.02)
        wake.set()
        await until(lambda: len(told) == 2)
        clock.now += timedelta(seconds=0.02)
        await until(lambda: len(told) >= 3)
        assert due[0] is None


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.seq for event in events]


def writing(write: Callable[[Sequence[Event]], None]) -> Callable[[Sequence[Event]], Coroutine[Any, Any, None]]:
    async def later(events: Sequence[Event]) -> None:
        await asyncio.sleep(0)
        write(events)

    return later


async def test_events_are_written_in_order() -> None:
    written: list[int] = []
    writer = Writer("events", writing(lambda events: written.extend(numbers(events))))
    async with background(writer.run()):
        for number in range(100):
            writer.put([make_event(number)])
            if number % 10 == 0:
                await asyncio.sleep(0)
        await until(lambda: len(written) == 100)
    assert written == list(range(100))


async def test_what_waits_at_the_end_is_written() -> None:
    written: list[int] = []
    started, go = asyncio.Event(), asyncio.Event()

    async def write(events: Sequence[Event]) -> None:
        started.set()
        await go.wait()
        written.extend(numbers(events))

    writer = Writer("events", write)
    async with background(writer.run()) as task:
        writer.put([make_event(1)])
        await started.wait()
        writer.put([make_event(2)])
        task.cancel()
        go.set()
        await asyncio.gather(task, return_exceptions=True)
    assert sorted(set(written)) == [1, 2]


async def test_a_full_disk_loses_events_but_not_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    written: list[int] = []
    full = [True]

    def write(events: Sequence[Event]) -> None:
        if full[0]:
            raise FULL
        written.extend(numbers(events))

    writer = Writer("events", writing(write))
    async with background(writer.run()):
        writer.put([make_event(1)])
        await until(lambda: not writer._waiting)
        writer.put([make_event(2)])
        await until(lambda: not writer._waiting)
        full[0] = False
        writer.put([make_event(3)])
        await until(lambda: written == [3])
    assert len(caplog.records) == 1


async def test_a_disk_that_can_not_follow_bounds_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer[Event]("events", writing(lambda _events: None), limit=10)
    for number in range(100):
        writer.put([make_event(number)])
    assert len(writer._waiting) == 10
    assert "events come" in caplog.text
    async with background(writer.run()):
        await until(lambda: not writer._waiting)
        writer.put([make_event(200)])
        assert len(writer._waiting) == 1


def test_a_private_file_is_its_owner_s_only(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for text in ("one", "two"):
        write_private(path, text)
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
