"""What goes on in the background of a running backend. Each loop is one task, cancelled at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore

_LOGGER: Final = logging.getLogger(__name__)
_FIRST_RETRY: Final = 10.0
_LAST_RETRY: Final = 300.0
_LONGEST_NAP: Final = 3600.0
_DAY: Final = 86400.0


async def fetch_weights(store: WeightsStore, names: Sequence[str]) -> None:
    """Fetch what of ``names`` is missing, in a thread.

    Raises:
        PrivFaceError: no source could be reached, or gave the right bytes.
    """
    missing = [name for name in names if store.status(name) != "present"]
    if missing:
        _LOGGER.info("Fetching weights: %s", ", ".join(missing))
        await asyncio.to_thread(store.fetch, missing)


async def keep_starting(
    start: Callable[[], Awaitable[object]],
    on_trouble: Callable[[PrivFaceError], None],
    *,
    first_retry: float = _FIRST_RETRY,
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


async def purge_events(purge: Callable[[datetime], Awaitable[int]], clock: Callable[[], datetime], days: int) -> None:
    """Remove events older than ``days``, now and every day; 0 days keeps none longer than a day's run."""
    while True:
        await purge(clock() - timedelta(days=days))
        await asyncio.sleep(_DAY)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)
