"""Who is where, as this home sees it: a pure bookkeeping of visits and sightings, asked with the time.

Everything is judged by when a frame was captured, never by when word of it came: a late message changes no state that a
newer frame has set, and shows nobody present.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from .api import CameraState, Event, Person, PersonState, Snapshot
from .visits import STRANGER, Visit, Visits

NOBODY: Final = "nobody"
RESERVED: Final = frozenset({NOBODY, STRANGER, "unknown", "unavailable"})
"""What states say instead of a name: nobody can be called that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A person on a camera (the backend's name of it)."""

    camera: str
    captured_at: datetime
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """An enrolled person, and where they were last seen."""

    person_id: str
    name: str = field(repr=False)
    last: Sighting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPerson:
    """Who was last named before a camera: a person's id or ``STRANGER``."""

    person: str
    captured_at: datetime


class Household:
    """The people and the cameras. ``present``, ``stranger``: how long a sighting counts."""

    def __init__(self, *, present: timedelta, stranger: timedelta) -> None:
        self._present = present
        self._stranger = stranger
        self._visits = Visits()
        # What is known beside visits: of the past, and of visits that are forgotten.
        self._sightings: dict[str, Sighting] = {}
        self._last: dict[str, LastPerson] = {}
        self.people: dict[str, KnownPerson] = {}

    def set_people(self, people: Iterable[Person]) -> None:
        """Take over who is enrolled; those who aren't any more go."""
        self._set_names({person.id: person.name for person in people})

    def take_snapshot(self, snapshot: Snapshot, now: datetime) -> None:
        """Take over everything: who is enrolled, what was decided, where everybody is."""
        self._set_names({state.person_id: state.person for state in snapshot.people})
        # States say of nobody whose visit they mean: events first.
        for event in reversed(snapshot.events):
            self.take_event(event, now)
        for state in snapshot.people:
            self.take_state(state, now)
        for camera in snapshot.cameras:
            self.take_camera(camera, now)

    def _set_names(self, names: dict[str, str]) -> None:
        self.people = {person_id: KnownPerson(person_id=person_id, name=name) for person_id, name in names.items()}
        self._sightings = {person_id: last for person_id, last in self._sightings.items() if person_id in names}
        self._find_people()

    def take_state(self, state: PersonState, now: datetime) -> None:
        """Take where a person was last seen; older than what is known, it changes nothing."""
        if state.camera and state.last_seen:
            self.restore_person(state.person_id, state.camera, state.last_seen, now, score=state.score)

    def restore_person(
        self, person_id: str, camera: str, captured_at: datetime, now: datetime, *, score: float | None = None
    ) -> None:
        """Take where somebody was at a time: still in a visit that is known, or in one that isn't.

        Nothing was captured after now. A time that is far ahead says nothing about the present.
        """
        captured_at = min(captured_at, now) if captured_at < now + self._present else now - self._present
        visits = [visit for visit in self._visits.of(person_id, camera) if visit.since <= captured_at]
        if visits:
            self._visits.see(visits[-1], captured_at)
        else:
            self._note(person_id, Sighting(camera=camera, captured_at=captured_at, score=score))
        self._find_people()

    def _note(self, person_id: str, sighting: Sighting) -> None:
        """Note a sighting of a visit that isn't known, unless the person isn't enrolled or was seen later than that."""
        known = self._sightings.get(person_id)
        if person_id in self.people and (known is None or sighting.captured_at >= known.captured_at):
            self._sightings[person_id] = sighting

    def take_event(self, event: Event, now: datetime) -> None:
        """Take a decision in. Nothing was captured after it came: that is a sender's clock that is ahead."""
        for visit in self._visits.take_event(event, min(event.captured_at, now)):
            self._keep(visit)
        self._find_people()

    def _keep(self, visit: Visit) -> None:
        """Keep of a forgotten visit what is still asked for."""
        if visit.said is None:
            return
        if visit.said != STRANGER:
            self._note(visit.said, _sighting(visit))
        self.restore_camera(visit.camera, visit.said, visit.said_at)

    def take_camera(self, state: CameraState, now: datetime) -> None:
        """Take how many strangers are before a camera: those of the newest visits are still there."""
        if state.unknown_seen is None or state.unknown <= 0:
            return
        for visit in self._visits.of(STRANGER, state.camera)[-state.unknown :]:
            self._visits.see(visit, min(state.unknown_seen, now))

    def restore_camera(self, camera: str, last_person: str, captured_at: datetime) -> None:
        """Take who was last before a camera (an id or ``STRANGER``), where nothing newer is known."""
        known = self._last.get(camera)
        if known is None or known.captured_at <= captured_at:
            self._last[camera] = LastPerson(person=last_person, captured_at=captured_at)

    def _find_people(self) -> None:
        """Work out where everybody was last."""
        last = dict(self._sightings)
        for visit in self._visits:
            known = last.get(visit.said or "")
            if visit.said is not None and (known is None or visit.seen >= known.captured_at):
                last[visit.said] = _sighting(visit)
        self.people = {
            person_id: replace(person, last=last.get(person_id)) for person_id, person in self.people.items()
        }

    def last_at(self, camera: str) -> LastPerson | None:
        """Who was last named before the camera, and when."""
        named = [
            (visit.said_at, visit.ts, visit.said) for visit in self._visits if visit.camera == camera and visit.said
        ]
        known = self._last.get(camera)
        if not named:
            return known
        captured_at, _ts, person = max(named)
        if known is not None and known.captured_at > captured_at:
            return known
        return LastPerson(person=person, captured_at=captured_at)

    def last_person_at(self, camera: str) -> str | None:
        """The name of who was last before the camera, or ``STRANGER``; None too where they aren't enrolled any more."""
        last = self.last_at(camera)
        if last is None or last.person == STRANGER:
            return None if last is None else STRANGER
        person = self.people.get(last.person)
        return None if person is None else show_name(person.name)

    def seen_before(self, person_id: str, visit_id: str) -> datetime | None:
        """When somebody was last seen apart from a visit."""
        kept = self._sightings.get(person_id)
        seen = [visit.seen for visit in self._visits if visit.said == person_id and visit.visit_id != visit_id]
        return max([*seen, *([] if kept is None else [kept.captured_at])], default=None)

    def is_present(self, person_id: str, now: datetime) -> bool:
        """Whether the person's last sighting still counts."""
        person = self.people.get(person_id)
        return person is not None and self._counts(person, now)

    def _counts(self, person: KnownPerson, now: datetime) -> bool:
        return person.last is not None and now < person.last.captured_at + self._present

    def people_at(self, camera: str, now: datetime) -> tuple[str, ...]:
        """The names of those whose last sighting was on this camera and still counts, in order."""
        here = (person for person in self.people.values() if person.last and person.last.camera == camera)
        return tuple(sorted(show_name(person.name) for person in here if self._counts(person, now)))

    def strangers_at(self, camera: str, now: datetime) -> int:
        """How many unknown people are before the camera: those who were seen since the last of them came."""
        here = [visit for visit in self._visits.of(STRANGER, camera) if now < visit.seen + self._stranger]
        newest = max((visit.since for visit in here), default=now)
        return len({visit.stranger or visit.visit_id for visit in here if visit.seen >= newest})

    def next_change(self, now: datetime) -> datetime | None:
        """When something stops counting if nothing more is seen."""
        leaving = [person.last.captured_at + self._present for person in self.people.values() if person.last]
        strangers = [visit.seen + self._stranger for visit in self._visits if visit.said == STRANGER]
        return min((moment for moment in (*leaving, *strangers) if moment > now), default=None)


def _sighting(visit: Visit) -> Sighting:
    return Sighting(camera=visit.camera, captured_at=visit.seen, score=visit.score)


def show_name(name: str) -> str:
    """A name as states show it, which can't be taken for what they say instead of one."""
    return f"{name} (person)" if name.casefold() in RESERVED else name
