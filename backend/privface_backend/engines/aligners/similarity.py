"""Landmarks to the recognizer's own template by similarity transform."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Points, similarity_transform
from privface_backend.plugins.ports import CropTemplate, EngineContext

# Where YuNet's landmarks lie in its own box on average, as fractions of it; for detectors without landmarks.
_IN_BOX: Final = np.array(
    [[0.305, 0.385], [0.695, 0.385], [0.5, 0.585], [0.335, 0.755], [0.665, 0.755]], dtype=np.float32
)


class SimilarityAligner:
    """Five landmarks decide turn, size and place; the eyes alone do so less well; without any, the box does."""

    name: Final = "five-point"

    def align(self, pixels: Pixels, face: DetectedFace, template: CropTemplate) -> Pixels:
        landmarks = face.landmarks if face.landmarks is not None else _from_box(face)
        try:
            matrix = similarity_transform(landmarks, template.landmarks[: len(landmarks)])
        except ValueError:
            matrix = similarity_transform(_from_box(face), template.landmarks)
        crop = cv2.warpAffine(pixels, matrix, (template.size.width, template.size.height), flags=cv2.INTER_LINEAR)
        return np.asarray(crop, dtype=np.uint8)


def _from_box(face: DetectedFace) -> Points:
    box = face.box
    scale = np.array([box.width, box.height], dtype=np.float32)
    return _IN_BOX * scale + np.array([box.x, box.y], dtype=np.float32)


def create(_context: EngineContext) -> SimilarityAligner:
    return SimilarityAligner()
