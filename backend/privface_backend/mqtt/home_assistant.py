"""Shows the household in Home Assistant without PrivFace's own integration: its MQTT discovery makes the devices."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from privface_backend import __version__
from privface_backend.domain.geometry import Size
from privface_backend.mqtt.announcements import Announcements
from privface_backend.mqtt.devices import SEEN, Devices, event_attributes, forgotten_attributes
from privface_backend.mqtt.layouts import DiscoveryTopics, make_layout, only_children
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.settings import DiscoveryLayout
from privface_backend.mqtt.subscriptions import Listener
from privface_backend.mqtt.topics import ONLINE, encode_json
from privface_backend.protocol import Event, Outcome

_LONGEST_WAIT: Final = 2.0
_FORGOTTEN_LIFETIME: Final = timedelta(minutes=5)
_PAUSE: Final = 0.25
"""Seconds in which changes are gathered."""
_REPEAT_AFTER: Final = 30.0
"""Seconds without a change, after which everything is sent once more. A Home Assistant that is still busy with a
component of the message before skips what comes after it; what it has already, it ignores."""
_QUIET: Final = 0.5
"""Seconds without more of what an earlier run left, after which there is no more of it."""
_REPLAY_SECONDS: Final = 60
_AFTER_REPLAY: Final = 2.0


class DevicePublisher(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    def connections(self) -> AsyncIterator[None]: ...

    def publish(self, messages: Iterable[Message], expires_at: datetime) -> None: ...

    def publish_state(self, topic: str, payload: Mapping[str, object] | None) -> None: ...

    def retain(self, topic: str, payload: bytes) -> None: ...

    def retain_again(self, prefix: str) -> None: ...

    def listen(self, topic_filter: str, listener: Listener, *, needed: bool = True) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def _some_seconds() -> float:
    """When many start at once with Home Assistant, they needn't all answer at once."""
    return random.uniform(0, _LONGEST_WAIT)  # noqa: S311  # nothing to guess here


