"""Anonymizing with the numpy and Pillow of Home Assistant's Python: the same pixels as on the backend's side."""

import io
import struct
import zlib
from dataclasses import FrozenInstanceError
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from custom_components.privface.anonymize import (
    METHODS,
    AnonymizationError,
    AnonymizedPicture,
    Strength,
    anonymize,
    anonymize_versions,
    crop_face,
)
from support import golden

PACKAGE = "custom_components.privface.anonymize"
STRENGTH = Strength(method="gaussian", parameter=17)


def pixels_of(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def code_of(data: bytes, strength: Strength = STRENGTH) -> str:
    with pytest.raises(AnonymizationError) as caught:
        anonymize(data, strength)
    assert caught.value.__context__ is None
    return caught.value.code


@pytest.mark.parametrize(("method", "parameter"), golden.METHODS)
def test_methods_give_the_golden_pixels(method: str, parameter: int) -> None:
    done = METHODS[method].apply(golden.picture(), parameter)
    assert golden.digest(done) == golden.METHODS[method, parameter]


@pytest.mark.parametrize("size", golden.SCALED)
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_pictures_are_brought_down_to_the_golden_pixels(kind: str, size: tuple[int, int]) -> None:
    decode = import_module(f"{PACKAGE}.pictures").decode_picture
    assert golden.digest(decode(golden.encode(golden.picture(), kind), max(size))) == golden.SCALED[size]


def test_small_known_arrays() -> None:
    dot = np.zeros((5, 5, 3), np.uint8)
    dot[2, 2] = 255
    weights = np.outer([1, 2, 1], [1, 2, 1]) * 255
    expected = np.zeros((5, 5), np.uint8)
    expected[1:4, 1:4] = (weights + 8) // 16
    for color in range(3):
        np.testing.assert_array_equal(METHODS["gaussian"].apply(dot, 3)[:, :, color], expected)
    halves = np.array([[[0, 1, 254], [1, 2, 255]]], np.uint8)
    assert METHODS["pixelate"].apply(halves, 2).tolist() == [[[1, 2, 255]] * 2]


@pytest.mark.parametrize("method", METHODS)
def test_an_even_picture_stays_and_the_old_array_too(method: str) -> None:
    for level in (0, 1, 127, 255):
        even = np.full((40, 61, 3), level, np.uint8)
        for parameter in (METHODS[method].minimum, METHODS[method].default, METHODS[method].maximum):
            done = METHODS[method].apply(even, parameter)
            # Noise alone may leave a picture as it is, where there is little of it.
            assert (done == level).all() or "noise" in method
            assert not np.may_share_memory(done, even)


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        *(("gaussian", parameter) for parameter in (-17, 0, 1, 2, 16, 256, 257, 2**70, True, 17.0, "17", None)),
        *(("pixelate", parameter) for parameter in (-1, 0, 1, 129, 10.0, True, None)),
        ("none", 1),
        ("Gaussian", 17),
        ("", 17),
    ],
)
def test_parameters_that_are_none(method: str, parameter: Any) -> None:
    with pytest.raises(AnonymizationError) as caught:
        anonymize(golden.encode(golden.picture()), Strength(method=method, parameter=parameter))
    assert caught.value.code == "bad_privacy_parameter"
    allowed = {
        "gaussian": "an odd kernel size in pixels, 3 to 255",
        "pixelate": "a cell size in pixels, 2 to 128",
    }.get(method, "gaussian, pixelate, pixelate+noise")
    assert caught.value.allowed == allowed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3), (2, 8, 8, 3)])
def test_arrays_that_are_no_picture(method: str, shape: tuple[int, ...]) -> None:
    for wrong in (np.zeros(shape, np.uint8), np.zeros((8, 8, 3), np.uint16)):
        with pytest.raises(AnonymizationError) as caught:
            METHODS[method].apply(wrong, 3)  # type: ignore[arg-type]  # what it refuses
        assert caught.value.code == "anonymizer_failed"


def test_methods_and_pictures_are_not_to_be_changed() -> None:
    picture = anonymize(golden.encode(golden.picture()), STRENGTH)
    with pytest.raises(TypeError):
        METHODS["none"] = METHODS["gaussian"]  # type: ignore[index]  # what it refuses
    with pytest.raises(FrozenInstanceError):
        picture.width = 3  # type: ignore[misc]  # what it refuses
    assert repr(picture) == f"AnonymizedPicture(width=400, height=240, strength={STRENGTH!r})"


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "L", "RGBA", "LA", "P", "I;16")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
        *(("BMP", mode) for mode in ("RGB", "L", "P")),
    ],
)
def test_formats(kind: str, mode: str) -> None:
    clear = Image.fromarray(golden.picture())
    if mode == "I;16":
        clear = Image.fromarray(np.asarray(clear.convert("L"), np.uint16) * 200)
    elif mode == "P":
        clear = clear.quantize(256)
    else:
        clear = clear.convert("L").convert(mode) if mode == "LA" else clear.convert(mode)
    picture = anonymize(encode(clear, kind), STRENGTH, longest=200)
    expected = METHODS["gaussian"].apply(np.asarray(Image.fromarray(golden.picture()).reduce(2)), 17).astype(int)
    if mode in {"L", "LA", "I;16"}:
        expected = expected @ np.array([[299], [587], [114]]) // 1000
    assert np.abs(pixels_of(picture.data) - expected).mean() < 12
    assert (picture.width, picture.height) == (200, 120)


