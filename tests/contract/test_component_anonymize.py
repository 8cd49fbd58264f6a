"""Anonymizing in the component: to the bit what the backend and OpenCV do, or nothing."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.privacy import Noise
from privface_backend.engines.anonymizers import laplace as backends_laplace
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.pictures import decode_picture as decode_in_backend
from privface_backend.plugins.ports import Anonymizer, EngineContext
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import ErrorCode
from support import golden
from support.component import COMPONENT, load_package
from support.engines import REGISTRY, engine

component = load_package("anonymize")
errors = import_module("privface_anonymize.errors")
gaussian = import_module("privface_anonymize.gaussian")
jpeg = import_module("privface_anonymize.jpeg")
laplace = import_module("privface_anonymize.laplace")
noisy = import_module("privface_anonymize.noisy")
strengths = import_module("privface_anonymize.strength")

KERNELS: Final = range(3, 256, 2)
SIZES: Final = [(1, 1), (1, 50), (50, 1), (2, 3), (16, 17), (33, 40), (97, 131)]
METHODS: Final = list(component.METHODS)
QUIET: Final = [name for name in METHODS if "noise" not in name]


def peer(name: str) -> Anonymizer:
    found = engine(EngineKind.ANONYMIZER, name)
    assert isinstance(found, Anonymizer)
    return found


def noise(height: int, width: int, seed: int = 1) -> Pixels:
    """Noise, with even areas of the darkest and the brightest."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[height // 2 :, width // 2 :] = 255
    pixels[: height // 4, : width // 4] = 0
    return pixels


def in_backend(data: bytes, method: str, parameter: int, longest: int) -> bytes:
    """The file that the component must give, its pixels made by the backend and OpenCV."""
    pixels = decode_in_backend(data, PictureLimits(), longest)
    height, width, _ = pixels.shape
    done = peer(method).apply(resize(pixels, working_size(Size(width, height), longest)), parameter)
    encoded: bytes = jpeg.encode_picture(np.ascontiguousarray(done[:, :, ::-1]))
    return encoded


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gaussian_is_opencvs_to_the_bit(height: int, width: int) -> None:
    """Every odd k: also where the kernel is larger than the picture, several times over."""
    pixels = noise(height, width)
    for kernel in KERNELS:
        expected = cv2.GaussianBlur(pixels, (kernel, kernel), 0)
        np.testing.assert_array_equal(component.METHODS["gaussian"].apply(pixels, kernel), expected)


@pytest.mark.parametrize("kernel", [3, 9, 17, 33, 99, 255])
def test_gaussian_is_opencvs_in_pictures_of_many_bands(kernel: int) -> None:
    pixels = noise(431, 640)
    expected = cv2.GaussianBlur(pixels, (kernel, kernel), 0)
    np.testing.assert_array_equal(component.METHODS["gaussian"].apply(pixels, kernel), expected)


def test_gaussians_weights_depend_on_no_c_library() -> None:
    """None is so near to a half that another ``exp``, wrong by 1e-12, would round it otherwise."""
    for kernel in KERNELS:
        weights = gaussian.weigh(kernel)
        assert sum(weights[:-1]) * 2 + weights[-1] == 256
        assert min(weights) >= 0
        if kernel > 7:
            reach, sigma = kernel // 2, peer("gaussian").sigma(kernel)
            bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
            exact = np.cumsum(256 * bell / bell.sum())[:reach]
            assert np.abs(exact % 1 - 0.5).min() > 1e-7
            np.testing.assert_array_equal(np.cumsum(weights)[:reach], np.rint(exact))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pixelate_is_the_backends_to_the_bit(height: int, width: int) -> None:
    pixels = noise(height, width)
    method = component.METHODS["pixelate"]
    for cell in range(method.minimum, method.maximum + 1):
        np.testing.assert_array_equal(method.apply(pixels, cell), peer("pixelate").apply(pixels, cell))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("epsilon", "sensitivity"), [(1.0, 16), (0.05, 1), (100.0, 256), (0.001, 65_536), (1000.0, 1)])
def test_pixelate_with_noise_is_the_backends_to_the_bit_with_its_random_bytes(
    height: int, width: int, epsilon: float, sensitivity: int
) -> None:
    pixels = noise(height, width)
    given = component.Noise(epsilon=epsilon, sensitivity=sensitivity)
    for cell in (2, 3, 8, 16, 100):
        seed = f"{height} {width} {cell}".encode()
        ours = noisy.NoisyPixelate(given, lambda seed=seed: laplace.SeededWords(seed)).apply(pixels, cell)
        options = {"epsilon": epsilon, "sensitivity": sensitivity, "seed": seed}
        context = EngineContext(weights=NoWeights(), options=options)
        theirs = REGISTRY.create(EngineKind.ANONYMIZER, "pixelate+noise", context).apply(pixels, cell)
        np.testing.assert_array_equal(ours, theirs)


