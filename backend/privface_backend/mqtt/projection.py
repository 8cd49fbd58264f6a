"""What the broker shows of the household: events and states by topic, and commands back to cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from privface_backend.domain.geometry import Size
from privface_backend.domain.people import Person
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.slugs import assign_slugs
from privface_backend.mqtt.topics import Command, SetEnabled, Topics, camera_advice, camera_state, person_state
from privface_backend.pipeline.cameras import Camera, Cameras
from privface_backend.pipeline.household import CameraState, PersonState
from privface_backend.protocol import Advice, Event


class StatePublisher(Protocol):
    """The part of ``MqttLink`` that events and states need."""

    topics: Topics

    def publish_event(self, event: Event, more: Iterable[Message] = ()) -> None: ...

    def publish_state(self, topic: str, payload: Mapping[str, object] | None) -> None: ...

    def publish_camera_settings(self, slug: str, *, enabled: bool, privacy: int) -> None: ...

    def clear_camera(self, slug: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """A person, and what their topics are called."""

    id: str
    name: str = field(repr=False)
    slug: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCamera:
    """A camera, and what its topics are called. ``askable``: see ``Camera``."""

    name: str
    slug: str
    askable: bool = False


class Follower(Protocol):
    """Shows the household in another way, besides."""

    def follow_people(self, people: Sequence[ShownPerson]) -> None:
        """Take over who is enrolled, oldest first; anything of theirs may have changed."""

    def follow_camera(self, camera: ShownCamera) -> None:
        """Take over a camera, a new one or one that has changed."""

    def forget_camera(self, camera: ShownCamera) -> None:
        """A camera is gone."""

    def tell(
        self, event: Event, camera: ShownCamera, person: ShownPerson | None, frame: Size | None
    ) -> Sequence[Message]:
        """An event of a camera; what is to be published together with it. ``frame``: the size of its frame."""


class MqttProjection:
    """Keeps the retained topics in step with people and cameras; a topic whose person or camera went is cleared."""

    def __init__(
        self, publisher: StatePublisher, default_parameter: Callable[[], int], followers: Sequence[Follower] = ()
    ) -> None:
        self._publisher: Final = publisher
        self._default_parameter: Final = default_parameter
        self._followers: Final = tuple(followers)
        self._people: dict[str, ShownPerson] = {}
        self._person_states: dict[str, PersonState] = {}
        self._cameras: dict[str, ShownCamera] = {}
        self._camera_states: dict[str, CameraState] = {}
        self._camera_settings: dict[str, Camera] = {}
        self._advice: dict[str, Advice] = {}

    def set_people(self, people: Sequence[Person]) -> None:
        """Take over who is enrolled, oldest first. A renamed person moves to a new topic."""
        slugs = assign_slugs((person.id, person.name) for person in people)
        before = {person_id: shown.slug for person_id, shown in self._people.items()}
        for person_id, slug in before.items():
            if slugs.get(person_id) != slug:
                self._publisher.publish_state(self._publisher.topics.person_state(slug), None)
        self._people = {
            person.id: ShownPerson(id=person.id, name=person.name, slug=slugs[person.id]) for person in people
        }
        self._person_states = {key: state for key, state in self._person_states.items() if key in slugs}
        for person_id in (person_id for person_id, slug in slugs.items() if before.get(person_id) != slug):
            if state := self._person_states.get(person_id):
                self.show_person(state)
        for follower in self._followers:
            follower.follow_people(tuple(self._people.values()))

    def show_person(self, state: PersonState) -> None:
        shown = self._people.get(state.person_id)
        if shown is None:
            return
        self._person_states[state.person_id] = state
        payload = person_state(
            name=state.name,
            camera=state.camera,
            last_seen=state.last_seen,
            score=state.score,
            phase=state.phase,
            since=state.since,
        )
        self._publisher.publish_state(self._publisher.topics.person_state(shown.slug), payload)

    def show_camera(self, state: CameraState) -> None:
        self._camera_states[state.camera] = state
        payload = camera_state(
            camera=state.camera,
            persons=state.persons,
            unknown=state.unknown,
            last_event_id=state.last_event_id,
            ts=state.ts,
        )
        topic = self._publisher.topics.camera_state(self._shown_camera(state.camera).slug)
        self._publisher.publish_state(topic, payload)

    def show_camera_settings(self, camera: Camera) -> None:
        self._camera_settings[camera.name] = camera
        shown = self._shown_camera(camera.name)
        parameter = self._default_parameter() if camera.parameter is None else camera.parameter
        self._publisher.publish_camera_settings(shown.slug, enabled=camera.enabled, privacy=parameter)
        if camera.name not in self._camera_states:
            # An earlier run may have left on the broker who was there then.
            self.show_camera(CameraState(camera=camera.name))
        if camera.askable != shown.askable:
            self._show_anew(ShownCamera(name=shown.name, slug=shown.slug, askable=camera.askable))

    def show_advice(self, camera: str, advice: Advice | None) -> None:
        """Show how strongly a camera's frames should be anonymized; None: nothing is advised any more."""
        shown = self._shown_camera(camera)
        if advice is None:
            self._advice.pop(camera, None)
        else:
            self._advice[camera] = advice
        payload = None if advice is None else camera_advice(camera, advice)
        self._publisher.publish_state(self._publisher.topics.camera_advice(shown.slug), payload)

    def forget_camera(self, name: str) -> None:
        """Take a camera off the broker."""
        gone = self._cameras.pop(name, None)
        if gone is None:
            return
        self._camera_states.pop(name, None)
        self._camera_settings.pop(name, None)
        self._advice.pop(name, None)
        for follower in self._followers:
            follower.forget_camera(gone)
        self._publisher.clear_camera(gone.slug)
        self._assign_camera_slugs(self._cameras)

    def tell(self, event: Event, frame: Size | None = None) -> None:
        """Publish an event. ``frame``: the size in pixels of the frame that it is about."""
        person = None if event.person_id is None else self._people.get(event.person_id)
        # An event of a recording is of no camera that is there.
        camera = self._cameras.get(event.camera)
        more = (
            []
            if camera is None
            else [message for one in self._followers for message in one.tell(event, camera, person, frame)]
        )
        self._publisher.publish_event(event, more)

    def follow(self, command: Command, cameras: Cameras) -> str | None:
        """Carry a command out; the camera's name. One for a camera that was never seen is ignored: it names nothing."""
        names = {shown.slug: name for name, shown in self._cameras.items()}
        name = names.get(command.camera_slug)
        if name is None:
            return None
        if isinstance(command, SetEnabled):
            cameras.enable(name, enabled=command.enabled)
        else:
            cameras.set_parameter(name, command.parameter)
        return name

    def _shown_camera(self, name: str) -> ShownCamera:
        if name not in self._cameras:
            self._assign_camera_slugs((*self._cameras, name))
        return self._cameras[name]

    def _assign_camera_slugs(self, names: Iterable[str]) -> None:
        """Give each camera its slug. Those that are there keep theirs, unless one that was before them has gone."""
        for name, slug in assign_slugs((name, name) for name in tuple(names)).items():
            before = self._cameras.get(name)
            if before is not None and before.slug == slug:
                continue
            if before is not None:
                self._publisher.clear_camera(before.slug)
            self._show_anew(ShownCamera(name=name, slug=slug, askable=before is not None and before.askable))
            if before is not None:
                self._show_moved(name)

    def _show_moved(self, name: str) -> None:
        if state := self._camera_states.get(name):
            self.show_camera(state)
        if settings := self._camera_settings.get(name):
            self.show_camera_settings(settings)
        if advice := self._advice.get(name):
            self.show_advice(name, advice)

    def _show_anew(self, camera: ShownCamera) -> None:
        self._cameras[camera.name] = camera
        for follower in self._followers:
            follower.follow_camera(camera)
