"""From a thread that reads frames to the event loop: every frame in order, or only the newest.

What is read is a plain generator that opens its device in its first step and releases it when it is closed. All
of it runs on one thread of its own, which ends with the stream: closing the stream waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

T = TypeVar("T")


async def hand_each(read: Callable[[], Generator[T, None, None]], name: str) -> AsyncGenerator[T, None]:
    """Every item, in order, at the consumer's pace; one more at most is read ahead."""
    loop = asyncio.get_running_loop()
    items = read()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    ahead: asyncio.Future[T | None] = loop.run_in_executor(thread, next, items, None)
    try:
        while (item := await ahead) is not None:
            ahead = loop.run_in_executor(thread, next, items, None)
            yield item
    finally:
        ahead.cancel()
        # One thread runs both: the reader is closed after the read that may still run.
        closed = loop.run_in_executor(thread, items.close)
        thread.shutdown(wait=False)
        await asyncio.shield(closed)


class _Slot(Generic[T]):
    """The newest item, on its way from the thread that reads to the loop that consumes."""

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._lock: Final = threading.Lock()
        self._item: T | None = None
        self.changed: Final = asyncio.Event()
        self.wanted = True

    def put(self, item: T) -> None:
        """Take the place of an older item; called by the thread."""
        with self._lock:
            waiting, self._item = self._item, item
        if waiting is None:
            self._loop.call_soon_threadsafe(self.changed.set)

    def take(self) -> T | None:
        with self._lock:
            item, self._item = self._item, None
        return item

    async def wait(self, deadline: float) -> None:
        """Until something changed, or ``deadline``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.changed.wait()
        self.changed.clear()


async def hand_newest(
    read: Callable[[], Generator[T, None, None]], name: str, seconds: float
) -> AsyncGenerator[T, None]:
    """The newest item each time; older ones are skipped. Ends after ``seconds``, or with what is read."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    slot: _Slot[T] = _Slot()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
    reading = loop.run_in_executor(thread, _read_on, read, slot)
    reading.add_done_callback(lambda _: slot.changed.set())
    try:
        while loop.time() < deadline:
            await slot.wait(deadline)
            ended = reading.done()
            if (item := slot.take()) is not None:
                yield item
            if ended:
                reading.result()
                return
    finally:
        slot.wanted = False
        thread.shutdown(wait=False)
        # Also takes note of an exception that nobody waits for any more.
        await asyncio.shield(asyncio.gather(reading, return_exceptions=True))


def _read_on(read: Callable[[], Generator[T, None, None]], slot: _Slot[T]) -> None:
    with contextlib.closing(read()) as items:
        for item in items:
            if not slot.wanted:
                return
            slot.put(item)
