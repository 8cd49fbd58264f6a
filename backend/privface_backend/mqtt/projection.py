"""What the broker shows of the household: events and states by topic, and commands back to cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from privface_backend.domain.people import Person
from privface_backend.mqtt.slugs import assign_slugs
from privface_backend.mqtt.topics import Command, SetEnabled, Topics, camera_state, person_state
from privface_backend.pipeline.cameras import Camera, Cameras
from privface_backend.pipeline.household import CameraState, PersonState


class StatePublisher(Protocol):
    """The part of ``MqttLink`` that states need."""

    topics: Topics

    def publish_state(self, topic: str, payload: Mapping[str, object] | None) -> None: ...

    def publish_camera_settings(self, slug: str, *, enabled: bool, privacy: int) -> None: ...


class MqttProjection:
    """Keeps the retained topics in step with people and cameras; a topic whose person went is cleared."""

    def __init__(self, publisher: StatePublisher, default_parameter: Callable[[], int]) -> None:
        self._publisher: Final = publisher
        self._default_parameter: Final = default_parameter
        self._people: dict[str, str] = {}
        self._person_states: dict[str, PersonState] = {}
        self._cameras: dict[str, str] = {}

    def set_people(self, people: Sequence[Person]) -> None:
        """Take over who is enrolled, oldest first. A renamed person moves to a new topic."""
        slugs = assign_slugs((person.id, person.name) for person in people)
        for person_id, slug in self._people.items():
            if slugs.get(person_id) != slug:
                self._publisher.publish_state(self._publisher.topics.person_state(slug), None)
        moved = [person_id for person_id, slug in slugs.items() if self._people.get(person_id) != slug]
        self._people = slugs
        self._person_states = {key: state for key, state in self._person_states.items() if key in slugs}
        for person_id in moved:
            if state := self._person_states.get(person_id):
                self.show_person(state)

    def show_person(self, state: PersonState) -> None:
        slug = self._people.get(state.person_id)
        if slug is None:
            return
        self._person_states[state.person_id] = state
        payload = person_state(
            camera=state.camera,
            last_seen=state.last_seen,
            score=state.score,
            phase=state.phase,
            since=state.since,
        )
        self._publisher.publish_state(self._publisher.topics.person_state(slug), payload)

    def show_camera(self, state: CameraState) -> None:
        if state.ts is None:
            return
        payload = camera_state(
            persons=state.persons, unknown=state.unknown, last_event_id=state.last_event_id, ts=state.ts
        )
        self._publisher.publish_state(self._publisher.topics.camera_state(self._camera_slug(state.camera)), payload)

    def show_camera_settings(self, camera: Camera) -> None:
        parameter = self._default_parameter() if camera.parameter is None else camera.parameter
        self._publisher.publish_camera_settings(
            self._camera_slug(camera.name), enabled=camera.enabled, privacy=parameter
        )

    def follow(self, command: Command, cameras: Cameras) -> None:
        """Carry a command out. One for a camera that was never seen is ignored: it names nothing."""
        names = {slug: name for name, slug in self._cameras.items()}
        name = names.get(command.camera_slug)
        if name is None:
            return
        if isinstance(command, SetEnabled):
            cameras.enable(name, enabled=command.enabled)
        else:
            cameras.set_parameter(name, command.parameter)

    def _camera_slug(self, name: str) -> str:
        if name not in self._cameras:
            # Cameras only ever come: those that are there keep their slugs.
            self._cameras = assign_slugs((camera, camera) for camera in (*self._cameras, name))
        return self._cameras[name]
