"""How strongly a face is blurred in all: its anonymization, and what its sharpness says besides."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.decision import Ranked
from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.geometry import Box
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.domain.quality import FaceQuality, QualityBar, weigh
from privface_backend.domain.visits import Visit, VisitFace, VisitRules
from privface_backend.pipeline.sharpness import relative_sharpness
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import Reason
from support import faces
from support.decisions import make_ranked
from support.engines import engine, face_of
from support.visits import at, axis

BLURRED = PrivacyLevel("gaussian", 0.03)


def quality(sharpness: float | None) -> FaceQuality:
    return FaceQuality(width=80, detection=0.9, turn=0.0, sharpness=sharpness)


@pytest.mark.parametrize("sharpness", [None, 1.0, 0.0, -0.5])
@pytest.mark.parametrize("level", [CLEAR, BLURRED, PrivacyLevel("pixelate", 0.02)])
def test_a_face_with_the_usual_detail_is_as_blurred_as_its_card_says(
    sharpness: float | None, level: PrivacyLevel
) -> None:
    assert quality(sharpness).strength(level) == level


def test_blurs_add_up_as_their_variances() -> None:
    assert quality(-2.0).strength(CLEAR) == PrivacyLevel("gaussian", 0.025)
    assert quality(-2.0).strength(BLURRED) == PrivacyLevel("gaussian", hypot(0.03, 0.025))
    assert quality(-2.0).strength(PrivacyLevel("pixelate", 0.03)).method == "pixelate"


@given(st.floats(-20, 5), st.floats(-20, 5), st.floats(0, 0.1))
def test_less_detail_never_means_less_blur(one: float, other: float, relative: float) -> None:
    less, more = sorted((one, other))
    level = PrivacyLevel("gaussian", relative)
    blurrier, sharper = quality(less).strength(level).relative, quality(more).strength(level).relative
    assert relative <= sharper <= blurrier <= hypot(relative, 0.03) + 1e-9


def test_a_visit_compares_a_face_as_blurred_as_it_is() -> None:
    asked: list[PrivacyLevel] = []

    class Recorder:
        def rank(self, vector: Vector, level: PrivacyLevel) -> tuple[Ranked, ...]:
            asked.append(level)
            return (make_ranked("ada", float(vector[0])),)

    visit = Visit("visit", VisitRules())
    soft = VisitFace(
        captured_at=at(0),
        box=(0.1, 0.1, 0.2, 0.2),
        level=CLEAR,
        reason=Reason.OK,
        quality=quality(-2.0),
        vector=axis(0),
    )
    visit.add(soft, Recorder())
    assert asked == [PrivacyLevel("gaussian", 0.025)]
    (remembered,) = visit.remember()
    assert remembered.level == asked[0]
    assert visit.shown_faces[0].level == CLEAR


@pytest.mark.faces
@pytest.mark.weights
def test_how_much_a_picture_is_out_of_focus_shows_in_its_strength() -> None:
    """Half of all faces, blurred by r besides, are taken for blurred by about that."""
    aligner, template = (
        engine(EngineKind.ALIGNER, "five-point"),
        engine(EngineKind.RECOGNIZER, "deepface:SFace").template,
    )
    guessed: dict[float, list[float]] = {0.0: [], 0.02: [], 0.03: []}
    for picture in faces.pictures(faces.LFW, 24):
        face = face_of(picture)
        for besides, found in guessed.items():
            blurred = picture if not besides else cv2.GaussianBlur(picture, (0, 0), besides * face.width)
            crop = aligner.align(np.asarray(blurred, dtype=np.uint8), face, template)
            found.append(quality(relative_sharpness(crop, 0.0, face.width)).strength(CLEAR).relative)
    middle = {besides: float(np.median(found)) for besides, found in guessed.items()}
    assert middle[0.0] < 0.003 < middle[0.02] < middle[0.03], middle
    assert 0.01 <= middle[0.02] <= 0.03, middle


def detected(width: float, *, score: float = 0.95, nose: float = 0.0) -> DetectedFace:
    """A face with eyes a third of its width apart, and the nose so many of these off their middle."""
    apart = width / 3
    landmarks = np.array(
        [
            [apart, apart],
            [2 * apart, apart],
            [(1.5 + nose) * apart, 1.5 * apart],
            [apart, 2 * apart],
            [2 * apart, 2 * apart],
        ],
        np.float32,
    )
    return DetectedFace(box=Box(0, 0, width, width), score=score, landmarks=landmarks)


@pytest.mark.parametrize(
    ("face", "relative", "sharpness", "reason"),
    [
        (detected(80), 0.0, 0.0, Reason.OK),
        (detected(24), 0.0, 0.0, Reason.OK),
        (detected(80), 0.06, 0.0, Reason.OK),
        (detected(20, score=0.8), 0.045, 0.0, Reason.TOO_SMALL),
        (detected(28), 0.063, 0.0, Reason.TOO_BLURRY),
        (detected(80, nose=0.7), 0.04, 0.0, Reason.POSE),
        (detected(80, score=0.66), 0.04, 0.0, Reason.LOW_DETECTION),
        (detected(40), 0.055, -2.1, Reason.TOO_BLURRY),
    ],
)
def test_what_is_wrong_together_makes_a_face_unusable(
    face: DetectedFace, relative: float, sharpness: float, reason: Reason
) -> None:
    bar = QualityBar()
    measured = FaceQuality(
        width=face.width, detection=face.score, turn=0.0, sharpness=sharpness, weight=weigh(face, relative, sharpness)
    )
    assert bar.judge(face, relative) is Reason.OK
    assert bar.judge_crop(measured) is Reason.OK
    assert bar.judge_weight(face, relative, measured) is reason


@given(st.floats(8, 300), st.floats(0.5, 1), st.floats(0, 0.2), st.floats(-6, 3), st.floats(0, 1.5))
def test_a_weight_is_a_share(width: float, score: float, relative: float, sharpness: float, nose: float) -> None:
    assert 0 <= weigh(detected(width, score=score, nose=nose), relative, sharpness) <= 1
