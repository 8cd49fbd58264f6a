"""A face out of a picture that is anonymized already."""

from __future__ import annotations

import io
import math
from typing import Final

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from .jpeg import encode_picture

_MARGIN: Final = 0.4
"""Of the face's width and height, on each side."""


def crop_face(data: bytes, box: tuple[float, float, float, float]) -> bytes:
    """The part of an ``AnonymizedPicture``'s file around a face, as a file of the same kind.

    ``box``: left, top, width and height as fractions of the picture. Where it has no area inside, the whole picture.
    """
    with JpegImageFile(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture, dtype=np.uint8)
    height, width, _ = pixels.shape
    left, right = _stretch(box[0], box[2], width)
    top, bottom = _stretch(box[1], box[3], height)
    if left >= right or top >= bottom:
        return data
    return encode_picture(np.ascontiguousarray(pixels[top:bottom, left:right]))


def _stretch(start: float, length: float, side: int) -> tuple[int, int]:
    """From which pixel to before which one a face reaches with its margin."""
    if not (math.isfinite(start) and math.isfinite(length) and length > 0):
        return 0, 0
    first, last = start - _MARGIN * length, start + (1 + _MARGIN) * length
    return math.floor(side * min(max(first, 0), 1)), math.ceil(side * min(max(last, 0), 1))
