"""Pictures from outside: limits, formats, orientation, damage."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.pictures import PictureLimits, decode_picture, looks_like_picture, picture_size
from privface_backend.protocol import ErrorCode

LIMITS = PictureLimits(pixels=1_000_000)
ROOT = Path(__file__).parents[2]


def colors(width: int = 64, height: int = 48) -> Image.Image:
    """A smooth picture, different in each corner."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - (x + y) / 2], axis=2).astype(np.uint8))


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def bgr(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)[:, :, ::-1]


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, color: int = 0, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def refusal(data: bytes, limits: PictureLimits = LIMITS) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as error:
        decode_picture(data, limits)
    return error.value


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("BMP", 0), ("JPEG", 12), ("WEBP", 20), ("MPO", 12)])
def test_formats(kind: str, tolerance: int) -> None:
    data = encode(colors(), kind)
    assert looks_like_picture(data)
    found = decode_picture(data, LIMITS)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.abs(found.astype(int) - bgr(colors())).max() <= tolerance


def test_it_reads_what_opencv_reads() -> None:
    data = encode(colors(), "PNG")
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert theirs is not None
    assert (decode_picture(data, LIMITS) == theirs).all()


def test_gray_becomes_color() -> None:
    found = decode_picture(encode(colors().convert("L"), "JPEG", quality=100), LIMITS)
    assert found.shape == (48, 64, 3)
    assert (found[:, :, 0] == found[:, :, 2]).all()


