"""DeepFace's own alignment: the face turned until its eyes are level, then cut at the detector's box."""

from __future__ import annotations

import importlib
from typing import Any, Final

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.engines.deepface_runtime import load_deepface
from privface_backend.plugins.ports import CropTemplate, EngineContext


class DeepFaceAligner:
    """``deepface.modules.detection.extract_face`` on a frame padded as DeepFace pads it."""

    name: Final = "deepface"

    def __init__(self) -> None:
        self._extract = importlib.import_module("deepface.modules.detection").extract_face
        self._region = importlib.import_module("deepface.models.Detector").FacialAreaRegion

    def align(self, pixels: Pixels, face: DetectedFace, template: CropTemplate) -> Pixels:
        height, width = pixels.shape[:2]
        down, right = height // 2, width // 2
        padded = cv2.copyMakeBorder(pixels, down, down, right, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        found = self._extract(
            facial_area=self._area(face, right, down),
            img=padded,
            align=True,
            expand_percentage=0,
            width_border=right,
            height_border=down,
            detector_backend="yunet",
        )
        return letterbox(np.asarray(found.img, dtype=np.uint8), template.size)

    def _area(self, face: DetectedFace, right: int, down: int) -> Any:
        box = face.box.shifted(right, down)
        eyes: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)
        if face.landmarks is not None:
            first, second = ((int(x) + right, int(y) + down) for x, y in face.landmarks[:2])
            eyes = (first, second)
        return self._region(
            x=int(box.x),
            y=int(box.y),
            w=int(box.width),
            h=int(box.height),
            right_eye=eyes[0],
            left_eye=eyes[1],
            confidence=face.score,
        )


def letterbox(crop: Pixels, size: Size) -> Pixels:
    """The crop brought to ``size`` without distortion, black beside it, as DeepFace's ``resize_image`` does."""
    out = np.zeros((size.height, size.width, 3), dtype=np.uint8)
    height, width = crop.shape[:2]
    if height == 0 or width == 0:
        return out
    factor = min(size.height / height, size.width / width)
    inner = cv2.resize(crop, (max(1, int(width * factor)), max(1, int(height * factor))))
    top, left = (size.height - inner.shape[0]) // 2, (size.width - inner.shape[1]) // 2
    out[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return out


def create(context: EngineContext) -> DeepFaceAligner:
    load_deepface(context.weights.deepface_home, str(context.options.get("backend", "onnx")))
    return DeepFaceAligner()
