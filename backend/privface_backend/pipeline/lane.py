"""The lane: one thread that runs all inference, with a bounded waiting room.

A frame of a camera replaces an older one of that camera that still waits. Everything else waits its
turn, or is refused when the room is full: overload is an answer, never a queue that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar, cast

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    work: Callable[[], object]
    done: asyncio.Future[Any]


@dataclass(slots=True, kw_only=True)
class LaneCounts:
    """What went through: since the start."""

    finished: int = 0
    superseded: int = 0
    refused: int = 0


class Lane:
    """Runs jobs one after the other on its own thread; use it through ``open_lane``."""

    def __init__(self, waiting_limit: int) -> None:
        self._limit: Final = waiting_limit
        self._waiting: OrderedDict[str, _Job] = OrderedDict()
        self._wake = asyncio.Event()
        self._serial = count()
        self._busy = False
        self._closing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="privface-lane")
        self.counts: Final = LaneCounts()

    @property
    def depth(self) -> int:
        """Jobs that wait or run."""
        return self.waiting + self._busy

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the lane's thread.

        Raises:
            PrivFaceError: ``overloaded``: the waiting room is full, or the lane is closing.
        """
        return cast("T", await self._enqueue(f"job {next(self._serial)}", work))

    async def run_newest(self, key: str, work: Callable[[], T]) -> T:
        """Like ``run``, but taking the place of a waiting job of the same ``key`` (a camera).

        Raises:
            PrivFaceError: ``superseded``: a newer one took this one's place; or ``overloaded``.
        """
        return cast("T", await self._enqueue(f"newest {key}", work))

    async def _enqueue(self, key: str, work: Callable[[], object]) -> object:
        job = _Job(work, asyncio.get_running_loop().create_future())
        older = self._waiting.get(key)
        if older is None and (self._closing or len(self._waiting) >= self._limit):
            self.counts.refused += 1
            raise PrivFaceError(
                ErrorCode.OVERLOADED,
                "Too many pictures are waiting. Try again in a moment.",
                details={"waiting": len(self._waiting)},
            )
        if older is not None and not older.done.done():
            self.counts.superseded += 1
            older.done.set_exception(
                PrivFaceError(ErrorCode.SUPERSEDED, "A newer frame of the same camera came before this one's turn.")
            )
        # A replaced job keeps its place in the order: a fast camera is neither starved nor preferred.
        self._waiting[key] = job
        self._wake.set()
        try:
            return await job.done
        finally:
            if self._waiting.get(key) is job:
                del self._waiting[key]

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            _, job = self._waiting.popitem(last=False)
            if job.done.done():
                continue
            self._busy = True
            try:
                result, error = await loop.run_in_executor(self._thread, _attempt, job.work)
            finally:
                self._busy = False
                self.counts.finished += 1
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(error)

    def _close(self) -> None:
        self._closing = True
        for job in self._waiting.values():
            if not job.done.done():
                job.done.set_exception(PrivFaceError(ErrorCode.OVERLOADED, "PrivFace is stopping."))
        self._waiting.clear()
        self._wake.set()

    async def _finish(self, server: asyncio.Task[None]) -> None:
        self._close()
        try:
            await server
        finally:
            self._thread.shutdown(wait=True)


def _attempt(work: Callable[[], object]) -> tuple[object, Exception | None]:
    """What the work gave or raised: some exceptions would not get through the executor's own future."""
    try:
        return work(), None
    except StopIteration:
        return None, RuntimeError("the work raised StopIteration")
    except Exception as error:  # noqa: BLE001  # whatever the work raises belongs to who asked for it
        return None, error


@contextlib.asynccontextmanager
async def open_lane(waiting_limit: int = 32) -> AsyncIterator[Lane]:
    """A lane for the length of the block. At its end the running job finishes and waiting ones are refused."""
    lane = Lane(waiting_limit)
    server = asyncio.create_task(lane._serve(), name="lane")  # noqa: SLF001  # the lane's own opener
    try:
        yield lane
    finally:
        await lane._finish(server)  # noqa: SLF001  # the lane's own opener
