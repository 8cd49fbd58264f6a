"""Square cells of one color, bit-equal to the backend's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .laplace import Whole
from .method import Pixels, check_parameter, check_pixels


class Pixelate:
    """The parameter is a cell's side in pixels; cells start at the top left, the last are smaller."""

    name: Final = "pixelate"
    minimum: Final = 2
    maximum: Final = 128
    useful: Final = 56
    step: Final = 1
    default: Final = 10

    def validate(self, parameter: int) -> None:
        """Take whole cell sizes; 1 would leave the picture clear."""
        check_parameter(self, parameter, f"a cell size in pixels, {self.minimum} to {self.maximum}")

    def sigma(self, parameter: int) -> float:
        """The standard deviation of a box c pixels wide: sqrt((c^2 - 1) / 12)."""
        return math.sqrt((parameter * parameter - 1) / 12)

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        """Give each cell its mean, halves upward."""
        self.validate(parameter)
        check_pixels(pixels)
        return fill_cells(pixels, parameter)


def fill_cells(pixels: Pixels, cell: int, noise_of: Callable[[int], Whole] | None = None) -> Pixels:
    """Give each cell its mean; ``noise_of`` makes so many whole numbers that are added to the cells' sums."""
    height, width, _ = pixels.shape
    rows, row_sizes = _cells(height, cell)
    columns, column_sizes = _cells(width, cell)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0, dtype=np.uint32), columns, axis=1).astype(np.int64)
    areas = np.outer(row_sizes, column_sizes).astype(np.int64)[:, :, np.newaxis]
    if noise_of is not None:
        sums += noise_of(sums.size).reshape(sums.shape)
    means = np.clip((2 * sums + areas) // (2 * areas), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(np.repeat(means, row_sizes, axis=0), column_sizes, axis=1))


def _cells(length: int, cell: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where cells start along a side, and how long each is."""
    starts = np.arange(0, length, cell)
    return starts, np.diff(np.append(starts, length))
