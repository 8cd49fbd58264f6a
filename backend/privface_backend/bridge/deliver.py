"""Where anonymized pictures go, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from privface_backend.protocol import FrameCard


class Answer(StrEnum):
    """What became of a picture. ``AWAY``: nobody took it, it may be tried again; ``REFUSED``: not this one."""

    TAKEN = "taken"
    SUPERSEDED = "superseded"
    DISABLED = "disabled"
    REFUSED = "refused"
    AWAY = "away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the receiver wants of a camera; None: it doesn't say. ``kernel``: of a gaussian blur at least as strong;
    ``advised``: of one that is as strong as it should be, for those who follow that."""

    enabled: bool | None = None
    kernel: int | None = None
    advised: int | None = None


class Deliver(Protocol):
    """Takes anonymized pictures away."""

    @property
    def state(self) -> str:
        """How the receiver stands, in a word."""

    def pack(self, content: Any) -> Any:
        """Make of a prepared picture's content what ``send`` takes; on any thread."""

    async def send(self, card: FrameCard, packed: Any) -> Answer:
        """Hand a picture over. Never raises."""

    def wishes(self, camera: str) -> Wishes:
        """What the receiver says by itself about a camera."""

    def ready_in(self) -> float:
        """Seconds until it makes sense to send; 0: now."""

    async def keep_in_touch(self) -> None:
        """Whatever must be done besides, until cancelled."""
