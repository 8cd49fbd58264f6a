"""From a thread that reads frames to the event loop: every frame in order, or only the newest.

What is read is a plain generator that opens its device in its first step and releases it when it is closed. All
of it runs on one thread of its own, which ends with the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

# How long a stream that is closed waits for its thread. One whose device hangs ends by itself, with its own limits.
CLOSING_SECONDS: Final = 1.0


@dataclass(slots=True)
class SkipCount:
    """How many items came and were never taken: a newer one took their place."""

    items: int = 0


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

    def __init__(self, skips: SkipCount) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._lock: Final = threading.Lock()
        self._skips: Final = skips
        self._item: T | None = None
        self.changed: Final = asyncio.Event()
        self.wanted = True

    def put(self, item: T) -> None:
        """Take the place of an older item; called by the thread."""
        with self._lock:
            waiting, self._item = self._item, item
        if waiting is None:
            self._loop.call_soon_threadsafe(self.changed.set)
        else:
            self._skips.items += 1

    def take(self) -> T | None:
        with self._lock:
            item, self._item = self._item, None
        return item

    async def wait(self, deadline: float | None) -> None:
        """Until something changed, or ``deadline``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.changed.wait()
        self.changed.clear()


async def hand_newest(
    read: Callable[[], Generator[T, None, None]],
    name: str,
    seconds: float | None = None,
    skips: SkipCount | None = None,
) -> AsyncGenerator[T, None]:
    """The newest item each time; older ones are skipped, and counted. Ends after ``seconds``, or with what is read."""
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    slot: _Slot[T] = _Slot(skips or SkipCount())
    reading = _start_thread(partial(_read_on, read, slot), name)
    reading.add_done_callback(lambda _: slot.changed.set())
    try:
        while deadline is None or loop.time() < deadline:
            await slot.wait(deadline)
            ended = reading.done()
            if (item := slot.take()) is not None:
                yield item
            if ended:
                reading.result()
                return
    finally:
        slot.wanted = False
        if not (await asyncio.wait([reading], timeout=CLOSING_SECONDS))[0]:
            _LOGGER.debug("%s still waits for its device; it ends by itself", name)


def _read_on(read: Callable[[], Generator[T, None, None]], slot: _Slot[T]) -> None:
    with contextlib.closing(read()) as items:
        for item in items:
            if not slot.wanted:
                return
            slot.put(item)


def _start_thread(work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """Run ``work`` on a thread for which the process doesn't wait at its end: a device may hang."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    # Nobody may be waiting for the error any more.
    done.add_done_callback(lambda future: future.cancelled() or future.exception())

    def settle(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except Exception as caught:  # noqa: BLE001  # whatever it raises belongs to who reads
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
