"""The purge: events, visits and strangers whose time is over are removed, and overwritten on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.gallery.memory import MemoryService
from privface_backend.storage.database import StorageThread
from privface_backend.storage.retention import Retention

_LOGGER: Final = logging.getLogger(__name__)
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how long events that name somebody, and those that name nobody, are kept."""

    events: timedelta
    nameless: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was removed, or would be. ``events``: all, ``unknown`` of them without a name; ``remembered``: visits and
    strangers; ``rewritten``: whether that was overwritten on the disk, None where there was nothing to overwrite;
    ``clock_ahead``: why nothing was removed: by how much the clock has jumped."""

    events: int = 0
    unknown: int = 0
    remembered: int = 0
    rewritten: bool | None = None
    clock_ahead: timedelta | None = None

    def to_dict(self) -> dict[str, object]:
        ahead = None if self.clock_ahead is None else round(self.clock_ahead / timedelta(days=1), 1)
        return {
            "events": self.events,
            "unknown": self.unknown,
            "remembered": self.remembered,
            "rewritten": self.rewritten,
            "clock_ahead_days": ahead,
        }


class RetentionService:
    """Purges by hand, and while ``run`` runs."""

    def __init__(
        self,
        *,
        retention: Retention,
        storage: StorageThread,
        memory: MemoryService,
        keeping: Keeping,
        clock: Callable[[], datetime],
    ) -> None:
        self._retention: Final = retention
        self._storage: Final = storage
        self._memory: Final = memory
        self._keeping: Final = keeping
        self._clock: Final = clock
        self._warned = False

    async def preview(self) -> Purged:
        """What a purge would remove now.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        return await self._storage.call(self._preview)

    def _preview(self) -> Purged:
        now = self._clock()
        found = self._retention.count(now - self._keeping.events, now - self._keeping.nameless, now)
        return Purged(
            events=found.events,
            unknown=found.unknown,
            remembered=self._memory.count_outdated(),
            clock_ahead=self._retention.clock.ahead(now),
        )

    async def purge(self, *, by_hand: bool = False, trust_clock: bool = False) -> Purged:
        """Remove what is too old, unless the clock has just jumped far ahead. ``by_hand``: overwrite it at once,
        however recently that was done before; ``trust_clock``: the clock is right.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        done = await self._storage.call(self._purge, by_hand, trust_clock)
        if done.clock_ahead is not None:
            return done
        return Purged(
            events=done.events,
            unknown=done.unknown,
            rewritten=done.rewritten,
            remembered=await self._memory.purge(),
        )

    def _purge(self, by_hand: bool, trust_clock: bool) -> Purged:
        now = self._clock()
        ahead = None if trust_clock else self._retention.clock.ahead(now)
        self._retention.clock.note(now, doubted=ahead is not None)
        if ahead is not None:
            return Purged(clock_ahead=ahead)
        found = self._retention.remove(now - self._keeping.events, now - self._keeping.nameless, now)
        return Purged(
            events=found.events, unknown=found.unknown, rewritten=self._retention.overwrite(now, at_once=by_hand)
        )

    async def run(self, hours: float) -> None:
        """Purge now and every ``hours``, until cancelled; more often while the clock is doubted, and what is remembered
        of visits by its own, shorter time."""
        await asyncio.gather(self._run_events(hours), self._run_memory())

    async def _run_events(self, hours: float) -> None:
        while True:
            try:
                self._report(await self.purge())
            except PrivFaceError as error:
                _LOGGER.warning("What is too old can't be removed: %s", error.message)
            await asyncio.sleep(min(hours, 1.0) * _HOUR if self._warned else hours * _HOUR)

    def _report(self, done: Purged) -> None:
        if done.clock_ahead is not None:
            if not self._warned:
                _LOGGER.warning(
                    "The clock is %d days ahead of when old events were last looked for: nothing is removed until it "
                    "has gone on from there for a day, or somebody runs: privface purge --trust-clock",
                    done.clock_ahead.days,
                )
            self._warned = True
            return
        self._warned = False
        if done.events:
            _LOGGER.info("%d events were too old, and are removed", done.events)

    async def _run_memory(self) -> None:
        """Every hour, more often where visits are kept for less than ten."""
        seconds = min(_HOUR, max(60.0, self._memory.hours * _HOUR / 10))
        while True:
            # The first time is the events'.
            await asyncio.sleep(seconds)
            try:
                if not await self._storage.call(self._is_doubted):
                    await self._memory.purge()
            except PrivFaceError as error:
                _LOGGER.warning("What is remembered of visits can't be removed: %s", error.message)

    def _is_doubted(self) -> bool:
        return self._retention.clock.ahead(self._clock()) is not None
