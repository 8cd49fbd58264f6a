"""Single pictures that a camera made."""

from __future__ import annotations

import io
import struct
from typing import IO, Final

import numpy as np
from PIL import Image, ImageOps

from privface_backend.domain.frames import Pixels

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP")
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    EOFError,
    KeyError,
    struct.error,
    Image.DecompressionBombError,
)


def is_still(file: IO[bytes]) -> bool:
    """Whether a file begins as a picture does."""
    try:
        with Image.open(file, formats=_FORMATS):
            return True
    except _DAMAGE:
        return False


def decode_still(data: bytes, max_pixels: int) -> Pixels | None:
    """A picture's pixels, upright; None where it isn't whole, isn't one, or has too many pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height <= max_pixels:
                rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)
                return np.ascontiguousarray(rgb[:, :, ::-1])
    except _DAMAGE:
        pass
    return None