def test_cmyk_becomes_color() -> None:
    found = decode_picture(encode(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG"), LIMITS)
    assert found[20, 20].tolist() == pytest.approx([0, 0, 255], abs=12)


def test_16_bits_become_8() -> None:
    deep = np.linspace(0, 65535, 48 * 64, dtype=np.uint16).reshape(48, 64)
    found = decode_picture(encode(Image.fromarray(deep), "PNG"), LIMITS)
    assert np.abs(found[:, :, 1].astype(int) - (deep // 257)).max() <= 1


@pytest.mark.parametrize("color", [0, 2])
def test_16_bits_with_a_transparent_color(color: int) -> None:
    values = 64 * (3 if color else 1)
    rows = zlib.compress(b"".join(b"\0" + struct.pack(f">{values}H", *range(values)) for _ in range(48)))
    extra = chunk(b"tRNS", struct.pack(">H", 5) * (3 if color else 1))
    assert decode_picture(png(64, 48, rows, depth=16, color=color, extra=extra), LIMITS).shape == (48, 64, 3)


def test_bits_and_palettes() -> None:
    assert set(np.unique(decode_picture(encode(colors().convert("1"), "PNG"), LIMITS))) == {0, 255}
    palette = colors().convert("P")
    assert (decode_picture(encode(palette, "PNG"), LIMITS) == bgr(palette)).all()


def test_transparency_goes_over_black() -> None:
    picture = Image.new("RGBA", (64, 48), (255, 255, 255, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 32, 48))
    for data in (encode(picture, "PNG"), encode(picture, "WEBP", lossless=True), encode(picture.convert("LA"), "PNG")):
        assert (decode_picture(data, LIMITS)[:, 32:] == 0).all()
    palette = Image.new("P", (64, 48), 3)
    palette.putpalette([255, 255, 255] * 256)
    assert (decode_picture(encode(palette, "PNG", transparency=3), LIMITS) == 0).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animated_picture_gives_its_first_frame(kind: str) -> None:
    others = [Image.new("RGB", (64, 48), color) for color in ("green", "blue")]
    data = encode(
        Image.new("RGB", (64, 48), "red"), kind, save_all=True, append_images=others, lossless=True, duration=100
    )
    assert decode_picture(data, LIMITS)[24, 32].tolist() == [0, 0, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientations(kind: str, value: int) -> None:
    undone = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = colors() if value == 1 else colors().transpose(undone[value])
    found = decode_picture(encode(stored, kind, exif=orientation(value)), LIMITS)
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - bgr(colors())).max() <= 25


@pytest.mark.parametrize(
    "exif",
    [
        b"garbage",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abcd\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\x02\x01\x0f\0\x0c\0\0\0\x01ABCD\x01\x12\0\x05\0\0\0\x01\0\0\0\x08\0\0\0\0",
    ],
)
def test_broken_exif_says_nothing(exif: bytes) -> None:
    assert decode_picture(encode(colors(), "JPEG", exif=b"Exif\0\0" + exif), LIMITS).shape == (48, 64, 3)


def test_no_pictures() -> None:
    for data in (
        b"",
        b"x",
        b"This is a text, not a picture.",
        b"<svg/>",
        b"\0" * 100,
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
    ):
        assert refusal(data).code is ErrorCode.PICTURE_FORMAT
        assert not looks_like_picture(data)
    gif = encode(colors(), "GIF")
    assert refusal(gif).code is ErrorCode.PICTURE_FORMAT
    assert looks_like_picture(gif)
    assert refusal(encode(colors(), "TIFF")).code is ErrorCode.PICTURE_FORMAT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_half_a_picture_is_refused(kind: str) -> None:
    data = encode(colors(), kind)
    # The last of a PNG is checksums and its end mark: all pixels are there before them.
    for kept in sorted({*range(12, 60), *range(60, len(data) - 24, max(1, len(data) // 200))}):
        assert refusal(data[:kept]).code is ErrorCode.PICTURE_TRUNCATED, kept


def test_too_many_bytes() -> None:
    data = encode(colors(), "PNG")
    assert decode_picture(data, PictureLimits(bytes=len(data))).shape == (48, 64, 3)
    assert refusal(data, PictureLimits(bytes=len(data) - 1)).code is ErrorCode.PICTURE_TOO_LARGE


def test_too_many_pixels_and_too_few() -> None:
    data = encode(colors(), "PNG")
    assert decode_picture(data, PictureLimits(pixels=64 * 48)).shape == (48, 64, 3)
    error = refusal(data, PictureLimits(pixels=64 * 48 - 1))
    assert error.code is ErrorCode.PICTURE_TOO_LARGE
    assert error.details == {"width": 64, "height": 48}
    assert refusal(encode(colors(64, 15), "PNG")).code is ErrorCode.PICTURE_UNREADABLE
    assert decode_picture(encode(colors(16, 16), "PNG"), LIMITS).shape == (16, 16, 3)


_BOMBS = """
import io, resource, struct, sys, time, zlib
from PIL import Image
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
sys.path.insert(0, "tests/backend")
from test_pipeline_pictures import colors, encode, png

def bombs():
    rows = zlib.compressobj(9)
    line = bytes(10_001)
    yield "png", png(10_000, 10_000, b"".join(rows.compress(line) for _ in range(10_000)) + rows.flush())
    jpeg = bytearray(encode(colors(), "JPEG"))
    at = jpeg.index(b"\\xff\\xc0") + 5
    jpeg[at:at + 4] = struct.pack(">HH", 10_000, 10_000)
    yield "jpeg", bytes(jpeg)
    bmp = bytearray(encode(colors(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 10_000, 10_000)
    yield "bmp", bytes(bmp)
    webp = bytearray(encode(colors(), "WEBP", lossless=True))
    at = webp.index(b"VP8L") + 9
    webp[at:at + 4] = struct.pack("<I", 16_382 | 16_382 << 14)
    yield "webp", bytes(webp)

made = list(bombs())
decode_picture(encode(colors(), "WEBP"), PictureLimits())
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for kind, data in made:
    try:
        decode_picture(data, PictureLimits())
        print(kind, "decoded")
    except PrivFaceError as error:
        print(kind, error.code)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


def test_bombs_are_refused_by_their_headers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BOMBS],
        cwd=ROOT,
        env={"PYTHONPATH": "tests", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, figures = done.stdout.splitlines()
    codes = dict(line.split() for line in lines)
    assert codes.pop("webp") in {"picture_too_large", "picture_truncated", "picture_unreadable"}
    assert set(codes.values()) == {"picture_too_large"}
    kilobytes, seconds = map(float, figures.split())
    assert kilobytes < 20_000
    assert seconds < 1


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
@pytest.mark.parametrize("size", [(640, 480), (1279, 960), (1280, 961), (2000, 1500), (1500, 4000), (5121, 3841)])
def test_a_draft_is_never_below_the_working_size(kind: str, size: tuple[int, int]) -> None:
    data = encode(Image.new("RGB", size, "teal"), kind)
    height, width = decode_picture(data, PictureLimits(), 640).shape[:2]
    assert max(width, height) >= min(640, max(size))
    assert abs(width / height - size[0] / size[1]) < 0.01
    assert max(width, height) <= max(1280, 640 * 2)
    assert decode_picture(data, PictureLimits()).shape == (size[1], size[0], 3)


def test_a_draft_shows_the_same_picture() -> None:
    data = encode(colors(2560, 1920), "JPEG", quality=95)
    whole, draft = decode_picture(data, PictureLimits()), decode_picture(data, PictureLimits(), 640)
    smaller = cv2.resize(whole, (draft.shape[1], draft.shape[0]), interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - draft).max() < 12


EXAMPLES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(colors(), "JPEG", exif=orientation(6)),
    "progressive": lambda: encode(colors(), "JPEG", progressive=True),
    "mpo": lambda: encode(colors(), "MPO", save_all=True, append_images=[colors()]),
    "png": lambda: encode(colors(), "PNG", exif=orientation(6)),
    "palette": lambda: encode(colors().convert("P"), "PNG", transparency=3),
    "animated": lambda: encode(colors(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "webp": lambda: encode(colors(), "WEBP", exif=orientation(6)),
    "bmp": lambda: encode(colors().convert("P"), "BMP"),
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged EXIF
@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(sorted(EXAMPLES)),
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 8, 40]),
    st.booleans(),
    st.sampled_from([None, 32]),
)
def test_damage_never_raises_anything_else(
    name: str,
    seed: int,
    count: int,
    cut: bool,
    longest: int | None,
) -> None:
    chance = random.Random(seed)  # noqa: S311  # where to damage
    data = bytearray(EXAMPLES[name]())
    for _ in range(count):
        data[chance.randrange(min(len(data), chance.choice([10**6, 120, 400])))] = chance.randrange(256)
    if cut:
        data = data[: chance.randrange(len(data))]
    found, code = np.empty((1, 1, 3), np.uint8), "picture_"
    try:
        found = decode_picture(bytes(data), LIMITS, longest)
    except PrivFaceError as error:
        code = error.code.value
    assert code.startswith("picture_")
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert found.size // 3 <= LIMITS.pixels


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_size_of_a_picture_is_that_of_the_upright_one(kind: str, value: int) -> None:
    data = encode(colors().resize((960, 720)), kind, exif=orientation(value))
    shown = decode_picture(data, LIMITS, longest=320)
    height, width = shown.shape[:2]
    assert picture_size(data, Size(width, height)) == (Size(960, 720) if value < 5 else Size(720, 960))


@pytest.mark.parametrize("data", [b"", b"nonsense"])
def test_what_is_no_picture_has_no_size(data: bytes) -> None:
    with pytest.raises(PrivFaceError) as refused:
        picture_size(data, Size(4, 3))
    assert refused.value.code is ErrorCode.PICTURE_FORMAT
