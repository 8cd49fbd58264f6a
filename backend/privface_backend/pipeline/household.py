"""What is true of people and cameras right now, from the events: the retained states of MQTT and the websocket.

Pure bookkeeping: fed with events, asked with the time; whoever owns it publishes what ``changes`` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from privface_backend.domain.presence import Presence, Sighting
from privface_backend.protocol import Event, Outcome, to_wire_time


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonState:
    """Where a person was last seen, and whether that still holds."""

    person_id: str
    name: str = field(repr=False)
    camera: str | None = None
    last_seen: datetime | None = None
    score: float | None = None
    present: bool = False

    def to_dict(self) -> dict[str, object]:
        return {
            "person_id": self.person_id,
            "person": self.name,
            "camera": self.camera,
            "last_seen": None if self.last_seen is None else to_wire_time(self.last_seen),
            "score": None if self.score is None else round(self.score, 4),
            "present": self.present,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """Who is before a camera: names, and how many strangers."""

    camera: str
    persons: tuple[str, ...] = field(default=(), repr=False)
    unknown: int = 0
    last_event_id: str | None = None
    ts: datetime | None = None

    def to_dict(self) -> dict[str, object]:
        return {
            "camera": self.camera,
            "persons": list(self.persons),
            "unknown": self.unknown,
            "last_event_id": self.last_event_id,
            "ts": None if self.ts is None else to_wire_time(self.ts),
        }


@dataclass(slots=True, kw_only=True)
class _Strangers:
    captured_at: datetime
    event_ids: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Camera:
    last_event_id: str
    captured_at: datetime
    strangers: _Strangers | None = None


class Household:
    """The states of all people and cameras. ``hold``: how long a sighting counts as present."""

    def __init__(self, hold: timedelta) -> None:
        self._hold = hold
        self._names: dict[str, str] = {}
        self._presences: dict[str, Presence] = {}
        self._cameras: dict[str, _Camera] = {}
        self._told: dict[str, PersonState | CameraState] = {}

    def set_people(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """Take over who is enrolled (names by id); returns the ids of people that are gone."""
        gone = tuple(person_id for person_id in self._names if person_id not in names)
        for person_id in gone:
            self._presences.pop(person_id, None)
            self._told.pop(f"person {person_id}", None)
        self._names = dict(names)
        return gone

    def take(self, events: Iterable[Event]) -> None:
        """Take the events in; an older one than what is known changes nothing."""
        for event in events:
            # Nothing was captured after it came: that is a sender's clock that is ahead.
            captured_at = min(event.captured_at, event.ts)
            self._take_camera(event, captured_at)
            if event.outcome is Outcome.KNOWN and event.person_id in self._names:
                sighting = Sighting(camera=event.camera, captured_at=captured_at, score=event.score or 0.0)
                presence = self._presences.get(event.person_id, Presence(hold=self._hold))
                self._presences[event.person_id] = presence.seen(sighting)

    def _take_camera(self, event: Event, captured_at: datetime) -> None:
        camera = self._cameras.get(event.camera)
        if camera is None:
            camera = _Camera(last_event_id=event.event_id, captured_at=captured_at)
            self._cameras[event.camera] = camera
        elif captured_at < camera.captured_at:
            return
        camera.last_event_id, camera.captured_at = event.event_id, captured_at
        if event.outcome is Outcome.UNKNOWN:
            if camera.strangers is None or camera.strangers.captured_at != captured_at:
                camera.strangers = _Strangers(captured_at=captured_at)
            camera.strangers.event_ids.add(event.event_id)

    def people(self, now: datetime) -> tuple[PersonState, ...]:
        return tuple(self._person(person_id, name, now) for person_id, name in self._names.items())

    def cameras(self, now: datetime) -> tuple[CameraState, ...]:
        return tuple(self._camera(name, camera, now) for name, camera in self._cameras.items())

    def changes(self, now: datetime) -> tuple[PersonState | CameraState, ...]:
        """The states that differ from what this last gave."""
        self._settle(now)
        changed: list[PersonState | CameraState] = []
        for person in self.people(now):
            if self._told.get(f"person {person.person_id}") != person:
                self._told[f"person {person.person_id}"] = person
                changed.append(person)
        for camera in self.cameras(now):
            if self._told.get(f"camera {camera.camera}") != camera:
                self._told[f"camera {camera.camera}"] = camera
                changed.append(camera)
        return tuple(changed)

    def _settle(self, now: datetime) -> None:
        """Give up what lies ahead since the clock was set back, which would hold off all that is seen now."""
        self._presences = {person_id: presence.settled(now) for person_id, presence in self._presences.items()}
        for camera in self._cameras.values():
            if camera.captured_at > now + self._hold:
                camera.captured_at, camera.strangers = now - self._hold, None

    def next_change(self, now: datetime) -> datetime | None:
        """When a state will change if nothing more is seen."""
        leaving = [presence.leaves_at for presence in self._presences.values()]
        strangers = [camera.strangers.captured_at + self._hold for camera in self._cameras.values() if camera.strangers]
        return min((moment for moment in (*leaving, *strangers) if moment is not None and moment > now), default=None)

    def _person(self, person_id: str, name: str, now: datetime) -> PersonState:
        presence = self._presences.get(person_id)
        if presence is None or presence.last is None:
            return PersonState(person_id=person_id, name=name)
        return PersonState(
            person_id=person_id,
            name=name,
            camera=presence.last.camera,
            last_seen=presence.last.captured_at,
            score=presence.last.score,
            present=presence.present(now),
        )

    def _camera(self, name: str, camera: _Camera, now: datetime) -> CameraState:
        here = sorted(
            self._names[person_id]
            for person_id, presence in self._presences.items()
            if presence.last is not None and presence.last.camera == name and presence.present(now)
        )
        strangers = camera.strangers
        held = strangers is not None and now < strangers.captured_at + self._hold
        return CameraState(
            camera=name,
            persons=tuple(here),
            unknown=len(strangers.event_ids) if strangers is not None and held else 0,
            last_event_id=camera.last_event_id,
            ts=camera.captured_at,
        )
