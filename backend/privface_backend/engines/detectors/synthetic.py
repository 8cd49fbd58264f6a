"""Finds the drawn faces of ``engines.synthetic``: areas of vivid color."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace, LandmarkSet
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box
from privface_backend.engines.synthetic import LANDMARKS
from privface_backend.plugins.ports import EngineContext

_VIVID: Final = 100
_SMALLEST: Final = 8


class SyntheticDetector:
    """Deterministic; the score is the share of the box that is colored."""

    name: Final = "synthetic"
    landmarks: Final = LandmarkSet.FIVE

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        vivid = (pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)) > _VIVID
        _, _, stats, _ = cv2.connectedComponentsWithStats(vivid.astype(np.uint8), connectivity=8)
        faces = []
        for left, top, width, height, area in np.asarray(stats)[1:]:
            if min(width, height) < _SMALLEST:
                continue
            box = Box(float(left), float(top), float(width), float(height))
            corner, scale = np.array([left, top], np.float32), np.array([width, height], np.float32)
            faces.append(DetectedFace(box=box, score=float(area) / box.area, landmarks=LANDMARKS * scale + corner))
        return sorted(faces, key=lambda face: -face.score)


def create(_context: EngineContext) -> SyntheticDetector:
    return SyntheticDetector()