def test_noise_is_never_twice_the_same() -> None:
    pixels, method = noise(64, 64), component.METHODS["pixelate+noise"]
    assert (method.apply(pixels, 8) != method.apply(pixels, 8)).any()


def test_the_samplers_are_one_file() -> None:
    assert Path(str(laplace.__file__)).read_bytes() == Path(str(backends_laplace.__file__)).read_bytes()


@pytest.mark.parametrize(
    ("epsilon", "sensitivity"),
    [(0.0, 1), (-1.0, 1), (0.0005, 1), (1000.5, 1), (1.0, 0), (1.0, 65_537), (float("nan"), 1)],
)
def test_noise_out_of_range_is_refused_as_by_the_backend(epsilon: float, sensitivity: int) -> None:
    with pytest.raises(component.AnonymizationError) as ours:
        component.Noise(epsilon=epsilon, sensitivity=sensitivity)
    with pytest.raises(PrivFaceError) as theirs:
        Noise.of(epsilon, sensitivity)
    assert (ours.value.code, ours.value.allowed) == (theirs.value.code.value, theirs.value.allowed)


def test_background_is_not_offered_without_a_detector() -> None:
    with pytest.raises(component.AnonymizationError) as caught:
        component.anonymize(golden.encode(golden.picture()), component.Strength(method="background", parameter=17))
    assert caught.value.allowed == "gaussian, pixelate, pixelate+noise"


@pytest.mark.parametrize(("method", "parameter"), golden.METHODS)
def test_the_golden_pictures_are_the_backends(method: str, parameter: int) -> None:
    """What the component's own tests compare with in Home Assistant's Python."""
    expected = golden.METHODS[method, parameter]
    assert golden.digest(peer(method).apply(golden.picture(), parameter)) == expected
    assert golden.digest(component.METHODS[method].apply(golden.picture(), parameter)) == expected


@pytest.mark.parametrize("size", golden.SCALED)
def test_the_golden_sizes_are_the_backends(size: tuple[int, int]) -> None:
    assert golden.digest(resize(golden.picture(), Size(*size))) == golden.SCALED[size]


@given(
    height=st.integers(16, 200),
    width=st.integers(16, 200),
    longest=st.integers(1, 250),
    name=st.sampled_from(QUIET),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_picture_the_file_is_the_backends(
    height: int, width: int, longest: int, name: str, data: st.DataObject
) -> None:
    method = component.METHODS[name]
    parameter = data.draw(st.sampled_from(range(method.minimum, method.maximum + 1, method.step)))
    kind = data.draw(st.sampled_from(["PNG", "BMP", "JPEG"]))
    clear = golden.encode(noise(height, width, data.draw(st.integers(0, 99))), kind)
    picture = component.anonymize(clear, component.Strength(method=name, parameter=parameter), longest=longest)
    assert picture.data == in_backend(clear, name, parameter, longest)
    assert (picture.width, picture.height) == Image.open(io.BytesIO(picture.data)).size
    assert max(picture.width, picture.height) <= max(longest, 1)


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_the_backends(name: str) -> None:
    method = component.METHODS[name]
    assert method.name == name
    parameters = range(method.minimum, method.maximum + 1, method.step)
    assert method.default in parameters
    for parameter in parameters:
        method.validate(parameter)
        peer(name).validate(parameter)
        assert method.sigma(parameter) == pytest.approx(peer(name).sigma(parameter), rel=1e-12)
        assert method.sigma(parameter) > 0


def test_codes_are_the_protocols() -> None:
    codes = {value for key, value in vars(errors).items() if key.isupper()}
    assert len(codes) == 6
    assert codes <= {code.value for code in ErrorCode}


def test_nothing_of_home_assistant_or_opencv_is_imported_and_no_switch_of_pillow_is_set() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ALONE],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "tests", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["picture_too_large", "ok"]


_ALONE: Final = """
import sys, struct, zlib
from PIL import Image, ImageFile
before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
assert before[0] > 1_000_000 and before[1] is False
from support import golden
from support.component import load_package
component = load_package("anonymize")
strength = component.Strength(method="gaussian", parameter=17)

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

huge = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
try:
    component.anonymize(huge + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""), strength)
except component.AnonymizationError as error:
    print(error.code)
assert component.anonymize(golden.encode(golden.picture()), strength).width == golden.SIZE[0]
assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before
assert not {"cv2", "homeassistant", "aiohttp", "scipy", "privface_backend"} & set(sys.modules)
print("ok")
"""


