"""Topics, payloads and commands, as they stand on the broker. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.mqtt.slugs import SLUG_PATTERN
from privface_backend.protocol import Advice, Event, PresencePhase, to_wire_time

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"

_LONGEST_ECHO: Final = 16
_NUMBER: Final = re.compile(rb"[0-9]{1,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEnabled:
    """Switch a camera on or off."""

    camera_slug: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPrivacy:
    """Set the privacy parameter of a camera: an odd kernel size, 1 to ``MAX_KERNEL``."""

    camera_slug: str
    parameter: int


Command = SetEnabled | SetPrivacy


class CommandError(ValueError):
    """A command that can't be followed. ``kind``: its last levels; ``allowed``: what is; ``echo``: what came, safe."""

    def __init__(self, kind: str, allowed: str, echo: str) -> None:
        super().__init__(f"{kind}: allowed: {allowed}")
        self.kind = kind
        self.allowed = allowed
        self.echo = echo


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics below one base."""

    base: str

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def event(self) -> str:
        return f"{self.base}/event"

    @property
    def sealed(self) -> str:
        """Where user sides may send sealed frames."""
        return f"{self.base}/sealed"

    def discovery(self, instance_id: str) -> str:
        """Where a backend says how it is reached."""
        return f"{self.base}/discovery/{instance_id}"

    def person_state(self, slug: str) -> str:
        return f"{self.base}/person/{slug}/state"

    def camera_state(self, slug: str) -> str:
        return f"{self.base}/camera/{slug}/state"

    @property
    def backend_state(self) -> str:
        """What this backend is; told to Home Assistant only."""
        return f"{self.base}/backend/state"

    def person_event(self, slug: str) -> str:
        """The events that name a person, as Home Assistant's event entities take them."""
        return f"{self.base}/person/{slug}/event"

    def camera_event(self, slug: str) -> str:
        """A camera's events, as Home Assistant's event entities take them."""
        return f"{self.base}/camera/{slug}/event"

    def camera_look(self, slug: str) -> str:
        """Where whoever sends a camera's frames is asked for one now: ``PRESS``."""
        return f"{self.base}/camera/{slug}/look"

    def camera_enabled(self, slug: str) -> str:
        return f"{self.base}/camera/{slug}/enabled/state"

    def camera_privacy(self, slug: str) -> str:
        return f"{self.base}/camera/{slug}/privacy/state"

    def camera_advice(self, slug: str) -> str:
        return f"{self.base}/camera/{slug}/advice/state"

    @property
    def camera_commands_to_bridge(self) -> tuple[str, ...]:
        """The filters by which a bridge hears of the backend and of cameras: whether it is there, which topic is whose,
        whether they are on, how strongly to anonymize, what is advised, look now."""
        camera = f"{self.base}/camera/+"
        return (
            self.status,
            f"{camera}/state",
            f"{camera}/enabled/state",
            f"{camera}/privacy/state",
            f"{camera}/advice/state",
            f"{camera}/look",
        )

    def bridge_status(self, bridge_id: str) -> str:
        """Where a bridge says ``online`` or ``offline``."""
        return f"{self.base}/bridge/{bridge_id}/status"

    def bridge_state(self, bridge_id: str) -> str:
        """Where a bridge tells how its cameras stand."""
        return f"{self.base}/bridge/{bridge_id}/state"

    @property
    def commands(self) -> tuple[str, str]:
        """The filters that commands come in by."""
        return f"{self.base}/camera/+/enabled/set", f"{self.base}/camera/+/privacy/set"

    def command(self, topic: str, payload: bytes) -> Command | None:
        """Read a command; None: the topic is no command's.

        Raises:
            CommandError: the payload is not one that is allowed.
        """
        slug, _, kind = topic.removeprefix(f"{self.base}/camera/").partition("/")
        if not topic.startswith(f"{self.base}/camera/") or not SLUG_PATTERN.fullmatch(slug):
            return None
        if kind == "enabled/set":
            return SetEnabled(camera_slug=slug, enabled=_read_switch(payload))
        if kind == "privacy/set":
            return SetPrivacy(camera_slug=slug, parameter=_read_kernel(payload))
        return None


def _echo(payload: bytes) -> str:
    """What came, short and without anything that could disturb a log."""
    text = payload[:_LONGEST_ECHO].decode("ascii", "replace")
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in " +-._") else "?" for sign in text)
    return safe + ("..." if len(payload) > _LONGEST_ECHO else "")


def _read_switch(payload: bytes) -> bool:
    if payload not in (b"ON", b"OFF"):
        raise CommandError("enabled/set", "ON or OFF", _echo(payload))
    return payload == b"ON"


def _read_kernel(payload: bytes) -> int:
    kernel = int(payload) if _NUMBER.fullmatch(payload) else 0
    if kernel % 2 == 0 or kernel > MAX_KERNEL:
        raise CommandError("privacy/set", f"an odd whole number, 1 to {MAX_KERNEL}", _echo(payload))
    return kernel


def encode_json(payload: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def event_payload(event: Event) -> bytes:
    """An event as it is published."""
    return encode_json(event.to_dict())


def person_state(
    *,
    name: str,
    camera: str | None,
    last_seen: datetime | None,
    score: float | None,
    phase: PresencePhase,
    since: datetime | None,
) -> dict[str, Any]:
    """The state of a person: their name, which the topic can't write in full; where and when they were seen last, since
    when, and whether they are there now."""
    return {
        "person": name,
        "camera": camera,
        "last_seen": None if last_seen is None else to_wire_time(last_seen),
        "score": None if score is None else round(score, 4),
        "present": phase is not PresencePhase.LEFT,
        "state": phase.value,
        "since": None if since is None else to_wire_time(since),
    }


def camera_advice(camera: str, advice: Advice) -> dict[str, Any]:
    """What is advised for a camera, with its name, which the topic can't write in full."""
    return {"camera": camera, **advice.to_dict()}


def camera_state(
    *, camera: str, persons: Sequence[str], unknown: int, last_event_id: str | None, ts: datetime | None
) -> dict[str, Any]:
    """The state of a camera: its name, which the topic can't write in full; who is there now (names), how many
    strangers, and the event that said so last (None: none yet in this run)."""
    return {
        "camera": camera,
        "persons": list(persons),
        "unknown": unknown,
        "last_event_id": last_event_id,
        "ts": None if ts is None else to_wire_time(ts),
    }
