"""The sink ``mqtt``: hands events to the link."""

from __future__ import annotations

import asyncio
from typing import Protocol

from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import Event


class EventPublisher(Protocol):
    """The part of ``MqttLink`` that the sink needs."""

    def publish_event(self, event: Event) -> None: ...


class MqttSink:
    """Publishes events over a link that runs elsewhere; its outbox is the sink's bounded queue."""

    name = "mqtt"

    def __init__(self, link: EventPublisher) -> None:
        self._link = link

    def publish(self, event: Event) -> None:
        self._link.publish_event(event)

    async def run(self) -> None:
        """Nothing but its end: whoever owns the link runs that."""
        await asyncio.Event().wait()


def create(context: EngineContext) -> MqttSink:
    """The sink over ``context.options["link"]``, an ``MqttLink``: the application runs it and owns it."""
    link = context.options.get("link")
    if not callable(getattr(link, "publish_event", None)):
        raise TypeError("the sink mqtt needs the option link, an MqttLink")
    return MqttSink(link)  # type: ignore[arg-type]  # options are objects; what the sink calls was checked above