def test_the_package_imports_no_other_part_of_the_component() -> None:
    for module in (COMPONENT / "anonymize").glob("*.py"):
        assert "from .." not in module.read_text(encoding="utf-8")


class Rogue:
    """A method that does what it was given, whatever that is."""

    name, minimum, maximum, useful, step, default = "rogue", 1, 9, 9, 1, 3

    def __init__(self, apply: Any) -> None:
        self._apply = apply

    def validate(self, _parameter: int) -> None:
        pass

    def sigma(self, _parameter: int) -> float:
        return 1.0

    def apply(self, pixels: Pixels, _parameter: int) -> Any:
        return self._apply(pixels)


def fail(error: BaseException) -> Any:
    def apply(_pixels: Pixels) -> Pixels:
        raise error

    return apply


@pytest.mark.parametrize(
    "apply",
    [
        lambda pixels: pixels,
        lambda pixels: pixels[:, ::-1],
        lambda pixels: pixels[:-1].copy(),
        lambda pixels: pixels[:, :, 0].copy(),
        lambda pixels: pixels.astype(np.int32),
        lambda pixels: pixels.tobytes(),
        lambda _pixels: None,
        fail(MemoryError("secret")),
        fail(ValueError("secret")),
        fail(RecursionError("secret")),
    ],
)
def test_a_method_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, apply: Any) -> None:
    monkeypatch.setattr(strengths, "METHODS", {"rogue": Rogue(apply), **component.METHODS})
    clear = golden.encode(golden.picture())
    rogue = component.Strength(method="rogue", parameter=3)
    good = component.Strength(method="gaussian", parameter=17)
    for wanted in ([rogue], [good, rogue]):
        with pytest.raises(component.AnonymizationError) as caught:
            component.anonymize_versions(clear, wanted)
        assert caught.value.code == "anonymizer_failed"
        assert_says_nothing(caught.value)


@pytest.mark.parametrize(
    ("place", "name"),
    [(np, "add"), (np, "empty"), (np, "copyto"), (Image, "fromarray"), (Image.Image, "save"), (Image.Image, "crop")],
)
@pytest.mark.parametrize("error", [MemoryError("secret"), RuntimeError("secret"), OSError("secret")])
def test_a_library_that_fails_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, error: Exception
) -> None:
    clear = golden.encode(golden.picture())
    monkeypatch.setattr(place, name, lambda *_, **__: fail(error)(noise(1, 1)))
    with pytest.raises(component.AnonymizationError) as caught:
        component.anonymize(clear, component.Strength(method="gaussian", parameter=17))
    assert caught.value.code in {"anonymizer_failed", "picture_unreadable"}
    assert_says_nothing(caught.value)


def assert_says_nothing(error: Any) -> None:
    """Neither the error nor what it carries along quotes another."""
    assert "secret" not in f"{error} {error!r} {error.message} {error.allowed}"
    assert error.__cause__ is None
    assert error.__context__ is None


def test_an_interrupt_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strengths, "METHODS", {"rogue": Rogue(fail(KeyboardInterrupt()))})
    with pytest.raises(KeyboardInterrupt):
        component.anonymize(golden.encode(golden.picture()), component.Strength(method="rogue", parameter=3))


def test_versions_are_what_each_alone_would_be() -> None:
    clear = golden.encode(golden.picture(), "JPEG")
    wanted = [
        component.Strength(method=method, parameter=parameter)
        for method, parameter in (("gaussian", 17), ("pixelate", 10), ("gaussian", 33))
    ]
    versions = component.anonymize_versions(clear, wanted, longest=200)
    assert versions == tuple(component.anonymize(clear, strength, longest=200) for strength in wanted)
    assert [version.strength for version in versions] == wanted
    assert len({version.data for version in versions}) == 3


def test_one_picture_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one doesn't begin before the first is done, and does begin after a failure."""
    inside, met = threading.Lock(), threading.Event()

    def apply(_pixels: Pixels) -> Pixels:
        if inside.acquire(blocking=False):
            # Long enough for another to come in, were it let in.
            met.wait(0.3)
            inside.release()
        else:
            met.set()
        raise ValueError

    monkeypatch.setattr(strengths, "METHODS", {"rogue": Rogue(apply)})
    clear, rogue = golden.encode(golden.picture()), component.Strength(method="rogue", parameter=3)
    with ThreadPoolExecutor(3) as pool:
        tries = [pool.submit(component.anonymize, clear, rogue) for _ in range(3)]
    assert all(isinstance(done.exception(), component.AnonymizationError) for done in tries)
    assert not met.is_set()
