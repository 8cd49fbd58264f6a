"""Frigate beside the bridge: its messages in, pictures out; and what was decided about them, from our own topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from privface_backend.bridge.bridge import Companion, MakeCompanion, Offer
from privface_backend.frigate.service import Frigate
from privface_backend.frigate.tracking import Ended, nothing_ended
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import Event, WireError
from privface_backend.settings import Settings

_MOST_BYTES: Final = 64 * 1024


def make_companions(
    settings: Settings, *, clock: Callable[[], datetime], ended: Ended = nothing_ended
) -> Sequence[MakeCompanion]:
    """Frigate's part, where it is switched on. ``ended``: told of Frigate's events that no more pictures come of."""
    if not settings.frigate.enabled:
        return ()
    named = {feed.frigate: camera for camera, feed in settings.cameras.items() if feed.frigate is not None}
    topics = Topics(settings.mqtt.base_topic)

    def make(offer: Offer) -> Companion:
        return FrigateCompanion(
            Frigate(
                settings.frigate,
                offer=offer,
                clock=clock,
                cameras=named,
                sealed=settings.unbridged_cameras,
                ended=ended,
            ),
            topics.event,
        )

    return (make,)


class FrigateCompanion:
    """Hands Frigate's messages on, and events on ``event_topic`` to whatever writes names back."""

    def __init__(self, frigate: Frigate, event_topic: str) -> None:
        self._frigate: Final = frigate
        self._event_topic: Final = event_topic

    @property
    def filters(self) -> Mapping[str, int]:
        """By topic filter the quality of service to ask for."""
        ours = {} if self._frigate.sub_labels is None else {self._event_topic: 1}
        return {**self._frigate.filters, **ours}

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take a message in; those on others' topics do nothing."""
        if topic != self._event_topic:
            self._frigate.take(topic, payload, retained)
        elif self._frigate.sub_labels is not None and not retained and (event := _read_event(payload)) is not None:
            self._frigate.sub_labels.take_event(event)

    async def run(self) -> None:
        """Frigate's whole life."""
        await self._frigate.run()


def _read_event(payload: bytes) -> Event | None:
    """The event; None where it can't be read: whoever may publish there could send anything."""
    if len(payload) > _MOST_BYTES:
        return None
    try:
        document = json.loads(payload)
        return Event.from_dict(document) if isinstance(document, dict) else None
    except (ValueError, WireError, RecursionError):
        return None
