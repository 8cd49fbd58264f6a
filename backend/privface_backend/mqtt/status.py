"""How the link to the broker stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from privface_backend.mqtt.settings import MqttProtocol


class LinkState(StrEnum):
    """How the link stands."""

    DISABLED = "disabled"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """The state and, unless all is well, the reason in plain words. ``version``: the MQTT spoken, once connected."""

    state: LinkState
    reason: str = ""
    version: MqttProtocol | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounters:
    """Counts since the start, and ``waiting``, the events in the outbox now."""

    published: int = 0
    dropped_expired: int = 0
    dropped_overflow: int = 0
    reconnects: int = 0
    waiting: int = 0
