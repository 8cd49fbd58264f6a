"""YuNet through OpenCV: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.faces import DetectedFace, LandmarkSet
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box
from privface_backend.engines.detectors.strips import best_first, with_room
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode

SCORE_THRESHOLD: Final = 0.6
_NMS_THRESHOLD: Final = 0.3
_MOST_FACES: Final = 100

SCALES: Final = (1.0, 0.75, 0.5)
# A view that is unsure still helps to place a face that another is sure of.
_LEAST_SCORE: Final = 0.3
_SAME_FACE: Final = 0.5
_SHORTEST: Final = 8
# The width in pixels from which YuNet finds nearly every face.
_SEEN_FROM: Final = 24


class YuNetDetector:
    """Five landmarks a face; scores from ``score_threshold`` (0 to 1) up.

    The picture is looked at in several sizes. A face is what one of them is sure of; its box and landmarks are the
    mean over the sizes that see it. Under strong blur that finds faces which one size misses, and steadies the
    landmarks, which decide more than the recognizer does.
    """

    name: Final = "opencv:yunet"
    landmarks: Final = LandmarkSet.FIVE

    def __init__(self, model: str, score_threshold: float = SCORE_THRESHOLD, scales: Sequence[float] = SCALES) -> None:
        self._sure: Final = score_threshold
        least = min(_LEAST_SCORE, score_threshold)
        self._networks: Final = tuple(
            (scale, cv2.FaceDetectorYN.create(model, "", (320, 320), least, _NMS_THRESHOLD, _MOST_FACES))
            for scale in scales
        )

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        sizes = [self._look(network, pixels, scale) for scale, network in self._networks]
        faces: list[DetectedFace] = []
        for found in sizes:
            for face in found:
                if face.score >= self._sure and all(face.box.overlap(other.box) < _SAME_FACE for other in faces):
                    faces.append(face)
        views = [
            [(scale, _same(face, found)) for (scale, _), found in zip(self._networks, sizes, strict=True)]
            for face in faces
        ]
        merged = [_merge(face, seen) for face, seen in zip(faces, views, strict=True)]
        return best_first([face for face in merged if face.score >= self._sure], pixels)

    @staticmethod
    def _look(network: cv2.FaceDetectorYN, pixels: Pixels, scale: float) -> list[DetectedFace]:
        """The faces that one size shows, in pixels of the whole picture, best score first."""
        height, width = pixels.shape[:2]
        size = (round(width * scale), round(height * scale))
        if min(size) < _SHORTEST:
            return []
        copy = pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        copy = with_room(np.asarray(copy, dtype=np.uint8))
        network.setInputSize((copy.shape[1], copy.shape[0]))
        # OpenCV's own types leave out that nothing found is None.
        rows = cast("NDArray[np.float32] | None", network.detect(copy)[1])
        if rows is None:
            return []
        stretch = np.array([width / size[0], height / size[1]] * 7, dtype=np.float32)
        faces = []
        for row in np.asarray(rows, dtype=np.float32):
            if np.isfinite(row).all() and row[2] > 0 and row[3] > 0:
                # x, y, width, height, five landmarks (x, y), score; the eye on the picture's left first.
                places = row[:14] * stretch
                box = Box(*(float(side) for side in places[:4]))
                faces.append(DetectedFace(box=box, score=float(row[14]), landmarks=places[4:].reshape(5, 2)))
        return sorted(faces, key=lambda face: -face.score)


def _same(face: DetectedFace, found: Sequence[DetectedFace]) -> DetectedFace | None:
    """The best of ``found`` that is the same face."""
    return next((other for other in found if other.box.overlap(face.box) >= _SAME_FACE), None)


def _merge(face: DetectedFace, views: Sequence[tuple[float, DetectedFace | None]]) -> DetectedFace:
    """One face out of its views, by scale: box and landmarks averaged over those that see it.

    The score is the mean over the sizes that should see it, where it is large enough for them: the back of a head
    looks like a face in one size or another, a face does in all.
    """
    same = [view for _, view in views if view is not None]
    boxes = np.mean([[view.box.x, view.box.y, view.box.width, view.box.height] for view in same], axis=0)
    landmarks = np.mean([view.landmarks for view in same if view.landmarks is not None], axis=0)
    scores = [
        0.0 if view is None else view.score for scale, view in views if view is face or face.width * scale >= _SEEN_FROM
    ]
    return DetectedFace(
        box=Box(*(float(side) for side in boxes)),
        score=float(np.mean(scores)),
        landmarks=np.asarray(landmarks, dtype=np.float32),
    )


def create(context: EngineContext) -> YuNetDetector:
    threshold = _threshold(context.options.get("score_threshold", SCORE_THRESHOLD))
    return YuNetDetector(str(context.weights.path("yunet")), threshold)


def _threshold(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise PrivFaceError(
        ErrorCode.SETTINGS_INVALID,
        "The detector's option score_threshold can't be used.",
        allowed="a number from 0 to 1",
    )
