"""Square cells of one color. Integers and numpy only, so that every side gets the same bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels
from privface_backend.engines.anonymizers.mosaic import smooth_mosaic
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
        sums, cells = sum_cells(pixels, parameter)
        return cells.fill((2 * sums + cells.areas) // (2 * cells.areas))

    def smooth(self, pixels: Pixels, parameter: int) -> Pixels:
        return smooth_mosaic(pixels, parameter)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A picture's cells: the sides of its rows and columns of cells, in pixels."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def areas(self) -> NDArray[np.int64]:
        """In pixels: int64 (rows, columns, 1)."""
        return np.outer(self.rows, self.columns).astype(np.int64)[:, :, np.newaxis]

    def fill(self, colors: NDArray[np.int64]) -> Pixels:
        """The picture of which each cell has one color: (rows, columns, 3), 0 to 255."""
        cells = colors.astype(np.uint8)
        return np.ascontiguousarray(np.repeat(np.repeat(cells, self.rows, axis=0), self.columns, axis=1))


def sum_cells(pixels: Pixels, cell: int) -> tuple[NDArray[np.int64], Cells]:
    """Each cell's sums by color: int64 (rows, columns, 3), and the cells."""
    height, width = pixels.shape[:2]
    rows, row_sizes = _cells(height, cell)
    columns, column_sizes = _cells(width, cell)
    sums = np.add.reduceat(pixels.astype(np.uint32), rows, axis=0)
    sums = np.add.reduceat(sums, columns, axis=1)
    return sums.astype(np.int64), Cells(rows=row_sizes, columns=column_sizes)


def _cells(length: int, cell: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where cells start along a side, and how long each is."""
    starts = np.arange(0, length, cell)
    return starts, np.diff(np.append(starts, length))


def create(_context: EngineContext) -> PixelateAnonymizer:
    return PixelateAnonymizer()
