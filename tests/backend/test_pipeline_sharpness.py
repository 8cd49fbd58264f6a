"""Sharpness relative to the known anonymization, and light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from privface_backend.domain.frames import Pixels
from privface_backend.domain.quality import FaceQuality, QualityBar
from privface_backend.pipeline.sharpness import measure_light, relative_sharpness
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import Reason
from support import faces
from support.engines import engine, face_of

STRENGTHS = (0.0, 0.017, 0.03, 0.05)
# Pixels of the picture's face that its detail is judged for.
WIDTH = 100.0


def blurred(picture: Pixels, sigma: float) -> Pixels:
    return picture if sigma <= 0 else np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def textured(seed: int) -> Pixels:
    """A crop with detail of all sizes, as pictures of things have it."""
    rng = np.random.default_rng(seed)
    total = np.zeros((112, 112, 3))
    for octave in range(6):
        size = 4 * 2**octave
        grid = rng.standard_normal((size, size, 3))
        total += cv2.resize(grid, (112, 112), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return np.asarray(np.clip(128 + 40 * total, 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("relative", STRENGTHS)
@pytest.mark.parametrize("seed", range(4))
def test_what_blurs_besides_the_anonymization_lowers_it(seed: int, relative: float) -> None:
    crop = blurred(textured(seed), relative * WIDTH)
    values = [relative_sharpness(blurred(crop, sigma), relative, WIDTH) for sigma in (0.0, 2.0, 4.0, 8.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.5


@pytest.mark.faces
@pytest.mark.weights
def test_the_anonymization_alone_does_not_make_a_face_unusable() -> None:
    bar, aligner = QualityBar(), engine(EngineKind.ALIGNER, "five-point")
    template = engine(EngineKind.RECOGNIZER, "deepface:SFace").template
    kept = dict.fromkeys(STRENGTHS, 0)
    lowered = dict.fromkeys(STRENGTHS, 0)
    shown = faces.pictures(faces.LFW, 24)
    for picture in shown:
        face = face_of(picture)
        for relative in STRENGTHS:
            anonymized = blurred(picture, relative * face.width)
            crops = [
                aligner.align(blurred(anonymized, extra * face.width), face, template) for extra in (0.0, 0.03, 0.08)
            ]
            sharp, soft, softest = (relative_sharpness(crop, relative, face.width) for crop in crops)
            lowered[relative] += sharp > soft > softest
            quality = FaceQuality(width=face.width, detection=0.9, turn=0.0, sharpness=sharp)
            kept[relative] += bar.judge_crop(quality) is Reason.OK
    # Usable at every strength; and what was blurred besides is less sharp at every strength.
    assert min(kept.values()) >= 0.95 * len(shown), kept
    assert min(lowered.values()) >= 0.95 * len(shown), lowered


@pytest.mark.parametrize("relative", [0.5, 5.0, 40.0])
def test_a_strength_beyond_all_bounds_is_judged_too(relative: float) -> None:
    assert np.isfinite(relative_sharpness(textured(0), relative, 8.0))


def test_light_is_measured_in_gray_levels() -> None:
    dark, bright = np.full((112, 112, 3), 5, np.uint8), np.full((56, 56, 3), 250, np.uint8)
    assert measure_light(dark) == (5.0, 0.0)
    assert measure_light(bright) == (250.0, 0.0)
    halves = np.concatenate([np.full((112, 56, 3), 50, np.uint8), np.full((112, 56, 3), 150, np.uint8)], axis=1)
    assert measure_light(halves) == pytest.approx((100.0, 50.0))


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        ((0.0, 120.0, 40.0), Reason.OK),
        ((0.0, 5.0, 40.0), Reason.LIGHTING),
        ((0.0, 252.0, 40.0), Reason.LIGHTING),
        ((0.0, 120.0, 2.0), Reason.LIGHTING),
        ((-5.0, 120.0, 40.0), Reason.TOO_BLURRY),
        ((None, None, None), Reason.OK),
    ],
)
def test_what_is_wrong_with_the_pixels(
    quality: tuple[float | None, float | None, float | None], reason: Reason
) -> None:
    sharpness, brightness, contrast = quality
    measured = FaceQuality(
        width=80, detection=0.9, turn=0.0, sharpness=sharpness, brightness=brightness, contrast=contrast
    )
    assert QualityBar().judge_crop(measured) is reason
