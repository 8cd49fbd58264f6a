"""Tells each decision once more, the way that Double Take does, over a connection of its own: its ``available`` is that
connection's last will."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

from privface_backend.domain.geometry import Size
from privface_backend.mqtt.double_take import (
    RESET_SECONDS,
    UNKNOWN,
    DoubleTakeTopics,
    camera_payload,
    match_payload,
    topic_names,
    unknown_payload,
)
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.topics import encode_json
from privface_backend.protocol import Event, Outcome, Phase

_MOST_COUNTED: Final = 100


class MirrorPublisher(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    def publish(self, messages: Iterable[Message], expires_at: datetime, *, person_id: str | None = None) -> None: ...

    def retain(self, topic: str, payload: bytes) -> None: ...


class DoubleTakeMirror:
    """Publishes confirmed decisions, and counts each camera's visits until none has come for ``reset`` seconds.

    ``now``: seconds of a clock that only goes forward. ``run`` is its whole life.
    """

    def __init__(
        self,
        link: MirrorPublisher,
        topics: DoubleTakeTopics,
        *,
        now: Callable[[], float],
        reset: float = RESET_SECONDS,
    ) -> None:
        self._link: Final = link
        self._topics: Final = topics
        self._now: Final = now
        self._reset: Final = reset
        self._names: dict[str, str] = {}
        self._slugs: Final[dict[str, str]] = {}
        self._visits: Final[dict[str, set[str]]] = {}
        self._until: Final[dict[str, float]] = {}
        self._wake: Final = asyncio.Event()

    async def run(self) -> None:
        """Bring counts back to 0 when their time is over, until cancelled."""
        while True:
            self._wake.clear()
            for slug in [slug for slug, until in self._until.items() if until <= self._now()]:
                self._count(slug, None)
            due = min(self._until.values(), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                    await self._wake.wait()

    def follow_people(self, people: Sequence[ShownPerson]) -> None:
        self._names = topic_names((person.id, person.name, person.slug) for person in people)

    def follow_camera(self, camera: ShownCamera) -> None:
        before = self._slugs.pop(camera.name, None)
        if before is not None and before != camera.slug and before not in self._slugs.values():
            self._clear(before)
        self._slugs[camera.name] = camera.slug
        # An earlier run may have ended before it did.
        if camera.slug not in self._until:
            self._count(camera.slug, None)

    def forget_camera(self, camera: ShownCamera) -> None:
        self._slugs.pop(camera.name, None)
        self._clear(camera.slug)

    def tell(
        self, event: Event, camera: ShownCamera, person: ShownPerson | None, frame: Size | None
    ) -> Sequence[Message]:
        if event.phase is not Phase.CONFIRMED or event.outcome is Outcome.UNUSABLE:
            return ()
        if event.outcome is Outcome.KNOWN:
            if person is None:
                return ()
            topic, payload = self._names[person.id], match_payload(event, camera.slug, frame)
        else:
            topic, payload = UNKNOWN, unknown_payload(event, camera.slug, frame)
        messages = (
            Message(self._topics.match(topic), encode_json(payload)),
            Message(self._topics.camera(camera.slug), encode_json(camera_payload(event, camera.slug, frame))),
        )
        self._link.publish(messages, event.expires_at, person_id=event.person_id)
        self._count(camera.slug, event.visit_id)
        return ()

    def _clear(self, slug: str) -> None:
        self._count(slug, None)
        self._link.retain(self._topics.person_count(slug), b"")

    def _count(self, slug: str, visit_id: str | None) -> None:
        """Count another visit; None: none is there any more."""
        if visit_id is None:
            self._visits.pop(slug, None)
            self._until.pop(slug, None)
        else:
            visits = self._visits.setdefault(slug, set())
            if len(visits) < _MOST_COUNTED:
                visits.add(visit_id)
            self._until[slug] = self._now() + self._reset
            self._wake.set()
        self._link.retain(self._topics.person_count(slug), str(len(self._visits.get(slug, ()))).encode())
