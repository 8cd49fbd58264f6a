"""Pictures on their way through the component: read as in the backend, or refused, and rid of all but pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin

from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.pictures import decode_picture as decode_in_backend
from support import golden
from support.component import load_package

component = load_package("anonymize")
jpeg = import_module("privface_anonymize.jpeg")
pictures = import_module("privface_anonymize.pictures")

STRENGTH: Final = component.Strength(method="gaussian", parameter=17)
NECESSARY: Final = {0xD8: "SOI", 0xE0: "JFIF", 0xDB: "DQT", 0xC0: "SOF0", 0xC4: "DHT", 0xDA: "SOS", 0xD9: "EOI"}


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colors() -> Image.Image:
    return Image.fromarray(golden.picture())


def as_backend(data: bytes, longest: int) -> Pixels:
    pixels = decode_in_backend(data, PictureLimits(), longest)
    height, width, _ = pixels.shape
    return resize(pixels, working_size(Size(width, height), longest))[:, :, ::-1]


def code_of(data: bytes) -> str:
    with pytest.raises(component.AnonymizationError) as caught:
        component.anonymize(data, STRENGTH)
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    return str(error.code)


def deep() -> Image.Image:
    return Image.fromarray(np.linspace(0, 51_000, 96_000, dtype=np.uint16).reshape(240, 400))


MADE: Final[dict[str, Callable[[], bytes]]] = {
    "jpeg": lambda: encode(colors(), "JPEG"),
    "progressive": lambda: encode(colors(), "JPEG", progressive=True),
    "gray jpeg": lambda: encode(colors().convert("L"), "JPEG"),
    "cmyk": lambda: encode(colors().convert("CMYK"), "JPEG"),
    "two in one": lambda: encode(colors(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "png": lambda: encode(colors(), "PNG"),
    "gray png": lambda: encode(colors().convert("L"), "PNG"),
    "palette": lambda: encode(colors().convert("P"), "PNG"),
    "palette with holes": lambda: encode(colors().convert("P"), "PNG", transparency=bytes(range(256))),
    "transparent color": lambda: encode(colors(), "PNG", transparency=(255, 255, 255)),
    "alpha": lambda: encode(Image.merge("RGBA", (*colors().split(), colors().split()[1])), "PNG"),
    "gray alpha": lambda: encode(Image.merge("LA", colors().split()[:2]), "PNG"),
    "one bit": lambda: encode(colors().convert("1"), "PNG"),
    "16 bits": lambda: encode(deep(), "PNG"),
    "interlaced": lambda: b"".join(interlaced()),
    "webp": lambda: encode(colors(), "WEBP"),
    "webp alpha": lambda: encode(Image.merge("RGBA", (*colors().split(), colors().split()[1])), "WEBP", lossless=True),
    "animated": lambda: encode(colors(), "WEBP", save_all=True, append_images=[colors().rotate(180)], lossless=True),
    "bmp": lambda: encode(colors(), "BMP"),
    "palette bmp": lambda: encode(colors().convert("P"), "BMP"),
}


@cache
def made(name: str) -> bytes:
    return MADE[name]()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced() -> list[bytes]:
    """A gray PNG in Adam7's seven passes."""
    values = golden.picture()[:, :, 0]
    steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for top, left, down, right in steps for row in values[top::down, left::right])
    header = struct.pack(">IIBBBBB", *golden.SIZE, 8, 0, 0, 0, 1)
    return [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", header),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]


@pytest.mark.parametrize("longest", [640, 400, 200, 137, 49])
@pytest.mark.parametrize("name", MADE)
def test_pixels_are_the_backends(name: str, longest: int) -> None:
    data = made(name)
    np.testing.assert_array_equal(pictures.decode_picture(data, longest), as_backend(data, longest))


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_turned_upright(kind: str, value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    data = encode(colors(), kind, exif=exif)
    for longest in (400, 100):
        found = pictures.decode_picture(data, longest)
        np.testing.assert_array_equal(found, as_backend(data, longest))
        assert (found.shape[0] > found.shape[1]) == (value in range(5, 9))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_ignored() -> None:
    good = Image.Exif()
    good[ExifTags.Base.Orientation] = 6
    whole = good.tobytes()
    for damaged in (whole[:-4], whole[:9], b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40):
        data = encode(colors(), "JPEG", exif=damaged)
        assert pictures.decode_picture(data, 640).shape in {(240, 400, 3), (400, 240, 3)}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@given(junk=st.binary(max_size=80), start=st.sampled_from([b"MM\0*\0\0\0\x08\0\x02", b"II*\0\x08\0\0\0\x02\0", b""]))
@settings(max_examples=200, deadline=None)
def test_any_exif_is_survived(junk: bytes, start: bytes) -> None:
    data = encode(Image.new("RGB", (32, 24)), "JPEG", exif=b"Exif\0\0" + start + junk)
    assert sorted(pictures.decode_picture(data, 640).shape) == [3, 24, 32]


def test_too_many_bytes() -> None:
    assert code_of(b"\xff\xd8\xff" + bytes(20 * 1024 * 1024)) == "picture_too_large"


def header_only(kind: str) -> bytes:
    """A file that is huge by its header, and has no pixels."""
    if kind == "PNG":
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 5001, 5000, 8, 2, 0, 0, 0))
    if kind == "BMP":
        return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 5001, 5000, 1, 24, 0, 0, 0, 0, 0, 0)
    small = encode(Image.new("RGB", (64, 64)), "JPEG")
    frame = small.index(b"\xff\xc0")
    return small[: frame + 5] + struct.pack(">HH", 5001, 5000) + small[frame + 9 :]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_too_many_pixels_by_the_header(kind: str) -> None:
    data = header_only(kind) + (chunk(b"IDAT", b"") if kind == "PNG" else b"")
    assert code_of(data) == "picture_too_large"


