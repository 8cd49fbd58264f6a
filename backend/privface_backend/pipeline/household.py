"""What is true of people and cameras right now, from visits: the retained states of MQTT and the websocket.

Pure bookkeeping: fed with sightings, asked with the time; whoever owns it publishes what ``changes`` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from privface_backend.domain.presence import Presence, Sighting
from privface_backend.protocol import PresencePhase, from_wire_time, to_wire_time

_MOVED: Final = timedelta(seconds=5)
"""Cameras whose views overlap show somebody at about the same time; so much later, they are at the other one."""
_LAST_SEEN_STEP: Final = timedelta(seconds=1)
"""How much newer a last sighting must be to be told of, where nothing else has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonState:
    """Where a person was last seen, and whether that still holds. ``since``: when the stay began."""

    person_id: str
    name: str = field(repr=False)
    camera: str | None = None
    last_seen: datetime | None = None
    score: float | None = None
    phase: PresencePhase = PresencePhase.LEFT
    since: datetime | None = None

    @property
    def present(self) -> bool:
        return self.phase is not PresencePhase.LEFT

    def to_dict(self) -> dict[str, object]:
        return {
            "person_id": self.person_id,
            "person": self.name,
            "camera": self.camera,
            "last_seen": None if self.last_seen is None else to_wire_time(self.last_seen),
            "score": None if self.score is None else round(self.score, 4),
            "present": self.present,
            "state": self.phase.value,
            "since": None if self.since is None else to_wire_time(self.since),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """Who is before a camera: names, and how many strangers; ``unknown_seen``: when the last of these was."""

    camera: str
    persons: tuple[str, ...] = field(default=(), repr=False)
    unknown: int = 0
    unknown_seen: datetime | None = None
    last_event_id: str | None = None
    ts: datetime | None = None

    def to_dict(self) -> dict[str, object]:
        return {
            "camera": self.camera,
            "persons": list(self.persons),
            "unknown": self.unknown,
            "unknown_seen": None if self.unknown_seen is None else to_wire_time(self.unknown_seen),
            "last_event_id": self.last_event_id,
            "ts": None if self.ts is None else to_wire_time(self.ts),
        }


@dataclass(slots=True, kw_only=True)
class _Camera:
    """``strangers``: when each visit of somebody unknown was last seen."""

    last_event_id: str | None = None
    captured_at: datetime | None = None
    strangers: dict[str, datetime] = field(default_factory=dict)


class Household:
    """The states of all people and cameras. ``hold``: how long a sighting counts as present."""

    def __init__(self, hold: timedelta) -> None:
        self._hold = hold
        self._names: dict[str, str] = {}
        self._presences: dict[tuple[str, str], Presence] = {}
        self._cameras: dict[str, _Camera] = {}
        self._told: dict[str, PersonState | CameraState] = {}

    def set_people(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """Take over who is enrolled (names by id); returns the ids of people that are gone."""
        gone = tuple(person_id for person_id in self._names if person_id not in names)
        for person_id in gone:
            self._told.pop(f"person {person_id}", None)
        self._presences = {key: presence for key, presence in self._presences.items() if key[0] not in gone}
        self._names = dict(names)
        return gone

    def see_person(self, person_id: str, sighting: Sighting) -> None:
        """Somebody was named; one who isn't enrolled any more changes nothing."""
        if person_id not in self._names:
            return
        key = (person_id, sighting.camera)
        self._presences[key] = self._presences.get(key, Presence(hold=self._hold)).seen(sighting)
        camera = self._cameras.setdefault(sighting.camera, _Camera())
        camera.strangers.pop(sighting.visit_id, None)

    def see_stranger(self, camera: str, visit_id: str, captured_at: datetime) -> None:
        """A visit is of somebody who isn't enrolled."""
        strangers = self._cameras.setdefault(camera, _Camera()).strangers
        strangers[visit_id] = max(captured_at, strangers.get(visit_id, captured_at))

    def ignore_stranger(self, camera: str, visit_id: str) -> None:
        """A visit turned out to be of somebody of whom nothing is to be said."""
        self._cameras.setdefault(camera, _Camera()).strangers.pop(visit_id, None)

    def take_back(self, person_id: str, camera: str, visit_id: str) -> None:
        """What a visit said of a person holds no longer."""
        key = (person_id, camera)
        if presence := self._presences.get(key):
            self._presences[key] = presence.taken_back(visit_id)

    def note_event(self, camera: str, event_id: str, captured_at: datetime) -> None:
        """An event was told of a camera; an older one than the last changes nothing."""
        known = self._cameras.setdefault(camera, _Camera())
        if known.captured_at is None or captured_at >= known.captured_at:
            known.last_event_id, known.captured_at = event_id, captured_at

    def forget_camera(self, camera: str) -> bool:
        """Forget who was before a camera; where people were seen last stays. False: nothing was known of it."""
        self._told.pop(f"camera {camera}", None)
        return self._cameras.pop(camera, None) is not None

    def people(self, now: datetime) -> tuple[PersonState, ...]:
        return tuple(self._person(person_id, name, now) for person_id, name in self._names.items())

    def cameras(self, now: datetime) -> tuple[CameraState, ...]:
        return tuple(self._camera(name, camera, now) for name, camera in self._cameras.items())

    def changes(self, now: datetime) -> tuple[PersonState | CameraState, ...]:
        """The states that differ from what this last gave."""
        self._settle(now)
        states: dict[str, PersonState | CameraState] = {
            **{f"person {person.person_id}": person for person in self.people(now)},
            **{f"camera {camera.camera}": camera for camera in self.cameras(now)},
        }
        changed = {key: state for key, state in states.items() if _is_news(self._told.get(key), state)}
        self._told.update(changed)
        return tuple(changed.values())

    def _settle(self, now: datetime) -> None:
        """Give up what is over, and what lies ahead since the clock was set back, which would hold off all that is
        seen now."""
        self._presences = {key: presence.settled(now) for key, presence in self._presences.items()}
        for camera in self._cameras.values():
            if camera.captured_at is not None and camera.captured_at > now + self._hold:
                camera.captured_at = now - self._hold
            camera.strangers = {
                visit_id: seen
                for visit_id, seen in camera.strangers.items()
                if now < seen + self._hold and seen <= now + self._hold
            }

    def next_change(self, now: datetime) -> datetime | None:
        """When a state will change if nothing more is seen."""
        leaving = [presence.leaves_at for presence in self._presences.values()]
        strangers = [seen + self._hold for camera in self._cameras.values() for seen in camera.strangers.values()]
        return min((moment for moment in (*leaving, *strangers) if moment is not None and moment > now), default=None)

    def keep(self) -> list[dict[str, Any]]:
        """Where everybody was last seen, without their names, for the next run."""
        return [
            {
                "person_id": person_id,
                "camera": camera,
                "captured_at": to_wire_time(presence.last.captured_at),
                "since": to_wire_time(presence.since),
                "score": round(presence.last.score, 4),
                "firm": presence.firm,
            }
            for (person_id, camera), presence in self._presences.items()
            if presence.last is not None and presence.since is not None
        ]

    def restore(self, kept: Iterable[Mapping[str, Any]]) -> None:
        """Take over what ``keep`` gave in an earlier run, with its times."""
        for entry in kept:
            person_id, camera = str(entry["person_id"]), str(entry["camera"])
            if person_id not in self._names:
                continue
            last = Sighting(
                camera=camera,
                captured_at=from_wire_time(entry["captured_at"], "captured_at"),
                score=float(entry["score"]),
                firm=bool(entry["firm"]),
            )
            since = from_wire_time(entry["since"], "since")
            self._presences[person_id, camera] = Presence(last=last, since=since, firm=last.firm, hold=self._hold)

    def _person(self, person_id: str, name: str, now: datetime) -> PersonState:
        stays = [(key[1], stay) for key, stay in self._presences.items() if key[0] == person_id]
        seen = [(stay.last, stay) for _, stay in stays if stay.last is not None]
        if not seen:
            return PersonState(person_id=person_id, name=name)
        last, presence = max(seen, key=lambda found: found[0].captured_at)
        return PersonState(
            person_id=person_id,
            name=name,
            camera=last.camera,
            last_seen=last.captured_at,
            score=last.score,
            phase=presence.phase(now),
            since=presence.since,
        )

    def _moved_on(self, person_id: str, presence: Presence) -> bool:
        """Whether the person was seen at another camera so much later that they can't be before this one any more."""
        if presence.last is None:
            return True
        later = presence.last.captured_at + _MOVED
        return any(
            key[0] == person_id and other.last is not None and other.last.captured_at > later
            for key, other in self._presences.items()
        )

    def _camera(self, name: str, camera: _Camera, now: datetime) -> CameraState:
        here = sorted(
            self._names[person_id]
            for (person_id, place), presence in self._presences.items()
            if place == name and presence.present(now) and not self._moved_on(person_id, presence)
        )
        strangers = [seen for seen in camera.strangers.values() if now < seen + self._hold]
        return CameraState(
            camera=name,
            persons=tuple(here),
            unknown=len(strangers),
            unknown_seen=max(strangers, default=None),
            last_event_id=camera.last_event_id,
            ts=camera.captured_at,
        )


def _is_news(told: PersonState | CameraState | None, state: PersonState | CameraState) -> bool:
    """Whether a state is worth telling: anything but a time that is hardly newer, or a score, has changed."""
    if told is None or type(told) is not type(state):
        return True
    if isinstance(told, PersonState) and isinstance(state, PersonState):
        newer = _newer(told.last_seen, state.last_seen)
        told = replace(told, last_seen=None, score=None)
        state = replace(state, last_seen=None, score=None)
    elif isinstance(told, CameraState) and isinstance(state, CameraState):
        newer = _newer(told.unknown_seen, state.unknown_seen)
        told, state = replace(told, unknown_seen=None), replace(state, unknown_seen=None)
    else:
        return True
    return newer or told != state


def _newer(told: datetime | None, now: datetime | None) -> bool:
    if told is None or now is None:
        return told is not now
    return abs(now - told) >= _LAST_SEEN_STEP
