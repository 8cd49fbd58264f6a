"""Square cells of one color. Integers and numpy only, so that every side gets the same bits."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels
from privface_backend.engines.anonymizers.parameter import is_whole, refuse
from privface_backend.plugins.ports import EngineContext

MAX_CELL: Final = 256


class PixelateAnonymizer:
    """The parameter is a cell's side c in pixels; cells start at the top left, the last are smaller."""

    name: Final = "pixelate"
    allowed: Final = f"a cell size in pixels, 1 (no change) to {MAX_CELL}"

    def validate(self, parameter: int) -> None:
        if not is_whole(parameter) or not 1 <= parameter <= MAX_CELL:
            raise refuse(self.name, self.allowed)

    def sigma(self, parameter: int) -> float:
        """The standard deviation of a box c pixels wide: sqrt((c^2 - 1) / 12)."""
        return math.sqrt((parameter * parameter - 1) / 12)

    def parameter_for(self, sigma: float) -> int:
        below = int(min(math.sqrt(12 * sigma * sigma + 1), MAX_CELL))
        above = min(MAX_CELL, below + 1)
        return min((below, above), key=lambda cell: abs(self.sigma(cell) - sigma))

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        self.validate(parameter)
        if parameter == 1:
            return pixels.copy()
        height, width = pixels.shape[:2]
        rows, row_sizes = _cells(height, parameter)
        columns, column_sizes = _cells(width, parameter)
        sums = np.add.reduceat(pixels.astype(np.uint32), rows, axis=0)
        sums = np.add.reduceat(sums, columns, axis=1)
        areas = np.outer(row_sizes, column_sizes).astype(np.uint32)[:, :, np.newaxis]
        means = ((2 * sums + areas) // (2 * areas)).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(np.repeat(means, row_sizes, axis=0), column_sizes, axis=1))


def _cells(length: int, cell: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where cells start along a side, and how long each is."""
    starts = np.arange(0, length, cell)
    return starts, np.diff(np.append(starts, length))


def create(_context: EngineContext) -> PixelateAnonymizer:
    return PixelateAnonymizer()
