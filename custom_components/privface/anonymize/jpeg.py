"""The anonymized picture as a file."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from .method import Pixels

QUALITY: Final = 95
SUBSAMPLING: Final = "4:4:4"
"""Measured in November 2026 against PNG, k = 9, 17 and 33, two sets of people: templates agree to a cosine of 0.996 to
0.999 in the mean, and of 212 probes at most one fewer is named. A picture takes 14 to 47 KB in the mean."""


def encode_picture(pixels: Pixels) -> bytes:
    """A JPEG of pixels in the order red, green, blue, with nothing in it but what decoding takes."""
    file = io.BytesIO()
    # Made from an array, the picture knows nothing of a file that its pixels came from: Pillow would keep comments.
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING, optimize=False)
    return file.getvalue()
