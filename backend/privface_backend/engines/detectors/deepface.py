"""Every detector backend of DeepFace, through its public ``extract_faces``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import DetectedFace, LandmarkSet
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box, Points
from privface_backend.engines.deepface_runtime import build_model, load_deepface
from privface_backend.engines.detectors.strips import best_first, with_room
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.ports import EngineContext

# DeepFace names eyes and mouth corners by the person's own left and right: on the picture, right comes first.
_EYES: Final = ("right_eye", "left_eye")
_FIVE: Final = (*_EYES, "nose", "mouth_right", "mouth_left")


class DeepFaceDetector:
    """Without DeepFace's padding and turning, which are for its own alignment (see ``aligners.deepface``)."""

    def __init__(self, deepface: Any, backend: str, landmarks: LandmarkSet) -> None:
        build_model("face_detector", backend)
        self._deepface = deepface
        self._backend = backend
        exceptions = importlib.import_module("deepface.modules.exceptions")
        # The second one: what was found lies outside the picture.
        self._not_found = (exceptions.FaceNotDetected, exceptions.ImgNotFound)
        self.name: Final = f"deepface:{backend}"
        self.landmarks: Final = landmarks

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        try:
            found = self._deepface.extract_faces(
                img_path=with_room(pixels),
                detector_backend=self._backend,
                enforce_detection=True,
                align=False,
                color_face="bgr",
                normalize_face=False,
            )
        except self._not_found:
            return ()
        return best_first([self._face(face) for face in found], pixels)

    def _face(self, found: Mapping[str, Any]) -> DetectedFace:
        area = found["facial_area"]
        return DetectedFace(
            box=Box(*(float(area[side]) for side in ("x", "y", "w", "h"))),
            score=float(np.clip(found["confidence"], 0.0, 1.0)),
            landmarks=self._landmarks(area),
        )

    def _landmarks(self, area: Mapping[str, Any]) -> Points | None:
        if self.landmarks is LandmarkSet.NONE:
            # What DeepFace then fills in comes from its Haar eye cascade, which turns blurred faces.
            return None
        keys = _FIVE if self.landmarks is LandmarkSet.FIVE else _EYES
        points = [area.get(key) for key in keys]
        if any(point is None for point in points):
            points = [area.get(key) for key in _EYES]
            if any(point is None for point in points):
                return None
        return np.asarray(points, dtype=np.float32)


def create(context: EngineContext, *, backend: str, landmarks: str) -> DeepFaceDetector:
    for spec in BUILTIN:
        if spec.name == f"deepface:{backend}":
            for name in spec.weights:
                context.weights.path(name)
    deepface = load_deepface(context.weights.deepface_home, str(context.options.get("backend", "onnx")))
    return DeepFaceDetector(deepface, backend, LandmarkSet(landmarks))