class HomeAssistant:
    """Keeps the devices in step with people and cameras, and clears those that an earlier run has left.

    ``layout``: None shows no device, and clears all. ``engine``: what looks, in words. ``run`` and ``greet`` are its
    whole life.
    """

    def __init__(
        self,
        link: DevicePublisher,
        devices: Devices,
        topics: DiscoveryTopics,
        *,
        layout: DiscoveryLayout | None,
        engine: str,
        delay: Callable[[], float] = _some_seconds,
        repeat_after: float = _REPEAT_AFTER,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._link: Final = link
        self._devices: Final = devices
        self._topics: Final = topics
        self._shown: Final = (
            None if layout is None else Announcements(make_layout(layout, topics, devices.topics.status))
        )
        self._engine: Final = engine
        self._delay: Final = delay
        self._repeat_after: Final = repeat_after
        self._clock: Final = clock
        self._people: dict[str, ShownPerson] = {}
        self._cameras: Final[dict[str, ShownCamera]] = {}
        self._named: Final[dict[str, str | None]] = {}
        self._changed: Final = asyncio.Event()
        self._published: Final = asyncio.Event()
        self._born: Final = asyncio.Event()
        self._cleared: Final = asyncio.Event()
        self._replay: bytes = b""
        for topic_filter in topics.filters:
            link.listen(topic_filter, self._hear, needed=layout is not None)
        link.listen(devices.topics.backend_state, self._hear, needed=False)
        if self._shown is not None:
            link.listen(topics.birth, self._hear, needed=False)
            self._shown.show(devices.backend())
            self._changed.set()

    async def run(self) -> None:
        """Publish what has changed, until cancelled."""
        try:
            await self._settle()
            while True:
                await self._changed.wait()
                while self._changed.is_set():
                    await asyncio.sleep(_PAUSE)
                    self._publish()
                    await self._wait_for_change(self._repeat_after)
                self._link.retain_again(self._topics.below)
        finally:
            self._publish()

    async def greet(self) -> None:
        """Show everything again each time that Home Assistant says that it has started, until cancelled."""
        while True:
            await self._born.wait()
            await asyncio.sleep(self._delay())
            self._born.clear()
            if self._replay:
                self._link.publish(
                    (Message(self._topics.whole, self._replay), Message(self._topics.whole, b"")),
                    datetime.now(UTC) + timedelta(seconds=_REPLAY_SECONDS),
                )
                self._replay = b""
                await asyncio.sleep(_AFTER_REPLAY)
            self._link.retain_again(self._topics.below)

    def follow_people(self, people: Sequence[ShownPerson]) -> None:
        if self._shown is None:
            return
        now = {person.id: person for person in people}
        for person_id, gone in self._people.items():
            if person_id not in now:
                self._shown.drop(self._devices.person_key(gone))
                self.tell_forgotten(person_id)
        for person_id, person in now.items():
            if self._people.get(person_id) != person:
                self._shown.show(self._devices.person(person))
        self._people = now
        self._changed.set()
        self._published.clear()
        state = {"version": __version__, "engine": self._engine, "people": len(now)}
        self._link.publish_state(self._devices.topics.backend_state, state)

    def tell_forgotten(self, person_id: str) -> None:
        """Take a person off the event entities of cameras, which go on showing their last event: of those whose last
        one named the person, or came before this run."""
        if self._shown is None:
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
        if self._shown is not None:
            self._shown.show(self._devices.camera(camera))
            self._changed.set()

    def forget_camera(self, camera: ShownCamera) -> None:
        self._cameras.pop(camera.name, None)
        self._named.pop(camera.slug, None)
        if self._shown is not None:
            self._shown.drop(self._devices.camera_key(camera))
            self._changed.set()

    def tell(
        self, event: Event, camera: ShownCamera, person: ShownPerson | None, frame: Size | None
    ) -> Sequence[Message]:
        del frame
        if self._shown is None:
            return ()
        self._named[camera.slug] = event.person_id
        topics = self._devices.topics
        messages = [
            Message(topics.camera_event(camera.slug), encode_json(event_attributes(event, event.outcome.value)))
        ]
        if person is not None and event.outcome is Outcome.KNOWN:
            messages.append(Message(topics.person_event(person.slug), encode_json(event_attributes(event, SEEN))))
        return messages

    async def _settle(self) -> None:
        """Let what an earlier run left in another layout be cleared first: while Home Assistant has it, it refuses the
        same entities in another message."""
        await anext(self._link.connections())
        self._cleared.set()
        while self._cleared.is_set():
            self._cleared.clear()
            await asyncio.sleep(_QUIET)

    async def _wait_for_change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def published(self) -> None:
        """Wait until what is shown of people has been handed to the link."""
        if self._shown is not None:
            await self._published.wait()

    def _publish(self) -> None:
        self._changed.clear()
        self._published.set()
        for topic, payload in () if self._shown is None else self._shown.messages():
            self._link.retain(topic, payload)
        if self._cleared.is_set():
            # It came late: what was sent before may have been refused.
            self._cleared.clear()
            self._link.retain_again(self._topics.below)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.birth:
            # One that was kept is as old as the broker; what we retain was sent with this connection.
            if not retained:
                self._hear_home(there=payload == ONLINE)
        elif not retained or not payload:
            pass
        elif topic == self._devices.topics.backend_state:
            if self._shown is None:
                self._link.retain(topic, b"")
        elif topic.startswith(self._topics.below) and topic.endswith("/config"):
            self._find(topic, payload)

    def _hear_home(self, *, there: bool) -> None:
        if there:
            self._born.set()
        else:
            # It was there until now, and has seen what was cleared.
            self._replay = b""

    def _find(self, topic: str, payload: bytes) -> None:
        if self._shown is not None and self._shown.find(topic, payload):
            self._changed.set()
            return
        self._link.retain(topic, b"")
        if self._shown is None or self._shown.holds(topic):
            return
        self._cleared.set()
        self._changed.set()
        if topic == self._topics.whole:
            # A Home Assistant that was away keeps the children, and refuses devices in their place until they are gone.
            self._replay = only_children(payload)
