"""What is sent: an event, or a sign of life, as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import uuid4

from privface_backend.protocol import Event, to_wire_time
from privface_backend.settings_push import WebhookSettings

MOST_BYTES: Final = 64 * 1024
# What tells people apart.
_WHO: Final = ("person", "person_id", "stranger")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """A body, under an id that stays the same however often it is sent. ``expires_at``: after it, it says nothing about
    the present; ``person_id``: whom it is about."""

    id: str
    body: bytes = field(repr=False)
    expires_at: datetime
    person_id: str | None = None

    @property
    def too_large(self) -> bool:
        return len(self.body) > MOST_BYTES


def is_wanted(event: Event, hook: WebhookSettings) -> bool:
    """Whether an event is one of those that go to ``hook``."""
    return (
        event.outcome.value in hook.outcomes
        and event.phase.value in hook.phases
        and (not hook.cameras or event.camera in hook.cameras)
    )


def event_message(event: Event, *, names: bool) -> WebhookMessage:
    """An event as a message; without ``names``, nothing in it tells who it was, or that it was the same one again."""
    data = event.to_dict()
    if not names:
        data |= dict.fromkeys(_WHO)
    document = {"type": f"event.{event.outcome.value}", "timestamp": data["ts"], "data": data}
    return WebhookMessage(
        id=event.event_id, body=_encode(document), expires_at=event.expires_at, person_id=event.person_id
    )


def trial_message(now: datetime) -> WebhookMessage:
    """A message that says by its type, and inside, that it is a test."""
    said = "PrivFace's webhook works. This is a test: nobody was seen."
    document = {"type": "test", "timestamp": to_wire_time(now), "data": {"test": True, "message": said}}
    return WebhookMessage(id=f"test_{uuid4().hex}", body=_encode(document), expires_at=now)


def _encode(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
