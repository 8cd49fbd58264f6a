"""What an earlier run has left on the broker of people who are not there any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from privface_backend.domain.geometry import Size
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.subscriptions import Listener
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import Event


class LeftOverPublisher(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    topics: Topics

    def retain(self, topic: str, payload: bytes) -> None: ...

    def listen(self, topic_filter: str, listener: Listener, *, needed: bool = True) -> None: ...


class LeftOvers:
    """Clears the states of people who were forgotten or renamed while nobody was there to clear them.

    ``heard``: set once a broker has shown all that it has kept of people. Made after all that listens to more of it.
    """

    def __init__(self, link: LeftOverPublisher) -> None:
        self.heard: Final = asyncio.Event()
        self._link: Final = link
        self._topics: Final = link.topics
        self._shown: frozenset[str] = frozenset()
        link.listen(self._topics.person_state("+"), self._hear, needed=False)
        # Brokers answer one subscription after the other: with our own sign of life, all before it has come.
        link.listen(self._topics.status, self._hear, needed=False)

    def follow_people(self, people: Sequence[ShownPerson]) -> None:
        self._shown = frozenset(self._topics.person_state(person.slug) for person in people)

    def follow_camera(self, camera: ShownCamera) -> None:
        """Cameras are kept over restarts, and shown anew with each."""

    def forget_camera(self, camera: ShownCamera) -> None:
        """As above."""

    def tell(
        self, event: Event, camera: ShownCamera, person: ShownPerson | None, frame: Size | None
    ) -> Sequence[Message]:
        del event, camera, person, frame
        return ()

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.status:
            self.heard.set()
        elif retained and payload and self._is_state(topic) and topic not in self._shown:
            self._link.retain(topic, b"")

    def _is_state(self, topic: str) -> bool:
        before, after = self._topics.person_state("+").split("+")
        slug = topic.removeprefix(before).removesuffix(after)
        return topic == self._topics.person_state(slug) and "/" not in slug
