"""Pictures from cameras and files: limits first, then pixels. The header is judged before anything is decoded.

Pillow's limits and its leniency are switches of the whole process, which here is Home Assistant: they are neither set
nor relied on. Files are opened by their format's class, where Pillow counts no pixels of its own, and a file that ends
early raises from below Pillow, whatever is switched on.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from .errors import (
    PICTURE_FORMAT,
    PICTURE_TOO_LARGE,
    PICTURE_TRUNCATED,
    PICTURE_UNREADABLE,
    AnonymizationError,
)
from .method import Pixels
from .scaling import bring_down, fit

MOST_BYTES: Final = 20 * 1024 * 1024
MOST_PIXELS: Final = 25_000_000
SHORTEST: Final = 16

_STRIP: Final = 128 * 1024
"""Pixels that Pillow converts in one call: some conversions don't let other threads run meanwhile."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _EndedEarlyError(Exception):
    """More of the file was asked for than there is."""


class _File(io.BytesIO):
    """A file whose end is an error: a decoder that has all it needs doesn't read there."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if not found and size != 0:
            raise _EndedEarlyError
        return found


# What Pillow's decoders raise for damaged files; their texts can quote the file.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)


def decode_picture(data: bytes, longest: int) -> Pixels:
    """The picture, turned upright, its longest side at most ``longest``; colors in the order red, green, blue.

    An animated picture gives its first frame, CMYK and gray become color, transparency goes over black.

    Raises:
        AnonymizationError: ``picture_too_large``, ``picture_format``, ``picture_truncated``, ``picture_unreadable``.
    """
    if len(data) > MOST_BYTES:
        raise AnonymizationError(
            PICTURE_TOO_LARGE, "The picture has too many bytes.", allowed=f"at most {MOST_BYTES} bytes"
        )
    opener = _find_opener(data)
    if opener is None:
        raise AnonymizationError(
            PICTURE_FORMAT, "That is no picture that can be read.", allowed="JPEG, PNG, WEBP or BMP"
        )
    try:
        with opener(_File(data)) as picture:
            _check_size(picture)
            if isinstance(picture, JpegImageFile):
                _draft(picture, longest)
            picture.load()
            return _read(_turn_upright(picture), longest)
    except _EndedEarlyError:
        ended_early = True
    except _DAMAGE as error:
        ended_early = isinstance(error, EOFError) or _ends_early(data)
    # Out here, so that the error doesn't carry Pillow's along.
    if ended_early:
        raise AnonymizationError(PICTURE_TRUNCATED, "The picture's file is incomplete.")
    raise AnonymizationError(PICTURE_UNREADABLE, "The picture's file is damaged.")


def _find_opener(data: bytes) -> Callable[[io.BytesIO], ImageFile] | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    return BmpImageFile if data.startswith(b"BM") else None


def _check_size(picture: ImageFile) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise AnonymizationError(
            PICTURE_TOO_LARGE, "The picture has too many pixels.", allowed=f"at most {MOST_PIXELS} pixels"
        )
    if min(picture.size) < SHORTEST:
        raise AnonymizationError(
            PICTURE_UNREADABLE,
            "The picture is too small to hold a face.",
            allowed=f"at least {SHORTEST} pixels each way",
        )


def _draft(picture: JpegImageFile, longest: int) -> None:
    """Let a JPEG be decoded at half, a quarter or an eighth of its size, never below what is wanted."""
    factor = longest / max(picture.size)
    if factor <= 0.5:
        picture.draft("RGB", (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))


def _turn_upright(picture: Image.Image) -> Image.Image:
    """The picture, turned as its EXIF orientation says."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # damaged EXIF says nothing, whatever reading it raises
        return picture
    return picture if turn is None else picture.transpose(turn)


def _read(picture: Image.Image, longest: int) -> Pixels:
    """The picture's pixels at the working size."""
    width, height = picture.size
    peak = float(picture.getextrema()[1]) if _is_deep(picture) else 0.0  # type: ignore[arg-type]  # of one band: numbers

    def read_strip(top: int, bottom: int, mode: str) -> Pixels:
        strip = _flatten(picture.crop((0, top, width, bottom)), peak)
        return np.asarray(strip if mode == "RGB" else strip.convert(mode), dtype=np.uint8)

    most = max(1, _STRIP // width)
    target = fit(picture.size, longest)
    if target != picture.size:
        return bring_down(lambda top, bottom: read_strip(top, bottom, "RGBX"), picture.size, target, most)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, most):
        bottom = min(height, top + most)
        pixels[top:bottom] = read_strip(top, bottom, "RGB")
    return pixels


def _flatten(strip: Image.Image, peak: float) -> Image.Image:
    """The strip in color, 8 bits, without transparency. ``peak``: the brightest level of a picture of 16 bits."""
    if strip.mode in {"RGBA", "LA", "PA"} or "transparency" in strip.info:
        rgba = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    if _is_deep(strip):
        deep = np.asarray(strip, dtype=np.float64)
        strip = Image.fromarray(np.clip(deep / max(1.0, peak) * 255.0, 0, 255).astype(np.uint8))
    return strip if strip.mode == "RGB" else strip.convert("RGB")


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith("I;16") or picture.mode in {"I", "F"}


def _ends_early(data: bytes) -> bool:
    """Whether a WEBP or BMP has less than its header says, or a JPEG or PNG no end mark: their decoders don't say."""
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        return len(data) < int.from_bytes(data[2:6], "little")
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data
    return data.startswith(b"\x89PNG") and b"IEND" not in data
