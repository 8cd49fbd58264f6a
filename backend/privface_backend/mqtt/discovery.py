"""Tells on the broker how REST is reached, so that Home Assistant can offer to add this backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from privface_backend import __version__
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import API_VERSION, MIN_API_VERSION


class DiscoveryPublisher(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    topics: Topics

    def connections(self) -> AsyncIterator[None]: ...

    def publish_state(self, topic: str, payload: Mapping[str, object] | None) -> None: ...


async def keep_telling(
    publisher: DiscoveryPublisher, instance_id: str, find_url: Callable[[], Awaitable[str | None]]
) -> None:
    """With each connection, say retained how this backend is reached, until cancelled.

    ``find_url``: asked each time, since addresses change; None: it isn't, and what an earlier run said is cleared.
    """
    topic = publisher.topics.discovery(instance_id)
    async for _ in publisher.connections():
        url = await find_url()
        publisher.publish_state(topic, None if url is None else describe(instance_id, url))


def describe(instance_id: str, url: str) -> dict[str, object]:
    """The message."""
    return {
        "instance_id": instance_id,
        "url": url,
        "version": __version__,
        "api_version": API_VERSION,
        "min_api_version": MIN_API_VERSION,
    }
