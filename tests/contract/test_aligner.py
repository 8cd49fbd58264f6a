"""What every aligner does, whichever it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box, Size
from privface_backend.engines.recognizers.templates import arcface_template, box_template, dlib_template
from privface_backend.plugins.ports import Aligner, CropTemplate
from privface_backend.plugins.spec import EngineKind
from support.engines import all_names, engine, names

TEMPLATES = [arcface_template(), dlib_template(), box_template(Size(224, 224)), box_template(Size(47, 55))]

coordinates = st.floats(-300, 600, width=32)
lengths = st.floats(1, 500, width=32)
boxes = st.builds(Box, coordinates, coordinates, lengths, lengths)
points = st.sampled_from([0, 2, 5]).flatmap(
    lambda count: st.lists(st.tuples(coordinates, coordinates), min_size=count, max_size=count)
)
sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))


@pytest.fixture(params=names(EngineKind.ALIGNER))
def aligner(request: pytest.FixtureRequest) -> Aligner:
    found = engine(EngineKind.ALIGNER, request.param)
    assert isinstance(found, Aligner)
    assert found.name == request.param
    return found


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def face(box: Box, landmarks: list[tuple[float, float]]) -> DetectedFace:
    array: NDArray[np.float32] | None = np.asarray(landmarks, dtype=np.float32) if landmarks else None
    return DetectedFace(box=box, score=0.9, landmarks=array)


def assert_crop(crop: Pixels, template: CropTemplate) -> None:
    assert crop.shape == (template.size.height, template.size.width, 3)
    assert crop.dtype == np.uint8
    assert crop.flags.c_contiguous


@pytest.mark.parametrize("name", all_names(EngineKind.ALIGNER))
def test_runs_here_or_says_what_is_missing(name: str) -> None:
    assert isinstance(engine(EngineKind.ALIGNER, name), Aligner)


@pytest.mark.parametrize("name", names(EngineKind.ALIGNER))
@given(size=sizes, box=boxes, landmarks=points, template=st.sampled_from(TEMPLATES))
@settings(max_examples=100, deadline=None)
def test_makes_a_crop_of_the_templates_size_of_any_face(
    name: str, size: tuple[int, int], box: Box, landmarks: list[tuple[float, float]], template: CropTemplate
) -> None:
    aligner = engine(EngineKind.ALIGNER, name)
    pixels = picture(*size)
    before = pixels.copy()
    crop = aligner.align(pixels, face(box, landmarks), template)
    assert_crop(crop, template)
    np.testing.assert_array_equal(pixels, before)
    assert not np.shares_memory(crop, pixels)


@pytest.mark.parametrize("landmarks", [[], [(80.0, 80.0)] * 2, [(80.0, 80.0)] * 5])
def test_falls_back_to_the_box_where_landmarks_say_nothing(
    aligner: Aligner, landmarks: list[tuple[float, float]]
) -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[60:140, 60:140] = 255
    for template in TEMPLATES[:3]:
        crop = aligner.align(pixels, face(Box(60, 60, 80, 80), landmarks), template)
        assert_crop(crop, template)
        assert crop.mean() > 150
    apart = aligner.align(pixels, face(Box(0, 0, 40, 40), landmarks), TEMPLATES[0])
    assert apart.mean() < 20


def test_gives_the_same_crop_twice(aligner: Aligner) -> None:
    landmarks = [(80.0, 85.0), (120.0, 80.0), (100.0, 105.0), (85.0, 125.0), (118.0, 122.0)]
    shown = face(Box(60.0, 55.0, 80.0, 100.0), landmarks)
    first = aligner.align(picture(200, 200), shown, TEMPLATES[0])
    np.testing.assert_array_equal(aligner.align(picture(200, 200), shown, TEMPLATES[0]), first)
