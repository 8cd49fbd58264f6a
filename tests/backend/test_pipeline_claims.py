"""Frames that have more detail than their cards say, told from those that are what they say, on real pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from PIL import Image

from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.claims.blur import jpeg_grain
from privface_backend.pipeline.claims.check import TESTS, check_claim, excess_detail
from privface_backend.pipeline.process import Stopwatch
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy
from support import faces
from support.engines import engine
from support.process import make_process

KERNELS = (5, 9, 13, 17, 25, 51, 97)
CELLS = (2, 4, 8, 10, 16, 48)
CLAIMS = [("gaussian", k) for k in KERNELS] + [("pixelate", c) for c in CELLS] + [("pixelate+noise", 16)]
FILES = [("PNG", 0, ""), ("JPEG", 95, "4:4:4"), ("JPEG", 75, "4:2:0")]


def repack(pixels: Pixels, kind: tuple[str, int, str]) -> Pixels:
    name, quality, subsampling = kind
    if name == "PNG":
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, ::-1]).save(file, name, quality=quality, subsampling=subsampling)
    return np.ascontiguousarray(np.asarray(Image.open(file))[:, :, ::-1])


def pictures(count: int = 8) -> Sequence[Pixels]:
    return [*faces.pictures(faces.CALTECH, count), *faces.pictures(faces.LFW, count)]


def apply(method: str, parameter: int, pixels: Pixels) -> Pixels:
    done: Pixels = engine(EngineKind.ANONYMIZER, method).apply(pixels, parameter)
    return done


def excess(pixels: Pixels, method: str, parameter: int) -> float:
    found = excess_detail(pixels, method, parameter)
    assert found is not None
    return found


def write(pixels: Pixels) -> Pixels:
    drawn = pixels.copy()
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(drawn, "2026-11-28", (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA)
    return drawn


@pytest.mark.parametrize("kind", FILES, ids=str)
@pytest.mark.parametrize(("method", "parameter"), CLAIMS)
def test_honest_frames_pass_in_any_file(method: str, parameter: int, kind: tuple[str, int, str]) -> None:
    for number, picture in enumerate(pictures()):
        shown = write(picture) if number % 2 else picture
        check_claim(repack(apply(method, parameter, shown), kind), method, parameter)


@pytest.mark.parametrize(
    ("method", "parameter"), [claim for claim in CLAIMS if claim not in {("gaussian", 5), ("pixelate", 2)}]
)
def test_clear_frames_are_refused(method: str, parameter: int) -> None:
    for picture in pictures():
        with pytest.raises(PrivFaceError) as caught:
            check_claim(repack(picture, FILES[1]), method, parameter)
        assert caught.value.code is ErrorCode.NOT_ANONYMIZED


@pytest.mark.parametrize(
    ("method", "parameter"), [("gaussian", 35), ("gaussian", 51), ("pixelate", 16), ("pixelate", 48)]
)
def test_half_the_strength_is_mostly_refused(method: str, parameter: int) -> None:
    half = 2 * (parameter // 4) + 1 if method == "gaussian" else parameter // 2
    found = [excess(apply(method, half, picture), method, parameter) for picture in faces.pictures(faces.CALTECH, 8)]
    assert sum(value > 1 for value in found) >= 6


@pytest.mark.parametrize(
    ("method", "parameter"), [("gaussian", 17), ("gaussian", 35), ("pixelate", 10), ("pixelate", 16)]
)
def test_one_clear_face_is_enough_to_be_refused(method: str, parameter: int) -> None:
    for picture in faces.pictures(faces.CALTECH, 6):
        box = face_of_any(picture)
        done = apply(method, parameter, picture)
        assert excess(done, method, parameter) <= 1
        done[box] = picture[box]
        assert excess(repack(done, FILES[1]), method, parameter) > 1


def face_of_any(picture: Pixels) -> tuple[slice, slice]:
    box = engine(EngineKind.DETECTOR, "opencv:yunet").detect(picture)[0].box
    return slice(max(0, round(box.y)), round(box.y + box.height)), slice(max(0, round(box.x)), round(box.x + box.width))


@pytest.mark.parametrize(
    ("method", "parameter"), [("gaussian", 9), ("gaussian", 17), ("pixelate", 8), ("pixelate", 10)]
)
def test_what_is_drawn_over_afterwards_is_refused(method: str, parameter: int) -> None:
    for picture in pictures(3):
        assert excess(repack(write(apply(method, parameter, picture)), FILES[2]), method, parameter) > 1


def test_flat_small_and_single_pixel_frames_pass() -> None:
    for shape in ((1, 1), (1, 300), (300, 1), (16, 16), (23, 40), (360, 640)):
        for color in (0, 127, 255):
            flat = np.full((*shape, 3), color, np.uint8)
            for method, parameter in (*CLAIMS, ("gaussian", 255), ("pixelate", 256)):
                assert excess(flat, method, parameter) < 0.1


def test_a_frame_that_was_enlarged_passes() -> None:
    for picture in pictures(3):
        done = cv2.resize(apply("gaussian", 17, picture), None, fx=1.5, fy=1.5)
        check_claim(np.asarray(done, dtype=np.uint8), "gaussian", 17)


@pytest.mark.parametrize(
    ("method", "parameter"),
    [("none", 1), ("gaussian", 1), ("gaussian", 3), ("pixelate", 1), ("somebody's own", 9), ("background", 3)],
)
def test_what_cannot_be_told_passes(method: str, parameter: int) -> None:
    picture = pictures(1)[0]
    assert excess_detail(picture, method, parameter) is None
    check_claim(picture, method, parameter)


@pytest.mark.parametrize("method", ["background", "background+gaussian"])
def test_a_composed_method_is_tested_by_its_blur(method: str) -> None:
    picture = pictures(1)[0]
    assert excess_detail(picture, method, 17) == excess_detail(picture, "gaussian", 17)
    assert set(TESTS) == {"gaussian", "pixelate", "pixelate+noise"}


def test_grain_tells_how_strongly_a_file_was_compressed() -> None:
    blurred = apply("gaussian", 17, faces.pictures(faces.CALTECH, 1)[0])
    kinds = (FILES[0], FILES[1], ("JPEG", 85, "4:2:0"), ("JPEG", 75, "4:2:0"), ("JPEG", 50, "4:2:0"))
    packed = [cv2.cvtColor(repack(blurred, kind), cv2.COLOR_BGR2GRAY).astype(np.float32) for kind in kinds]
    grains = [jpeg_grain(luma) for luma in packed]
    assert grains == sorted(grains)
    assert grains[0] < 0.2
    assert grains[-1] > 1


def test_the_process_refuses_only_frames_with_a_claim_and_only_where_it_shall() -> None:
    picture = pictures(1)[0]
    claimed = Privacy(method="gaussian", parameter=17, applied_by=AppliedBy.CLIENT)
    with pytest.raises(PrivFaceError) as caught:
        make_process().anonymize(picture, claimed, Privacy(), Stopwatch())
    assert caught.value.code is ErrorCode.NOT_ANONYMIZED
    assert caught.value.allowed is not None
    open_process = make_process(check_claims=False)
    assert open_process.anonymize(picture, claimed, Privacy(), Stopwatch()).privacy == claimed
    # One that is anonymized here is what it says without a test.
    watch = Stopwatch()
    asked = Privacy(method="gaussian", parameter=17)
    assert make_process().anonymize(picture, asked, Privacy(), watch).privacy.applied_by is AppliedBy.BACKEND
    assert "check" not in watch.seconds


@pytest.mark.parametrize("noise", [{"epsilon": 0.0}, {"sensitivity": 0}])
def test_impossible_noise_in_a_claim_is_refused(noise: dict[str, float]) -> None:
    process = make_process()
    name = "pixelate+noise"
    process.engines.anonymizers[name] = engine(EngineKind.ANONYMIZER, name)  # type: ignore[index]  # a dict here
    claimed = Privacy(method=name, parameter=16, applied_by=AppliedBy.CLIENT, **noise)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(PrivFaceError) as caught:
        process.anonymize(np.zeros((64, 64, 3), np.uint8), claimed, Privacy(), Stopwatch())
    assert caught.value.code is ErrorCode.BAD_PRIVACY_PARAMETER
