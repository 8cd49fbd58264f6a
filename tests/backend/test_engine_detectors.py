"""Particular facts about the detectors, on real faces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from privface_backend.domain.faces import DetectedFace, LandmarkSet
from privface_backend.domain.frames import Pixels
from privface_backend.engines.detectors.yunet import YuNetDetector
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode
from support import faces, weights
from support.engines import engine, face_of

pytestmark = [pytest.mark.faces, pytest.mark.weights]


def blurred(count: int, kernel: int) -> Sequence[Pixels]:
    return [
        np.asarray(cv2.GaussianBlur(picture, (kernel, kernel), 0), np.uint8)
        for picture in faces.pictures(faces.LFW, count)
    ]


def found_again(face: DetectedFace, among: Sequence[DetectedFace]) -> bool:
    return any(face.box.overlap(other.box) > 0.7 for other in among)


def test_yunet_gives_five_landmarks_and_its_own_scores() -> None:
    detector = engine(EngineKind.DETECTOR, "opencv:yunet")
    assert detector.landmarks is LandmarkSet.FIVE
    for picture in faces.pictures(faces.LFW, 10):
        for face in detector.detect(picture):
            assert face.landmarks is not None
            assert face.landmarks.shape == (5, 2)
            assert face.score >= 0.6


def test_yunet_answers_as_opencv_does_where_it_looks_once() -> None:
    model = str(weights.real().path("yunet"))
    detector = YuNetDetector(model, scales=(1.0,))
    network = cv2.FaceDetectorYN.create(model, "", (250, 250), 0.6, 0.3, 100)
    for picture in faces.pictures(faces.LFW, 10):
        rows = np.asarray(network.detect(picture)[1], np.float32)
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        found = detector.detect(picture)
        assert len(found) == len(rows)
        for face, row in zip(found, rows, strict=True):
            assert (face.box.x, face.box.y, face.box.width, face.box.height) == tuple(row[:4].tolist())
            assert face.score == row[14]
            assert face.landmarks is not None
            np.testing.assert_array_equal(face.landmarks.ravel(), row[4:14])


@pytest.mark.parametrize("side", [24, 28, 32])
def test_yunet_finds_the_faces_in_a_strip(side: int) -> None:
    """Without room, OpenCV's wrapper answers from memory that nothing wrote, where a side has 32 pixels or fewer."""
    cells = [cv2.resize(picture[50:200, 50:200], (side, side)) for picture in faces.pictures(faces.LFW, 10)]
    for axis in (0, 1):
        strip = np.concatenate(cells, axis=axis)
        found = engine(EngineKind.DETECTOR, "opencv:yunet").detect(strip)
        along = [(face.box.y + face.box.height / 2, face.box.x + face.box.width / 2)[axis] for face in found]
        assert sorted(int(middle // side) for middle in along) == list(range(10))


def test_deepfaces_yunet_drops_what_scores_under_nine_tenths() -> None:
    ours = engine(EngineKind.DETECTOR, "opencv:yunet")
    theirs = engine(EngineKind.DETECTOR, "deepface:yunet")
    assert theirs.landmarks is LandmarkSet.EYES
    kept = dropped = 0
    for picture in blurred(12, 33):
        found, answered = ours.detect(picture), theirs.detect(picture)
        assert all(face.score >= 0.9 for face in answered)
        assert all(found_again(face, found) for face in answered)
        kept += len(answered)
        dropped += sum(not found_again(face, answered) for face in found)
    assert kept > 0
    assert dropped > 0


def test_deepfaces_yunet_puts_the_eyes_where_opencvs_does() -> None:
    for picture in faces.pictures(faces.LFW, 10):
        ours, theirs = face_of(picture), face_of(picture, "deepface:yunet")
        assert ours.landmarks is not None
        assert theirs.landmarks is not None
        assert np.abs(ours.landmarks[:2] - theirs.landmarks).max() <= 4.0
        assert ours.box.overlap(theirs.box) > 0.85


def test_deepfaces_opencv_gives_the_eyes_or_none() -> None:
    detector = engine(EngineKind.DETECTOR, "deepface:opencv")
    assert detector.landmarks is LandmarkSet.EYES
    found = [face for picture in faces.pictures(faces.LFW, 12) for face in detector.detect(picture)]
    assert any(face.landmarks is None for face in found)
    with_eyes = [face.landmarks for face in found if face.landmarks is not None]
    assert with_eyes
    assert all(eyes.shape == (2, 2) for eyes in with_eyes)


def test_dlib_gives_the_eyes() -> None:
    for picture in faces.pictures(faces.LFW, 4):
        ours, theirs = face_of(picture), face_of(picture, "deepface:dlib")
        assert ours.landmarks is not None
        assert theirs.landmarks is not None
        assert np.abs(ours.landmarks[:2] - theirs.landmarks).max() < 10.0


def test_a_score_threshold_can_be_chosen() -> None:
    context = EngineContext(weights=weights.real())
    strict, usual = (
        Registry().create(EngineKind.DETECTOR, "opencv:yunet", context, options)
        for options in ({"score_threshold": 0.9}, {})
    )
    pictures = blurred(12, 33)
    counted = [sum(len(detector.detect(picture)) for picture in pictures) for detector in (strict, usual)]
    assert counted[0] < counted[1]
    assert all(face.score >= 0.9 for picture in pictures for face in strict.detect(picture))


def test_a_score_threshold_that_is_none_is_refused() -> None:
    for value in ("high", -0.1, 1.5, float("nan"), None):
        with pytest.raises(PrivFaceError) as caught:
            Registry().create(
                EngineKind.DETECTOR,
                "opencv:yunet",
                EngineContext(weights=weights.real()),
                {"score_threshold": value},
            )
        assert caught.value.code is ErrorCode.SETTINGS_INVALID
        assert caught.value.allowed
