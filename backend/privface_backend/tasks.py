"""What goes on in the background of a running backend. Each loop is one task, cancelled at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.models.weights import Status
from privface_backend.protocol import Event

T = TypeVar("T")

_LOGGER: Final = logging.getLogger(__name__)
FIRST_RETRY: Final = 10.0
_LAST_RETRY: Final = 300.0
_LONGEST_NAP: Final = 3600.0
_UNWRITTEN: Final = 10_000


@contextlib.asynccontextmanager
async def in_background(loops: Iterable[tuple[str, Coroutine[Any, Any, None]]]) -> AsyncIterator[None]:
    """Run ``loops``, each a task of its name, until the block ends, or they do before it by themselves."""
    tasks: list[asyncio.Task[None]] = []
    try:
        for name, loop in loops:
            task = asyncio.create_task(loop, name=name)
            task.add_done_callback(_log_failure)
            tasks.append(task)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log a task that failed, as soon as it does, while the others go on: where, and the type of its error, whose
    own text could quote anything."""
    if not task.cancelled() and (error := task.exception()) is not None:
        place = "".join(traceback.format_tb(error.__traceback__))
        _LOGGER.error("The task %s failed: %s\n%s", task.get_name(), type(error).__name__, place)


async def fetch_weights(store: WeightsStore, names: Sequence[str]) -> None:
    """Fetch what of ``names`` is missing, in a thread.

    Raises:
        PrivFaceError: no source could be reached, or gave the right bytes; ``weights_mismatch``: a wrong file is
            there.
    """
    await asyncio.to_thread(_fetch, store, names)


def _fetch(store: WeightsStore, names: Sequence[str]) -> None:
    statuses = {name: store.status(name) for name in names}
    missing = [name for name, status in statuses.items() if status is not Status.PRESENT]
    if not missing:
        return
    _LOGGER.info("Fetching weights: %s", ", ".join(missing))
    try:
        store.fetch(missing)
    except PrivFaceError:
        # That a file was changed matters more than that no other can be had.
        for name in missing:
            if store.status(name) is Status.MISMATCHED:
                store.path(name)
        raise


async def keep_starting(
    start: Callable[[], Awaitable[object]],
    on_trouble: Callable[[PrivFaceError], None],
    *,
    first_retry: float = FIRST_RETRY,
) -> None:
    """Call ``start`` until it works, waiting longer after each failure: one warning, then debug."""
    delay, level = first_retry, logging.WARNING
    while True:
        try:
            await start()
            return
        except PrivFaceError as error:
            on_trouble(error)
            _LOGGER.log(level, "The engines can't start (%s): %s Trying again.", error.code, error.message)
            level = logging.DEBUG
        await asyncio.sleep(delay)
        delay = min(_LAST_RETRY, delay * 2)


async def follow_states(
    tell: Callable[[], None],
    next_change: Callable[[], datetime | None],
    clock: Callable[[], datetime],
    wake: asyncio.Event,
) -> None:
    """Tell of states when their time runs out; ``wake`` is set when there is something new to wait for."""
    while True:
        wake.clear()
        tell()
        due = next_change()
        seconds = _LONGEST_NAP if due is None else max(0.0, (due - clock()).total_seconds())
        try:
            async with asyncio.timeout(min(seconds, _LONGEST_NAP)):
                await wake.wait()
        except TimeoutError:
            continue


async def poll(work: Callable[[], Awaitable[object]], seconds: float, what: str) -> None:
    """Do ``work`` every ``seconds``; a failure is one warning, then debug, then one info when it works again."""
    failed = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except PrivFaceError as error:
            _LOGGER.log(logging.DEBUG if failed else logging.WARNING, "%s: %s", what, error.message)
            failed = True
        else:
            if failed:
                _LOGGER.info("%s works again", what)
            failed = False


Told = tuple[Event, dict[str, Any] | None]
"""An event, and the reasons for it."""


class Writer(Generic[T]):
    """Writes things behind their makers' backs, in order; when the disk can't follow, new ones are not kept.

    ``what``: what they are called in the log. One that is written twice must change nothing.
    """

    def __init__(self, what: str, write: Callable[[Sequence[T]], Awaitable[object]], limit: int = _UNWRITTEN) -> None:
        self._what: Final = what
        self._write: Final = write
        self._limit: Final = limit
        self._waiting: Final[deque[T]] = deque()
        self._wake: Final = asyncio.Event()

    def put(self, items: Sequence[T]) -> None:
        if len(self._waiting) + len(items) > self._limit:
            _LOGGER.warning("More %s come than the disk takes; %d are not kept", self._what, len(items))
            return
        self._waiting.extend(items)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled, and then what is left."""
        failed = False
        try:
            while True:
                await self._wake.wait()
                failed = await self._write_waiting(failed=failed)
        finally:
            await self._write_waiting(failed=failed)

    async def _write_waiting(self, *, failed: bool) -> bool:
        while self._waiting:
            items = tuple(self._waiting)
            try:
                await self._write(items)
            except PrivFaceError as error:
                level = logging.DEBUG if failed else logging.WARNING
                _LOGGER.log(level, "%d %s are not kept: %s", len(items), self._what, error.message)
                failed = True
            else:
                failed = False
            # Not before: cancelled while they are written, they are written again, which changes nothing.
            for _ in items:
                self._waiting.popleft()
        self._wake.clear()
        return failed


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)
