"""A picture of a camera, as it came, before it is anonymized."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from privface_backend.protocol import FrameSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture and what its frame card will say of it."""

    camera: str
    data: bytes = field(repr=False)
    captured_at: datetime
    source: FrameSource
    source_event_id: str | None = None
    trigger: str | None = None
    more: bool | None = None
