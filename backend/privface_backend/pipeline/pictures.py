"""Pictures from outside: limits first, then pixels. The header is judged before anything is decoded."""

from __future__ import annotations

import io
import mimetypes
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP")
_TRUNCATION_WORDS: Final = ("truncated", "broken data stream", "premature end", "incomplete", "unexpected end")

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Many phones put a second, small picture behind the first: Pillow calls that MPO.
_JPEG: Final = frozenset({"JPEG", "MPO"})
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
    Image.DecompressionBombError,
)

# Half a picture is refused rather than filled with gray.
ImageFile.LOAD_TRUNCATED_IMAGES = False
# The limit is ours (`PictureLimits.pixels`); Pillow's own only warns below twice its value.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """What is taken in: ``bytes`` of the file, ``pixels`` of the decoded picture, ``shortest`` side in pixels."""

    bytes: int = 20 * 1024 * 1024
    pixels: int = 25_000_000
    shortest: int = 16


def looks_like_picture(data: bytes) -> bool:
    """Whether the first bytes are those of a format that ``decode_picture`` reads."""
    if data[:4] == b"RIFF":
        return data[8:12] == b"WEBP"
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF8"))


def is_video(data: bytes, name: str = "", media_type: str = "") -> bool:
    """Whether to read a file as a video: it doesn't start like a picture, and isn't called one."""
    if looks_like_picture(data) or media_type.startswith("image/"):
        return False
    if media_type.startswith("video/"):
        return True
    guessed = mimetypes.guess_type(name)[0] or ""
    return guessed.startswith("video/") or _starts_like_video(data)


def _starts_like_video(data: bytes) -> bool:
    """Whether the first bytes are those of MP4, Matroska, AVI, FLV, Ogg or MPEG."""
    return (
        data[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free"}
        or (data[:4] == b"RIFF" and data[8:12] == b"AVI ")
        or data.startswith((b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"G@"))
    )


def decode_picture(data: bytes, limits: PictureLimits, longest: int | None = None) -> Pixels:
    """Decode a still picture, turned upright by its EXIF orientation.

    An animated picture gives its first frame, CMYK and gray become color, transparency goes over black.
    ``longest``: where the picture will be brought down to that anyway, a JPEG may be decoded at half, a quarter
    or an eighth of its size, but never below it.

    Raises:
        PrivFaceError: ``picture_too_large``, ``picture_format``, ``picture_truncated`` or ``picture_unreadable``.
    """
    if len(data) > limits.bytes:
        raise PrivFaceError(
            ErrorCode.PICTURE_TOO_LARGE, "The picture has too many bytes.", allowed=f"at most {limits.bytes} bytes"
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture.width, picture.height, limits)
            if longest is not None and picture.format in _JPEG:
                _draft(picture, longest)
            picture.load()
            return _bgr(_upright(picture))
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except _DAMAGE as error:
        raise _unreadable(data, error) from None


def picture_size(data: bytes, shown: Size) -> Size:
    """The size of the picture in a file, upright. ``shown``: the size that ``decode_picture``, or what came after, gave
    it, which tells whether it was turned: the header is not decoded further.

    Raises:
        PrivFaceError: as ``decode_picture``.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except _DAMAGE as error:
        raise _unreadable(data, error) from None
    return Size(width, height) if (width >= height) == (shown.width >= shown.height) else Size(height, width)


def _check_size(width: int, height: int, limits: PictureLimits) -> None:
    if width * height > limits.pixels:
        raise PrivFaceError(
            ErrorCode.PICTURE_TOO_LARGE,
            "The picture has too many pixels.",
            allowed=f"at most {limits.pixels} pixels",
            details={"width": width, "height": height},
        )
    if min(width, height) < limits.shortest:
        raise PrivFaceError(
            ErrorCode.PICTURE_UNREADABLE,
            "The picture is too small to hold a face.",
            allowed=f"at least {limits.shortest} pixels each way",
            details={"width": width, "height": height},
        )


def _draft(picture: Image.Image, longest: int) -> None:
    factor = longest / max(picture.width, picture.height)
    if factor <= 0.5:
        picture.draft("RGB", (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))


def _upright(picture: Image.Image) -> Image.Image:
    """The picture, turned as its EXIF orientation says; damaged EXIF says nothing."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        return picture
    return picture if turn is None else picture.transpose(turn)


def _bgr(picture: Image.Image) -> Pixels:
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(ground, rgba)
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        deep = np.asarray(picture, dtype=np.float64)
        picture = Image.fromarray(np.clip(deep / max(1.0, float(deep.max())) * 255.0, 0, 255).astype(np.uint8))
    rgb = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"), dtype=np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _unidentified(data: bytes) -> PrivFaceError:
    if looks_like_picture(data) and not data.startswith(b"GIF8"):
        return PrivFaceError(ErrorCode.PICTURE_TRUNCATED, "The picture ends before its first pixel.")
    return PrivFaceError(ErrorCode.PICTURE_FORMAT, "That is no picture that can be read.", allowed=", ".join(FORMATS))


def _ends_early(data: bytes) -> bool:
    """Whether a WEBP has less than its header says, or a JPEG no end mark: their decoders don't say."""
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data


def _unreadable(data: bytes, error: Exception) -> PrivFaceError:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in _TRUNCATION_WORDS) or _ends_early(data):
        return PrivFaceError(ErrorCode.PICTURE_TRUNCATED, "The picture's file is incomplete.")
    return PrivFaceError(ErrorCode.PICTURE_UNREADABLE, "The picture's file is damaged.")
