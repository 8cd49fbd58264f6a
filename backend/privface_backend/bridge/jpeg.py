"""The anonymized picture as a file."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from privface_backend.domain.frames import Pixels

QUALITY: Final = 95
SUBSAMPLING: Final = "4:4:4"


def encode_picture(pixels: Pixels) -> bytes:
    """A JPEG with nothing in it but what decoding takes, the same that the Home Assistant component makes."""
    file = io.BytesIO()
    # Made from an array, the picture knows nothing of a file that its pixels came from: Pillow would keep comments.
    Image.fromarray(pixels[:, :, ::-1]).save(file, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING, optimize=False)
    return file.getvalue()
