"""Decoded frames as the rest of PrivFace wants their pixels."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from privface_backend.domain.frames import Pixels


def upright(picture: VideoFrame) -> Pixels:
    """A decoded frame's pixels, turned the way that its metadata says."""
    pixels = picture.to_ndarray(format="bgr24")
    # Positive is counterclockwise, for both.
    turned = np.rot90(pixels, round(picture.rotation / 90) % 4)
    return np.ascontiguousarray(turned, dtype=np.uint8)
