"""Pictures over MQTT: the best one of each kind of object before a camera, as Frigate publishes it.

They don't say which object they are of. Where only one of that kind is followed there, it is of that one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from privface_backend.bridge.pictures import Picture
from privface_backend.frigate.objects import LiveObject, Shown
from privface_backend.frigate.payloads import Availability, ObjectEvent, ObjectSnapshot
from privface_backend.frigate.tracking import Tracking
from privface_backend.protocol import FrameSource

_LONGEST_NAP: Final = 60.0
_MOST_KINDS: Final = 256


@dataclass(slots=True, kw_only=True, eq=False)
class _Kind:
    """The pictures of one kind of object before one camera. ``waiting``: the newest that was not handed on yet."""

    shown: Shown = field(default_factory=Shown)
    waiting: tuple[ObjectSnapshot, datetime] | None = None
    handed_on: float = float("-inf")


class SnapshotFeed:
    """Takes pictures in as they come, the newest of each interval. ``linger``: so many seconds an object that is over
    is waited for, whose best picture Frigate publishes once more."""

    def __init__(self, tracking: Tracking, *, linger: float = 2.0) -> None:
        self._tracking: Final = tracking
        self._linger: Final = linger
        self._kinds: Final[dict[tuple[str, str], _Kind]] = {}
        self._wake: Final = asyncio.Event()

    def take(self, event: ObjectEvent) -> None:
        """Take in what Frigate says of an object."""
        self._tracking.take(event)
        self._wake.set()

    def take_availability(self, availability: Availability) -> None:
        self._tracking.take_availability(availability)
        self._wake.set()

    def take_snapshot(self, snapshot: ObjectSnapshot) -> None:
        """Take a picture in."""
        followed, key = self._tracking.followed, (snapshot.camera, snapshot.label)
        if snapshot.label not in followed.labels or followed.name_of(snapshot.camera) is None:
            return
        if key not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            self._tracking.counters["crowded_out"] += 1
            return
        kind = self._kinds.setdefault(key, _Kind())
        self._tracking.counters["skipped"] += kind.waiting is not None
        kind.waiting = snapshot, self._tracking.clock()
        self._wake.set()

    async def run(self) -> None:
        """Hand pictures on until cancelled."""
        while True:
            self._wake.clear()
            now = self._tracking.monotonic()
            for kind in self._kinds.values():
                if kind.waiting is not None and now >= self._due_at(kind):
                    self._hand_on(kind, *kind.waiting, now)
            self._tracking.close_what_is_over(self._finished(now))
            await self._wait(now)

    def _due_at(self, kind: _Kind) -> float:
        return float("inf") if kind.waiting is None else kind.handed_on + self._tracking.followed.interval

    def _finished(self, now: float) -> list[LiveObject]:
        return [live for live in self._tracking.objects.all() if live.over and now >= live.heard + self._linger]

    async def _wait(self, now: float) -> None:
        objects = self._tracking.objects.all()
        silence = self._tracking.followed.silence
        due = [
            self._tracking.next_closing(),
            *(self._due_at(kind) for kind in self._kinds.values()),
            *(live.heard + (self._linger if live.over else silence) for live in objects),
        ]
        try:
            async with asyncio.timeout(max(0.0, min(min(due) - now, _LONGEST_NAP))):
                await self._wake.wait()
        except TimeoutError:
            return

    def _hand_on(self, kind: _Kind, snapshot: ObjectSnapshot, received_at: datetime, now: float) -> None:
        kind.waiting, kind.handed_on = None, now
        here = self._tracking.objects.of(snapshot.camera, snapshot.label)
        if len(here) == 1:
            here[0].shown = kind.shown
            self._tracking.show(here[0], snapshot.data, received_at, last=here[0].over)
            return
        name = self._tracking.followed.name_of(snapshot.camera)
        if name is None or (self._tracking.followed.zones and not here):
            self._tracking.counters["outside"] += 1
            return
        picture = Picture(
            camera=name,
            data=snapshot.data,
            captured_at=received_at,
            source=FrameSource.FRIGATE,
            trigger=snapshot.label,
        )
        self._tracking.hand_on(kind.shown, picture)