@pytest.mark.parametrize("value", range(1, 9))
def test_pictures_are_turned_upright(value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    corner = np.zeros((64, 96, 3), np.uint8)
    corner[:32, :48] = 255
    found = pixels_of(anonymize(encode(Image.fromarray(corner), "PNG", exif=exif), STRENGTH).data)
    assert found.shape == ((96, 64, 3) if value > 4 else (64, 96, 3))
    top, left = {1: (1, 1), 2: (1, 0), 3: (0, 0), 4: (0, 1), 5: (1, 1), 6: (1, 0), 7: (0, 0), 8: (0, 1)}[value]
    assert (found[4 if top else -4, 4 if left else -4] > 250).all()
    assert (found[-4 if top else 4, -4 if left else 4] < 5).all()


def test_transparency_goes_over_black() -> None:
    clear = Image.new("RGBA", (64, 48), (255, 255, 255, 0))
    assert (pixels_of(anonymize(encode(clear, "PNG"), STRENGTH).data) <= 1).all()


def test_files_that_are_refused() -> None:
    good = golden.encode(golden.picture(), "JPEG")
    header = struct.pack(">IIBBBBB", 5001, 5000, 8, 2, 0, 0, 0)
    huge = bytes([0, 0, 0, 13]) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    assert code_of(b"GIF89a") == "picture_format"
    assert code_of(b"\x89PNG\r\n\x1a\n" + huge + bytes(4) + b"IDAT") == "picture_too_large"
    assert code_of(bytes(20 * 1024 * 1024 + 1)) == "picture_too_large"
    assert code_of(golden.encode(golden.picture()[:15])) == "picture_unreadable"
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        file = golden.encode(golden.picture(), kind)
        assert code_of(file[:30]) == "picture_truncated"
        assert code_of(file[: len(file) * 2 // 3]) == "picture_truncated"
    assert code_of(good[:20] + bytes(300) + good[320:]) == "picture_unreadable"
    assert code_of(b"BM" + bytes(200)) == "picture_unreadable"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = encode(Image.fromarray(golden.picture()), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09" + b"\xff" * 20)
    assert anonymize(clear, STRENGTH).width == 400
    monkeypatch.setattr(Image.Exif, "get", lambda *_: 1 / 0)
    assert anonymize(clear, STRENGTH).width == 400


def test_sigmas() -> None:
    """sqrt((c^2 - 1) / 12) for cells, OpenCV's rule for kernels."""
    assert METHODS["gaussian"].sigma(17) == pytest.approx(2.9)
    assert METHODS["pixelate"].sigma(7) == 2.0


def test_a_kernel_larger_than_the_picture() -> None:
    """Beyond two pixels they go on alternating: half of what is averaged is one, half the other."""
    line = np.array([[[0]], [[255]]], np.uint8).repeat(3, axis=2)
    for kernel in (3, 9, 17):
        assert (METHODS["gaussian"].apply(line, kernel) == 128).all()


@pytest.mark.parametrize("error", [MemoryError("secret"), RuntimeError("secret"), OSError("secret")])
def test_it_fails_closed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    clear = golden.encode(golden.picture())
    monkeypatch.setattr(np, "right_shift", fail)
    with pytest.raises(AnonymizationError) as caught:
        anonymize_versions(clear, [Strength(method="pixelate", parameter=10), STRENGTH])
    assert caught.value.code == "anonymizer_failed"
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_method_that_changes_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(METHODS["gaussian"]), "apply", lambda _self, pixels, _parameter: pixels)
    assert code_of(golden.encode(golden.picture())) == "anonymizer_failed"


def anonymized() -> AnonymizedPicture:
    return anonymize(golden.encode(golden.picture()), STRENGTH)


def test_a_face_is_cropped_with_a_margin() -> None:
    picture = anonymized()
    face = pixels_of(crop_face(picture.data, (0.5, 0.25, 0.1, 0.2)))
    whole = pixels_of(picture.data)[40:128, 184:256].astype(int)
    assert np.abs(face - whole).max() <= 8
    corner = pixels_of(crop_face(picture.data, (0.9, 0.9, 0.5, 0.5)))
    assert corner.shape == (72, 120, 3)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 0),
        (0.5, 0.5, 0.1, -0.1),
        (1.5, 0.2, 0.1, 0.1),
        (0.2, -2, 0.1, 0.1),
        (float("nan"), 0.1, 0.1, 0.1),
        (0.1, 0.1, float("inf"), 0.1),
    ],
)
def test_a_face_that_is_not_in_the_picture_gives_all_of_it(box: tuple[float, float, float, float]) -> None:
    picture = anonymized()
    assert crop_face(picture.data, box) == picture.data
