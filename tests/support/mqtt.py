"""MQTT in tests: a second client that watches topics, a link that runs for the length of a block, and events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt

from privface_backend.domain.backoff import Backoff
from privface_backend.mqtt.link import MqttLink
from privface_backend.protocol import EngineNames, Event, FrameSource, Outcome, Phase, Privacy, Reason

PATIENCE = 10.0
FAST = Backoff(first=0.02, ceiling=0.1, refused=0.1, settled=0.0, fraction=lambda: 1.0)


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until ``condition`` holds; fails after ``PATIENCE`` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # conditions of tests have no event to wait for
            await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Seen:
    """A message that the watcher was given."""

    topic: str
    payload: bytes
    retained: bool
    expiry: int | None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Watcher:
    """Collects what comes in."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: list[Seen] = []

    def on(self, topic: str) -> list[Seen]:
        return [message for message in self.seen if message.topic == topic]

    def sequence(self, topic: str) -> list[int]:
        """The ``seq`` of the events on ``topic``."""
        return [message.json["seq"] for message in self.on(topic)]

    async def collect(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            async for message in self.client.messages:
                expiry = getattr(message.properties, "MessageExpiryInterval", None)
                self.seen.append(Seen(str(message.topic), message.payload, bool(message.retain), expiry))


@contextlib.asynccontextmanager
async def watching(port: int, topic_filter: str, *, qos: int = 1, **options: Any) -> AsyncIterator[Watcher]:
    """A subscriber of ``topic_filter``, subscribed when the block begins; ends with the broker."""
    options = {"protocol": aiomqtt.ProtocolVersion.V5, "timeout": PATIENCE, **options}
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.suppress(aiomqtt.MqttError))
        client = await stack.enter_async_context(aiomqtt.Client("127.0.0.1", port, **options))
        watcher = Watcher(client)
        collecting = asyncio.create_task(watcher.collect())
        try:
            await client.subscribe(topic_filter, qos=qos)
            yield watcher
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(link: MqttLink) -> AsyncIterator[MqttLink]:
    """The link, running until the block ends."""
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make_event(seq: int, *, expires_in: float = 60.0, now: datetime | None = None) -> Event:
    """An event that says little."""
    now = now or datetime.now(UTC)
    return Event(
        event_id=f"event-{seq}",
        visit_id="visit",
        seq=seq,
        ts=now,
        captured_at=now,
        expires_at=now + timedelta(seconds=expires_in),
        camera="door",
        source=FrameSource.UPLOAD,
        outcome=Outcome.KNOWN,
        phase=Phase.CONFIRMED,
        reason=Reason.OK,
        privacy=Privacy(parameter=17),
        engine=EngineNames(detector="synthetic", recognizer="synthetic"),
        faces=1,
        person_id="3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10",
        person="Anna Example",
    )
