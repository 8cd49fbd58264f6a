"""Faces as detectors find them, and embeddings as recognizers make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.geometry import Box, Points

Vector = NDArray[np.float32]
"""An embedding, float32 (dimension,), of length 1."""

Vectors = NDArray[np.float32]
"""Embeddings, float32 (n, dimension), each row of length 1."""


class LandmarkSet(StrEnum):
    """Which landmarks a detector gives.

    ``FIVE``: eye, eye, nose tip, mouth corner, mouth corner; ``EYES``: eye, eye. Always the one on the
    picture's left first (the subject's right).
    """

    FIVE = "five"
    EYES = "eyes"
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """A face in a frame, in that frame's pixels. ``score``: the detector's own, 0 to 1."""

    box: Box
    score: float
    landmarks: Points | None = field(default=None, repr=False)

    @property
    def width(self) -> float:
        return self.box.width

    def scaled(self, factor: float) -> DetectedFace:
        """The same face in a frame whose sides are ``factor`` times as long."""
        landmarks = None if self.landmarks is None else np.asarray(self.landmarks * factor, dtype=np.float32)
        return DetectedFace(box=self.box.scaled(factor), score=self.score, landmarks=landmarks)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Embedding:
    """An embedding whose ``repr`` shows its dimension only."""

    vector: Vector

    def __repr__(self) -> str:
        return f"Embedding(dimension={self.vector.shape[-1]})"


def normalized(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows, or one vector, scaled to length 1; a zero row stays zero."""
    array = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    return np.asarray(array / np.maximum(length, 1e-12), dtype=np.float32)
