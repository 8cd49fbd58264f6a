"""The sink ``dht``: hands events to the link."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol, cast

from privface_backend.dht.messages import event_message
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import Event


class MessageSender(Protocol):
    """The part of ``DhtLink`` that the sink needs."""

    def send(self, text: str, expires_at: datetime | None = None, people: frozenset[str] = frozenset()) -> None: ...


class DhtSink:
    """Tells events over a link that runs elsewhere; its outbox is the sink's bounded queue."""

    name = "dht"

    def __init__(self, link: MessageSender) -> None:
        self._link = link

    def publish(self, event: Event) -> None:
        people = frozenset() if event.person_id is None else frozenset({event.person_id})
        self._link.send(event_message(event), event.expires_at, people)

    async def run(self) -> None:
        """Nothing but its end: whoever owns the link runs that."""
        await asyncio.Event().wait()


def create(context: EngineContext) -> DhtSink:
    """The sink over ``context.options["link"]``, a ``DhtLink``: the application runs it and owns it."""
    link = context.options.get("link")
    if not callable(getattr(link, "send", None)):
        raise TypeError("the sink dht needs the option link, a DhtLink")
    return DhtSink(cast("MessageSender", link))
