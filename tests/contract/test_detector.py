"""What every detector does, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from privface_backend.domain.faces import DetectedFace, LandmarkSet
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box, Size
from privface_backend.engines.synthetic import ground
from privface_backend.plugins.ports import Detector
from privface_backend.plugins.spec import EngineKind
from support.engines import all_names, engine, face_of, names, show

SIZES = [(1, 1), (1, 640), (640, 1), (1, 1000), (2, 3), (7, 5), (17, 33), (101, 333), (333, 101), (3, 3000), (32, 640)]


@pytest.fixture(params=names(EngineKind.DETECTOR))
def detector(request: pytest.FixtureRequest) -> Detector:
    found = engine(EngineKind.DETECTOR, request.param)
    assert isinstance(found, Detector)
    assert found.name == request.param
    return found


@pytest.mark.parametrize("name", all_names(EngineKind.DETECTOR))
def test_runs_here_or_says_what_is_missing(name: str) -> None:
    assert isinstance(engine(EngineKind.DETECTOR, name), Detector)


def as_rows(faces: Sequence[DetectedFace]) -> list[object]:
    return [(face.box, face.score, None if face.landmarks is None else face.landmarks.tolist()) for face in faces]


def assert_sound(faces: Sequence[DetectedFace], pixels: Pixels, landmarks: LandmarkSet) -> None:
    height, width = pixels.shape[:2]
    frame = Box.of_frame(Size(width, height))
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    for face in faces:
        assert 0.0 <= face.score <= 1.0
        assert face.box.width > 0
        assert face.box.height > 0
        assert face.box.intersection(frame).area > 0
        if face.landmarks is not None:
            assert landmarks is not LandmarkSet.NONE
            assert face.landmarks.dtype == np.float32
            assert face.landmarks.shape in ({(2, 2)} if landmarks is LandmarkSet.EYES else {(2, 2), (5, 2)})
            assert np.isfinite(face.landmarks).all()


def test_finds_the_face_in_the_middle(detector: Detector) -> None:
    for picture in show(detector.name):
        faces = detector.detect(picture)
        assert_sound(faces, picture, detector.landmarks)
        box = face_of(picture, detector.name).box
        assert 50 < box.width < 180
        assert 50 < box.height < 180


def test_the_eye_on_the_left_of_the_picture_comes_first(detector: Detector) -> None:
    if detector.landmarks is LandmarkSet.NONE:
        pytest.skip(f"{detector.name} gives no landmarks")
    with_landmarks = 0
    for picture in show(detector.name):
        for shown in (picture, np.ascontiguousarray(picture[:, ::-1])):
            points = face_of(shown, detector.name).landmarks
            if points is None:
                continue
            with_landmarks += 1
            assert points[0, 0] < points[1, 0]
            if len(points) == 5:
                eyes, nose, mouth = points[:2], points[2], points[3:]
                assert mouth[0, 0] < mouth[1, 0]
                assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    assert with_landmarks > 0


def test_finds_nothing_where_there_is_no_face(detector: Detector) -> None:
    for height, width in [*SIZES, (250, 250), (480, 640)]:
        for picture in (ground(width, height), np.zeros((height, width, 3), np.uint8)):
            assert len(detector.detect(picture)) == 0, f"a face in an empty picture of {width} x {height}"


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_takes_any_size(detector: Detector, height: int, width: int) -> None:
    noise = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    strip = np.resize(show(detector.name, 1)[0], (height, width, 3))
    for picture in (noise, strip):
        assert_sound(detector.detect(picture), picture, detector.landmarks)


@pytest.mark.parametrize("cut", [np.s_[:, 125:], np.s_[:, :125], np.s_[125:], np.s_[:125], np.s_[110:, 110:]])
def test_takes_faces_that_the_edge_cuts(detector: Detector, cut: tuple[slice, ...]) -> None:
    for picture in show(detector.name):
        part = np.ascontiguousarray(picture[cut])
        assert_sound(detector.detect(part), part, detector.landmarks)


def test_leaves_its_input_alone(detector: Detector) -> None:
    for picture in show(detector.name, 2):
        before = picture.copy()
        detector.detect(picture)
        np.testing.assert_array_equal(picture, before)


def test_answers_the_same_whatever_came_before(detector: Detector) -> None:
    picture, other = show(detector.name, 2)
    first = as_rows(detector.detect(picture))
    again = as_rows(detector.detect(picture))
    for height, width in SIZES:
        detector.detect(np.resize(other, (height, width, 3)))
    assert as_rows(detector.detect(picture)) == again == first


def test_answers_the_same_about_each_size_in_whatever_order(detector: Detector) -> None:
    sizes = [(1, 640), (5, 7), (17, 300), (31, 400), (32, 640), (33, 200), (250, 250), (101, 333), (90, 20)]
    shown = show(detector.name, 1)[0]
    pictures = {size: np.asarray(cv2.resize(shown, size[::-1]), np.uint8) for size in sizes}
    first = {size: as_rows(detector.detect(picture)) for size, picture in pictures.items()}
    order = np.random.default_rng(1)
    for index in order.permutation(4 * len(sizes)) % len(sizes):
        size = sizes[index]
        assert as_rows(detector.detect(pictures[size])) == first[size], f"another answer for {size}"
