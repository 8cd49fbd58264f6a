"""Pictures as they come from cameras: clear, and so in no ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from privface_backend.domain.frames import Pixels
from privface_backend.protocol import FrameSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture's file, a JPEG or PNG as it came. ``more``: whether another one of what it shows follows; None: not
    known."""

    camera: str
    data: bytes = field(repr=False)
    captured_at: datetime
    source: FrameSource
    source_event_id: str | None = None
    trigger: str | None = None
    more: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPicture:
    """A decoded picture, as a source gives it."""

    camera: str
    pixels: Pixels = field(repr=False)
    captured_at: datetime
    source: FrameSource
    source_event_id: str | None = None
    trigger: str | None = None
    more: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadPicture:
    """A message that holds a picture, still as it came: whoever looks at it takes it apart, off the event loop.

    ``format``, ``field`` and ``time_field``: how; see ``bridge.payloads``. ``retained``: the broker kept it, so that
    it may be of any age.
    """

    camera: str
    payload: bytes = field(repr=False)
    captured_at: datetime
    format: str = "auto"
    field: str | None = None
    time_field: str | None = None
    retained: bool = False
    source: FrameSource = FrameSource.MQTT
    source_event_id: str | None = None
    trigger: str | None = None
    more: bool | None = None


AnyPicture = Picture | PixelPicture | PayloadPicture