def test_too_many_pixels_in_a_webp() -> None:
    assert code_of(encode(Image.new("RGB", (5001, 5000)), "WEBP", quality=1, method=0)) == "picture_too_large"


@pytest.mark.parametrize(
    ("size", "fits"), [((15, 400), False), ((400, 15), False), ((16, 400), True), ((16, 16), True)]
)
def test_the_smallest_picture(size: tuple[int, int], fits: bool) -> None:
    data = encode(Image.new("RGB", size), "PNG")
    if fits:
        assert component.anonymize(data, STRENGTH).width == size[0]
    else:
        assert code_of(data) == "picture_unreadable"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"<html>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", encode(Image.new("RGB", (32, 32)), "GIF"), b"\xff\xd8"],
)
def test_what_is_no_picture(data: bytes) -> None:
    assert code_of(data) == "picture_format"


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "interlaced", "16 bits", "webp", "webp alpha", "bmp"])
def test_a_file_that_ends_early_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, *, lenient: bool) -> None:
    """Also where another integration has told Pillow to fill half a picture with gray."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = made(name)
    for part in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        assert code_of(data[: max(14, int(len(data) * part))]) == "picture_truncated"
    # Behind a PNG's pixels 16 bytes follow that it can do without, behind a BMP's last line 3 at most.
    for missing in {"bmp": (4, 8, 50), "jpeg": (1, 2, 5), "progressive": (1, 2, 5)}.get(name, (17, 18, 40)):
        assert code_of(data[:-missing]) == "picture_truncated"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@given(data=st.data(), name=st.sampled_from(sorted(MADE)))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_gives_an_error_or_an_anonymized_picture(data: st.DataObject, name: str) -> None:
    file = bytearray(made(name))
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=8)):
        file[place] = data.draw(st.integers(0, 255))
    for place in data.draw(st.lists(st.integers(0, min(len(file), 700) - 1), max_size=3)):
        file[place] ^= data.draw(st.integers(1, 255))
    damaged = bytes(file[: data.draw(st.integers(len(file) // 2, len(file)) | st.just(len(file)))])
    refused: Any = None
    try:
        picture = component.anonymize(damaged, STRENGTH, longest=150)
    except component.AnonymizationError as error:
        refused = error
    if refused is None:
        blurred = cv2.GaussianBlur(pictures.decode_picture(damaged, 150), (17, 17), 0)
        assert picture.data == jpeg.encode_picture(blurred)
        assert max(picture.width, picture.height) <= 150
    else:
        assert refused.code in {"picture_unreadable", "picture_truncated", "picture_too_large", "picture_format"}
        assert refused.__context__ is None


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """A JPEG's segments, in their order, the compressed pixels left out."""
    assert data.startswith(b"\xff\xd8")
    found, at = [(0xD8, b"")], 2
    while True:
        assert data[at] == 0xFF
        marker = data[at + 1]
        if marker == 0xD9:
            found.append((marker, b""))
            assert data[at + 2 :] == b""
            return found
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            # Within the scan an FF stands before 00 only.
            while not (data[at] == 0xFF and data[at + 1] != 0):
                at += 1


SECRET: Final = b"at home, 44.4056 N"


def laden_jpeg() -> bytes:
    """A JPEG with EXIF, its position and its preview, an ICC profile, a comment, XMP, and something behind its end."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = SECRET.decode()
    exif[ExifTags.Base.Orientation] = 3
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (44.0, 24.0, 20.0)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = SECRET
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = encode(colors(), "JPEG", exif=exif, icc_profile=profile, comment=SECRET, xmp=b"<x>" + SECRET + b"</x>")
    preview = b"\xff\xee" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    return made[:2] + preview + made[2:] + SECRET


def laden_png() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", SECRET.decode())
    notes.add_text("Location", SECRET.decode(), zip=True)
    notes.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET.decode()}</x>")
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encode(colors(), "PNG", pnginfo=notes, exif=exif, icc_profile=profile, dpi=(300, 300))


def laden_webp() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    return encode(colors(), "WEBP", exif=exif, xmp=b"<x>" + SECRET + b"</x>", icc_profile=SECRET)


@pytest.mark.parametrize("make", [laden_jpeg, laden_png, laden_webp])
@pytest.mark.parametrize("method", ["gaussian", "pixelate"])
def test_only_pixels_leave(make: Callable[[], bytes], method: str) -> None:
    data = make()
    assert SECRET in data
    strength = component.Strength(method=method, parameter=component.METHODS[method].default)
    picture = component.anonymize(data, strength)
    found = segments(picture.data)
    assert {marker for marker, _ in found} == set(NECESSARY)
    kinds = [NECESSARY[marker] for marker, _ in found]
    assert [kinds.count(kind) for kind in ("SOI", "JFIF", "SOF0", "SOS", "EOI")] == [1] * 5
    # JFIF 1.1, no resolution, no preview.
    assert found[1] == (0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    assert SECRET not in picture.data
    # The whole file comes from its pixels, size and strength: the same as from a picture that never had any metadata.
    plain = encode(Image.fromarray(pictures.decode_picture(data, 640)), "PNG")
    assert component.anonymize(plain, strength).data == picture.data


def test_the_test_would_find_what_pillow_keeps() -> None:
    """Saved straight from the opened file, the comment and more are still there."""
    with Image.open(io.BytesIO(laden_jpeg())) as picture:
        kept = encode(picture, "JPEG")
    assert SECRET in kept
    assert not {marker for marker, _ in segments(kept)} <= set(NECESSARY)
