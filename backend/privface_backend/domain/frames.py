"""A frame: pixels and the card that travels with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.geometry import Size
from privface_backend.protocol import FrameCard, Privacy

Pixels = NDArray[np.uint8]
"""A picture: uint8 (height, width, 3), 0 to 255, in the order blue, green, red, C-contiguous."""

WORKING_SIZE: Final = 640
"""The longest side, in pixels, that a frame is brought down to before it is anonymized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. ``index`` counts the frames of a video from 0; its ``repr`` shows no pixel."""

    pixels: Pixels = field(repr=False)
    card: FrameCard = field(repr=False)
    index: int = 0

    @property
    def size(self) -> Size:
        height, width = self.pixels.shape[:2]
        return Size(width, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizedFrame:
    """A frame whose anonymization is done, by whomever ``privacy`` says; the only thing engines see."""

    pixels: Pixels = field(repr=False)
    privacy: Privacy

    @property
    def size(self) -> Size:
        height, width = self.pixels.shape[:2]
        return Size(width, height)


def working_size(size: Size, longest: int = WORKING_SIZE) -> Size:
    """The size to bring a frame to: its longest side at most ``longest``, never enlarged."""
    if size.longest <= longest:
        return size
    factor = longest / size.longest
    return Size(max(1, round(size.width * factor)), max(1, round(size.height * factor)))
