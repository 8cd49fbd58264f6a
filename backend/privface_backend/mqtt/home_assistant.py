"""Shows the household in Home Assistant without PrivFace's own integration: its MQTT discovery makes the devices."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from privface_backend import __version__
from privface_backend.domain.geometry import Size
from privface_backend.mqtt.devices import SEEN, Devices, event_attributes, forgotten_attributes
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.subscriptions import Listener
from privface_backend.mqtt.topics import ONLINE, encode_json
from privface_backend.protocol import Event, Outcome

_LONGEST_WAIT: Final = 2.0
_FORGOTTEN_LIFETIME: Final = timedelta(minutes=5)


class DevicePublisher(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    def publish_state(self, topic: str, payload: Mapping[str, object] | None) -> None: ...

    def retain(self, topic: str, payload: bytes) -> None: ...

    def retain_again(self, prefix: str) -> None: ...

    def publish(self, messages: Iterable[Message], expires_at: datetime, *, person_id: str | None = None) -> None: ...

    def listen(self, topic_filter: str, listener: Listener, *, needed: bool = True) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def _some_seconds() -> float:
    """When many start at once with Home Assistant, they needn't all answer at once."""
    return random.uniform(0, _LONGEST_WAIT)  # noqa: S311  # nothing to guess here


class HomeAssistant:
    """Keeps the devices in step with people and cameras, and clears those that an earlier run has left.

    ``enabled`` off: shows none, and clears all. ``engine``: what looks, in words. ``run`` is its whole life.
    """

    def __init__(
        self,
        link: DevicePublisher,
        devices: Devices,
        *,
        enabled: bool,
        engine: str,
        delay: Callable[[], float] = _some_seconds,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._link: Final = link
        self._devices: Final = devices
        self._enabled: Final = enabled
        self._engine: Final = engine
        self._delay: Final = delay
        self._clock: Final = clock
        self._people: dict[str, ShownPerson] = {}
        self._cameras: Final[dict[str, ShownCamera]] = {}
        self._named: Final[dict[str, str | None]] = {}
        self._shown: Final[set[str]] = set()
        self._born: Final = asyncio.Event()
        link.listen(devices.topic("+"), self._hear, needed=enabled)
        link.listen(devices.topics.backend_state, self._hear, needed=False)
        if enabled:
            link.listen(devices.birth_topic, self._hear, needed=False)
            self._show("backend", devices.backend())

    async def run(self) -> None:
        """Show everything again each time that Home Assistant says that it has started, until cancelled."""
        while True:
            await self._born.wait()
            await asyncio.sleep(self._delay())
            self._born.clear()
            self._link.retain_again(self._devices.topic("+").partition("+")[0])

    def follow_people(self, people: Sequence[ShownPerson]) -> None:
        if not self._enabled:
            return
        now = {person.id: person for person in people}
        for person_id, gone in self._people.items():
            if person_id not in now:
                self._clear(self._devices.person_key(gone))
                self.tell_forgotten(person_id)
        for person_id, person in now.items():
            if self._people.get(person_id) != person:
                self._show(self._devices.person_key(person), self._devices.person(person))
        self._people = now
        state = {"version": __version__, "engine": self._engine, "people": len(now)}
        self._link.publish_state(self._devices.topics.backend_state, state)

    def tell_forgotten(self, person_id: str) -> None:
        """Take a person off the event entities of cameras, which go on showing their last event: of those whose last
        one named the person, or came before this run."""
        if not self._enabled:
            return
        now = self._clock()
        for camera in self._cameras.values():
            if self._named.get(camera.slug, person_id) == person_id:
                self._named[camera.slug] = None
                payload = encode_json(forgotten_attributes(camera.name, now, _FORGOTTEN_LIFETIME))
                message = Message(self._devices.topics.camera_event(camera.slug), payload)
                self._link.publish((message,), now + _FORGOTTEN_LIFETIME)

    def follow_camera(self, camera: ShownCamera) -> None:
        self._cameras[camera.name] = camera
        if self._enabled:
            self._show(self._devices.camera_key(camera), self._devices.camera(camera))

    def forget_camera(self, camera: ShownCamera) -> None:
        self._cameras.pop(camera.name, None)
        self._named.pop(camera.slug, None)
        if self._enabled:
            self._clear(self._devices.camera_key(camera))

    def tell(
        self, event: Event, camera: ShownCamera, person: ShownPerson | None, frame: Size | None
    ) -> Sequence[Message]:
        del frame
        if not self._enabled:
            return ()
        self._named[camera.slug] = event.person_id
        topics = self._devices.topics
        messages = [
            Message(topics.camera_event(camera.slug), encode_json(event_attributes(event, event.outcome.value)))
        ]
        if person is not None and event.outcome is Outcome.KNOWN:
            messages.append(Message(topics.person_event(person.slug), encode_json(event_attributes(event, SEEN))))
        return messages

    def _show(self, device: str, message: Mapping[str, object]) -> None:
        topic = self._devices.topic(device)
        self._shown.add(topic)
        self._link.publish_state(topic, message)

    def _clear(self, device: str) -> None:
        topic = self._devices.topic(device)
        self._shown.discard(topic)
        self._link.retain(topic, b"")

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._devices.birth_topic:
            # One that was kept is as old as the broker; what we retain was sent with this connection.
            if payload == ONLINE and not retained:
                self._born.set()
        elif retained and payload and self._is_left_over(topic):
            self._link.retain(topic, b"")

    def _is_left_over(self, topic: str) -> bool:
        """Whether an earlier run has left what stands on ``topic``."""
        if topic == self._devices.topics.backend_state:
            return not self._enabled
        before, after = self._devices.topic("+").split("+")
        return topic.startswith(before) and topic.endswith(after) and topic not in self._shown
