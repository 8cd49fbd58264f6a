"""Boxes, landmarks and the similarity transform between them.

A ``Box`` or a set of landmarks lives in the pixels of one frame; whatever brings it into another
space is a method here, never arithmetic at the place of use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
"""Landmarks, float32 (n, 2): x, y in pixels of a frame."""

Affine = NDArray[np.float64]
"""A 2x3 matrix that maps pixels of a frame to pixels of a crop."""

FIVE: Final = 5
EYES: Final = 2


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def longest(self) -> int:
        return max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel rectangle in pixels of one frame; may reach outside it."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of_frame(cls, size: Size) -> Self:
        return cls(0.0, 0.0, float(size.width), float(size.height))

    @classmethod
    def from_fractions(cls, fractions: tuple[float, float, float, float], size: Size) -> Self:
        x, y, width, height = fractions
        return cls(x * size.width, y * size.height, width * size.width, height * size.height)

    def to_fractions(self, size: Size) -> tuple[float, float, float, float]:
        """The part of the box inside the frame, as fractions of it."""
        left, right = (min(max(0.0, x / size.width), 1.0) for x in (self.x, self.x + self.width))
        top, bottom = (min(max(0.0, y / size.height), 1.0) for y in (self.y, self.y + self.height))
        return left, top, right - left, bottom - top

    @property
    def area(self) -> float:
        return self.width * self.height

    def scaled(self, factor: float) -> Box:
        """The same box in a frame whose sides are ``factor`` times as long."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def shifted(self, dx: float, dy: float) -> Box:
        """The same box in a frame whose origin lies at (-dx, -dy) of this one's."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def intersection(self, other: Box) -> Box:
        """The common part; of zero size where there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        # Of a box that is next to nothing, rounding makes a larger one.
        common = min(self.intersection(other).area, self.area, other.area)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0


def similarity_transform(source: Points, target: Points) -> Affine:
    """The rotation, uniform scale and shift that bring ``source`` closest to ``target``.

    Least squares without reflection: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE TPAMI 13(4), 1991. Two points or more.

    Raises:
        ValueError: the points fall together, so that no scale is defined.
    """
    source64, target64 = source.astype(np.float64), target.astype(np.float64)
    source_mean, target_mean = source64.mean(axis=0), target64.mean(axis=0)
    centered, wanted = source64 - source_mean, target64 - target_mean
    variance = float((centered**2).sum()) / len(source64)
    if not np.isfinite(variance) or variance < 1e-9:
        raise ValueError("landmarks fall together")
    u, singular, vt = np.linalg.svd(wanted.T @ centered / len(source64))
    sign = np.ones(2)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        sign[1] = -1.0
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum()) / variance
    matrix = np.empty((2, 3), dtype=np.float64)
    matrix[:, :2] = scale * rotation
    matrix[:, 2] = target_mean - scale * rotation @ source_mean
    return matrix
