"""The objects that Frigate follows: which is to be looked at next, and which is over. Pure: time is given, in seconds.

An object is looked at when there is a new picture of it, but not more often than every ``interval``; what came
meanwhile is one look, the newest. One that stands still is looked at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from privface_backend.frigate.payloads import EventType, ObjectEvent, TrackedObject

MOST_OBJECTS: Final = 128
"""How many objects are followed at a time."""
_MOST_CLOSED: Final = 256


class Look(StrEnum):
    """What to look at: the best picture of the object, or what its camera shows now."""

    SNAPSHOT = "snapshot"
    LATEST = "latest"


class Closing(StrEnum):
    """Why an object is not followed any more. ``GIVEN_UP``: its pictures could not be had, or Frigate was gone;
    ``SILENT``: nothing was heard of it for long; ``CROWDED_OUT``: there were too many."""

    ENDED = "ended"
    GIVEN_UP = "given_up"
    SILENT = "silent"
    CROWDED_OUT = "crowded_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Which objects are followed, and how. ``cameras``: Frigate's names with ours, none for all under their own;
    ``sealed``: our names of those that aren't followed, as no picture of them is to come here;
    ``zones``: none for all; ``patience``: so long pictures may fail; ``silence``: so long nothing need be heard."""

    labels: AbstractSet[str] = frozenset({"person"})
    zones: AbstractSet[str] = frozenset()
    cameras: Mapping[str, str]
    sealed: Container[str] = ()
    interval: float = 1.0
    patience: float = 30.0
    silence: float = 900.0

    def name_of(self, camera: str) -> str | None:
        """Our name of a camera of Frigate's; None: it isn't followed."""
        name = self.cameras.get(camera) if self.cameras else camera
        return None if name is None or name in self.sealed else name

    def wants(self, one: TrackedObject) -> bool:
        inside = not self.zones or not self.zones.isdisjoint(one.zones)
        known = one.label in self.labels and self.name_of(one.camera) is not None
        return known and inside and not one.false_positive


@dataclass(slots=True, kw_only=True, eq=False)
class Shown:
    """What was last shown of an object: the time of the snapshot, and the picture's digest."""

    snapshot_time: float | None = None
    digest: bytes = b""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveObject:
    """An object that is followed. ``pictures``: how many were shown; ``looked``: when it was last looked at;
    ``failing``: since when its pictures can't be had."""

    newest: TrackedObject
    heard: float
    shown: Shown
    wanted: bool = True
    over: bool = False
    pictures: int = 0
    looked: float | None = None
    failing: float | None = None

    @property
    def id(self) -> str:
        return self.newest.id

    @property
    def next_look(self) -> Look | None:
        """What to look at, if there is something new to be seen."""
        one = self.newest
        renewed = one.snapshot_time is None or one.snapshot_time != self.shown.snapshot_time
        if self.over:
            if one.has_snapshot:
                return Look.SNAPSHOT if renewed else None
            return None if self.pictures else Look.LATEST
        if one.stationary and self.pictures:
            return None
        if not one.has_snapshot:
            return Look.LATEST
        if renewed:
            return Look.SNAPSHOT
        return Look.LATEST if one.face else None


class Objects:
    """All objects that are followed."""

    def __init__(self, followed: Followed) -> None:
        self._followed: Final = followed
        self._live: Final[dict[str, LiveObject]] = {}
        self._closed: Final[OrderedDict[str, Shown]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def take(self, event: ObjectEvent, now: float) -> LiveObject | None:
        """Take a message in; gives an object that had to make room for a new one."""
        one = event.object
        live = self._live.get(one.id)
        if live is None:
            if not self._followed.wants(one):
                return None
            live = LiveObject(newest=one, heard=now, shown=self._closed.pop(one.id, Shown()))
            self._live[one.id] = live
        live.newest, live.heard, live.wanted = one, now, True
        live.over = live.over or event.type is EventType.END
        if len(self._live) <= MOST_OBJECTS:
            return None
        return self.close(min(self._live.values(), key=lambda other: other.heard))

    def of(self, camera: str, label: str) -> list[LiveObject]:
        """The objects of that label before a camera, by Frigate's name."""
        return [one for one in self._live.values() if (one.newest.camera, one.newest.label) == (camera, label)]

    def close(self, live: LiveObject) -> LiveObject:
        """Follow an object no more. Should it be heard of again, it is not shown again what it has shown."""
        self._live.pop(live.id, None)
        self._closed[live.id] = live.shown
        while len(self._closed) > _MOST_CLOSED:
            self._closed.popitem(last=False)
        return live

    def finished(self) -> Iterator[LiveObject]:
        """Those that are over and have nothing new to show."""
        return (live for live in tuple(self._live.values()) if live.over and live.next_look is None)

    def given_up(self, now: float) -> Iterator[LiveObject]:
        """Those whose pictures have failed for too long."""
        patience = self._followed.patience
        return (
            live for live in tuple(self._live.values()) if live.failing is not None and now >= live.failing + patience
        )

    def silent(self, now: float) -> Iterator[LiveObject]:
        """Those that nothing was heard of for too long."""
        return (live for live in tuple(self._live.values()) if now >= live.heard + self._followed.silence)

    def all(self) -> tuple[LiveObject, ...]:
        return tuple(self._live.values())

    def due(self, now: float, busy: AbstractSet[str]) -> Iterator[LiveObject]:
        """The next to look at of each camera that is not ``busy``: those that are over come first, then those with a
        face, then those that were not looked at for longest."""
        chosen: dict[str, LiveObject] = {}
        for live in self._live.values():
            camera = live.newest.camera
            if camera in busy or self._due_at(live) > now:
                continue
            if (other := chosen.get(camera)) is None or _rank(live) < _rank(other):
                chosen[camera] = live
        return iter(tuple(chosen.values()))

    def next_change(self, busy: AbstractSet[str], not_before: float = float("-inf")) -> float:
        """When something will be due (a look ``not_before`` that), given up or silent, if nothing comes before;
        infinity without objects."""
        return min((self._changes_at(live, busy, not_before) for live in self._live.values()), default=float("inf"))

    def _changes_at(self, live: LiveObject, busy: AbstractSet[str], not_before: float) -> float:
        look = float("inf") if live.newest.camera in busy else max(not_before, self._due_at(live))
        given_up = float("inf") if live.failing is None else live.failing + self._followed.patience
        return min(look, given_up, live.heard + self._followed.silence)

    def _due_at(self, live: LiveObject) -> float:
        if not live.wanted or live.next_look is None:
            return float("inf")
        # The last look needn't wait: no other follows it.
        at_once = live.looked is None or (live.over and live.failing is None)
        return 0.0 if at_once or live.looked is None else live.looked + self._followed.interval


def _rank(live: LiveObject) -> tuple[bool, bool, float]:
    return not live.over, not live.newest.face, -1.0 if live.looked is None else live.looked
