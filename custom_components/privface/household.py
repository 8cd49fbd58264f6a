"""Who is where, as this home sees it: a pure bookkeeping of sightings, asked with the time.

Everything is judged by when a frame was captured, never by when word of it came: a late message changes no state that a
newer frame has set, and shows nobody present.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from .api import Event, Outcome, Person, PersonState

NOBODY: Final = "nobody"
STRANGER: Final = "stranger"
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
class CameraView:
    """What was last decided about a camera's frames. ``last_person`` is a person's id or ``STRANGER``."""

    captured_at: datetime
    last_person: str | None = None
    strangers_at: datetime | None = None
    strangers: frozenset[str] = frozenset()


class Household:
    """The people and the cameras. ``present``, ``stranger``: how long a sighting counts."""

    def __init__(self, *, present: timedelta, stranger: timedelta) -> None:
        self._present = present
        self._stranger = stranger
        self.people: dict[str, KnownPerson] = {}
        self.cameras: dict[str, CameraView] = {}

    def set_people(self, people: Iterable[Person]) -> None:
        """Take over who is enrolled; those who aren't any more go."""
        self._set_names({person.id: person.name for person in people})

    def set_states(self, states: Iterable[PersonState], now: datetime) -> None:
        """Take over a whole snapshot: who is enrolled, and where they were last seen."""
        listed = tuple(states)
        self._set_names({state.person_id: state.person for state in listed})
        for state in listed:
            self.take_state(state, now)

    def _set_names(self, names: dict[str, str]) -> None:
        self.people = {
            person_id: replace(self.people.get(person_id, KnownPerson(person_id=person_id, name=name)), name=name)
            for person_id, name in names.items()
        }

    def take_state(self, state: PersonState, now: datetime) -> None:
        """Take where a person was last seen; older than what is known, it changes nothing."""
        if state.camera and state.last_seen:
            self.restore_person(state.person_id, state.camera, state.last_seen, now, score=state.score)

    def restore_person(
        self, person_id: str, camera: str, captured_at: datetime, now: datetime, *, score: float | None = None
    ) -> None:
        """Take what is told of the past. A time ahead of ``now`` says nothing about the present."""
        if captured_at > now:
            captured_at = now - self._present
        self.see(person_id, Sighting(camera=camera, captured_at=captured_at, score=score))

    def see(self, person_id: str, sighting: Sighting) -> None:
        """Note a sighting, unless the person isn't enrolled or was seen later than that."""
        person = self.people.get(person_id)
        if person and (person.last is None or sighting.captured_at >= person.last.captured_at):
            self.people[person_id] = replace(person, last=sighting)

    def take_event(self, event: Event, now: datetime) -> None:
        """Take a decision in. Nothing was captured after it came: that is a sender's clock that is ahead."""
        captured_at = min(event.captured_at, now)
        if event.outcome is Outcome.KNOWN and event.person_id:
            sighting = Sighting(camera=event.camera, captured_at=captured_at, score=event.score)
            self.see(event.person_id, sighting)
        view = self.cameras.get(event.camera, CameraView(captured_at=captured_at))
        if captured_at < view.captured_at:
            return
        view = replace(view, captured_at=captured_at)
        if event.outcome is Outcome.KNOWN and event.person_id:
            view = replace(view, last_person=event.person_id)
        elif event.outcome is Outcome.UNKNOWN:
            together = view.strangers if view.strangers_at == captured_at else frozenset()
            view = replace(view, last_person=STRANGER, strangers_at=captured_at, strangers=together | {event.event_id})
        self.cameras[event.camera] = view

    def restore_camera(self, camera: str, last_person: str, captured_at: datetime) -> None:
        """Take what was shown before a restart (an id or ``STRANGER``), where nothing newer is known."""
        view = self.cameras.get(camera)
        if view is None or (view.last_person is None and view.captured_at <= captured_at):
            self.cameras[camera] = CameraView(captured_at=captured_at, last_person=last_person)

    def last_person_at(self, camera: str) -> str | None:
        """The name of who was last before the camera, or ``STRANGER``; None too where they aren't enrolled any more."""
        view = self.cameras.get(camera)
        if view is None or view.last_person in {None, STRANGER}:
            return None if view is None else view.last_person
        person = self.people.get(view.last_person or "")
        return None if person is None else show_name(person.name)

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
        """How many unknown people the camera's last frame with one showed, while that counts."""
        view = self.cameras.get(camera)
        if view is None or view.strangers_at is None or now >= view.strangers_at + self._stranger:
            return 0
        return len(view.strangers)

    def next_change(self, now: datetime) -> datetime | None:
        """When something stops counting if nothing more is seen."""
        leaving = [person.last.captured_at + self._present for person in self.people.values() if person.last]
        strangers = [view.strangers_at + self._stranger for view in self.cameras.values() if view.strangers_at]
        return min((moment for moment in (*leaving, *strangers) if moment > now), default=None)


def show_name(name: str) -> str:
    """A name as states show it, which can't be taken for what they say instead of one."""
    return f"{name} (person)" if name.casefold() in RESERVED else name
