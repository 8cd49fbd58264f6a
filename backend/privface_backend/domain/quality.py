"""Whether a face can be used, and how much it counts: a face under the bar is unusable, with its reason, never unknown.

Sharpness is judged against what the known anonymization leaves: a plain gate would throw every blurred face away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.privacy import BLUR_METHOD, PrivacyLevel
from privface_backend.protocol import Reason

_SOFT: Final = -0.5
"""Under this sharpness, where one face in six is, something blurred the face besides its anonymization."""
_FADING: Final = 60.0
"""By how much sharpness falls for each unit of r that a clear face is blurred with."""
_MOST_BESIDES: Final = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceQuality:
    """What was measured of a face.

    ``width``: pixels of the working frame; ``detection``: the detector's score, 0 to 1; ``turn``: see ``turn``;
    ``sharpness``: natural logarithm of the detail over what faces of this strength have in the middle, None where no
    crop was made; ``brightness``: mean of the aligned gray crop, 0 to 255, ``contrast``: its standard deviation;
    ``weight``: how much the face counts, 0 to 1.
    """

    width: float
    detection: float
    turn: float
    sharpness: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    weight: float = 1.0

    def strength(self, level: PrivacyLevel) -> PrivacyLevel:
        """How strongly a face of this anonymization is blurred in all: out of focus, or by motion, besides.

        Blurs add up as their variances do. Such a face is compared with the templates of that strength, and held
        against its threshold.
        """
        if self.sharpness is None or self.sharpness >= _SOFT:
            return level
        besides = min(_MOST_BESIDES, (_SOFT - self.sharpness) / _FADING)
        method = BLUR_METHOD if level.is_clear else level.method
        return PrivacyLevel(method, float(np.hypot(level.relative, besides)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBar:
    """The least that a face must have.

    ``smallest``: width in pixels of the working frame; ``detection``: the detector's score, 0 to 1;
    ``strongest``: r, above which nothing recognizable is left; ``turned``: how far the nose may lie off the
    middle of the eyes, in distances between the eyes (a full profile has about 1); ``sharpness``: as in
    ``FaceQuality``; ``darkest``, ``brightest``: mean of the gray crop, 0 to 255; ``contrast``: its least deviation;
    ``weight``: under it all that is wrong with a face together leaves too little of it.
    """

    smallest: float = 20.0
    detection: float = 0.6
    strongest: float = 0.065
    turned: float = 0.75
    sharpness: float = -2.2
    darkest: float = 12.0
    brightest: float = 248.0
    contrast: float = 6.0
    weight: float = 0.1

    def judge(self, face: DetectedFace, relative: float) -> Reason:
        """``OK``, or the first thing that is wrong with the place and the strength of a face."""
        if face.width < self.smallest:
            return Reason.TOO_SMALL
        if face.score < self.detection:
            return Reason.LOW_DETECTION
        if relative > self.strongest:
            return Reason.TOO_BLURRY
        if not turn(face) <= self.turned:
            return Reason.POSE
        return Reason.OK

    def judge_crop(self, quality: FaceQuality) -> Reason:
        """``OK``, or what is wrong with the pixels of a face."""
        if quality.brightness is not None and not self.darkest <= quality.brightness <= self.brightest:
            return Reason.LIGHTING
        if quality.contrast is not None and quality.contrast < self.contrast:
            return Reason.LIGHTING
        if quality.sharpness is not None and quality.sharpness < self.sharpness:
            return Reason.TOO_BLURRY
        return Reason.OK

    def judge_weight(self, face: DetectedFace, relative: float, quality: FaceQuality) -> Reason:
        """``OK``, or what is most wrong with a face that is too little worth for everything together."""
        if quality.weight >= self.weight:
            return Reason.OK
        return find_flaw(face, relative, quality.sharpness)


def turn(face: DetectedFace) -> float:
    """How far the nose tip lies off the middle of the eyes, along the line through them; 0 without five landmarks."""
    if face.landmarks is None or len(face.landmarks) < 5:
        return 0.0
    first, second, nose = face.landmarks[0], face.landmarks[1], face.landmarks[2]
    axis = second - first
    length = float(np.hypot(*axis))
    if length < 1e-6:
        return float("inf")
    return abs(float(np.dot(nose - (first + second) / 2, axis))) / length**2


def weigh(face: DetectedFace, relative: float, sharpness: float | None) -> float:
    """How much a face counts among the others of its visit, 0 to 1."""
    return prod(_shares(face, relative, sharpness).values())


def find_flaw(face: DetectedFace, relative: float, sharpness: float | None) -> Reason:
    """What takes most of a face's weight."""
    shares = _shares(face, relative, sharpness)
    return min(shares, key=lambda reason: shares[reason])


def _shares(face: DetectedFace, relative: float, sharpness: float | None) -> Mapping[Reason, float]:
    """What is left of the weight, by what takes it, each 0 to 1."""
    # Under 0.9 the detector saw a face turned down, half hidden or cut off, whose landmarks are guessed.
    sure = min(1.0, max(0.0, (face.score - 0.6) / 0.3)) ** 2
    # As the distance between a person's own scores and strangers' falls, squared: see domain/score_models.py.
    strength = 1.0 / (1.0 + (relative / 0.042) ** 3)
    detail = 1.0 if sharpness is None else float(np.exp(min(0.0, 0.5 * (sharpness + 0.5))))
    return {
        Reason.TOO_SMALL: min(1.0, face.width / 64.0),
        Reason.POSE: max(0.0, 1.0 - turn(face)) ** 1.5,
        Reason.LOW_DETECTION: sure,
        Reason.TOO_BLURRY: strength * detail,
    }
