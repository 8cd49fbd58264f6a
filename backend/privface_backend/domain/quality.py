"""Whether a face can be used at all: a face under the bar is unusable, with its reason, never unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.protocol import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBar:
    """The least that a face must have.

    ``smallest``: width in pixels of the working frame; ``detection``: the detector's score, 0 to 1;
    ``strongest``: r, above which nothing recognizable is left; ``turned``: how far the nose may lie off the
    middle of the eyes, in distances between the eyes (a full profile has about 1).
    """

    smallest: float = 20.0
    detection: float = 0.6
    strongest: float = 0.1
    turned: float = 0.75

    def judge(self, face: DetectedFace, relative: float) -> Reason:
        """``OK``, or the first thing that is wrong."""
        if face.width < self.smallest:
            return Reason.TOO_SMALL
        if face.score < self.detection:
            return Reason.LOW_DETECTION
        if relative > self.strongest:
            return Reason.TOO_BLURRY
        if not turn(face) <= self.turned:
            return Reason.POSE
        return Reason.OK


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
