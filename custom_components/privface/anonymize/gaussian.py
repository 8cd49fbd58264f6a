"""Gaussian blur in integers, bit-equal to ``cv2.GaussianBlur(pixels, (k, k), 0)``.

OpenCV's filter for 8 bits has whole weights that add up to 256 each way. Nothing is rounded between the passes: an
exact sum over k times k pixels is divided by 65536 once, halves upward. The order of the passes is free: whichever is
first fits in 16 bits, the second takes 24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .method import Pixels, check_parameter, check_pixels

_SMALL: Final = {3: (64, 128), 5: (16, 64, 96), 7: (8, 28, 56, 72)}
"""Kernels that OpenCV takes from a table, edge to center."""

_BAND: Final = 48 * 1024
"""Elements of a 32-bit working array: four of them fit in a second-level cache of 1 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One way's weights. ``pairs``: a weight, and the distances from the center at which it stands on both sides."""

    reach: int
    center: int
    pairs: tuple[tuple[int, tuple[int, ...]], ...]


class Gaussian:
    """The parameter is the kernel's side k in pixels, odd."""

    name: Final = "gaussian"
    minimum: Final = 3
    maximum: Final = 255
    useful: Final = 99
    step: Final = 2
    default: Final = 17

    def validate(self, parameter: int) -> None:
        """Take odd kernel sizes; 1 would leave the picture clear."""
        check_parameter(self, parameter, f"an odd kernel size in pixels, {self.minimum} to {self.maximum}")

    def sigma(self, parameter: int) -> float:
        """OpenCV's rule where a kernel's size is all that is told."""
        return 0.3 * ((parameter - 1) / 2 - 1) + 0.8

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        """Blur; borders mirror without repeating the last pixel."""
        self.validate(parameter)
        check_pixels(pixels)
        return _blur(np.ascontiguousarray(pixels), _make_kernel(parameter))


def weigh(size: int) -> tuple[int, ...]:
    """The kernel's weights in 256ths, from the edge to the center.

    Each is rounded from the edge inward, its rounding error carried on to the next; the center takes what is left.
    """
    if size in _SMALL:
        return _SMALL[size]
    # No weight comes nearer than 3e-7 to where it would round otherwise, so any C library's exp gives the same.
    sigma = 0.15 * size + 0.35
    bell = [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(size // 2, 0, -1)]
    unit = 256 / (2 * sum(bell) + 1)
    weights, error = [], 0.0
    for height in bell:
        exact = height * unit + error
        weights.append(round(exact))
        error = exact - weights[-1]
    return (*weights, 256 - 2 * sum(weights))


@cache
def _make_kernel(size: int) -> Kernel:
    *weights, center = weigh(size)
    reach = size // 2
    distances: dict[int, list[int]] = {}
    for index, weight in enumerate(weights):
        distances.setdefault(weight, []).append(reach - index)
    pairs = tuple((weight, tuple(found)) for weight, found in distances.items() if weight)
    return Kernel(reach=reach, center=center, pairs=pairs)


def _blur(pixels: Pixels, kernel: Kernel) -> Pixels:
    height, width, colors = pixels.shape
    reach = kernel.reach
    row, wide = width * colors, (width + 2 * reach) * colors
    band = min(height, max(1, _BAND // wide))
    above, below = _mirror(height, reach)
    left, right = _mirror(width, reach)
    rows = np.empty((height + 2 * reach, row), np.uint16)
    rows[reach : reach + height] = pixels.reshape(height, row)
    rows[:reach], rows[reach + height :] = rows[reach + above], rows[reach + below]
    short = np.empty((3, band * row), np.uint16)
    long = np.empty((4, band * wide), np.uint32)
    blurred = np.empty_like(pixels)
    for top in range(0, height, band):
        count = min(band, height - top)
        down = short[:, : count * row]
        _convolve(rows[top:].reshape(-1), kernel, row, down)
        lines = down[0].reshape(count, width, colors)
        padded = long[0, : count * wide].reshape(count, width + 2 * reach, colors)
        padded[:, reach : reach + width] = lines
        padded[:, :reach], padded[:, reach + width :] = lines[:, left], lines[:, right]
        # The lines follow each other without a gap: what is summed across their ends is not used.
        across = long[1:, : count * wide - 2 * reach * colors]
        _convolve(padded.reshape(-1), kernel, colors, across)
        sums = across[0]
        np.right_shift(np.add(sums, 1 << 15, out=sums), 16, out=sums)
        result = long[1, : count * wide].reshape(count, wide)[:, :row]
        np.copyto(blurred[top : top + count].reshape(count, row), result, casting="unsafe")
    return blurred


def _convolve(line: NDArray[np.unsignedinteger], kernel: Kernel, unit: int, work: NDArray[np.unsignedinteger]) -> None:
    """Weighted sums into ``work[0]``: its element i from those of ``line`` from i on, ``unit`` apart.

    ``work``: three rows as long as the result, the last two for passing use.
    """
    total, group, pair = work
    count = total.size

    def at(place: int) -> NDArray[np.unsignedinteger]:
        return line[place * unit : place * unit + count]

    reach = kernel.reach
    np.multiply(at(reach), kernel.center, out=total)
    for weight, (first, *others) in kernel.pairs:
        np.add(at(reach - first), at(reach + first), out=group)
        for distance in others:
            np.add(at(reach - distance), at(reach + distance), out=pair)
            np.add(group, pair, out=group)
        if weight != 1:
            np.multiply(group, weight, out=group)
        np.add(total, group, out=total)


def _mirror(length: int, reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which elements stand before the first and after the last, mirrored as often as it takes."""
    if length == 1:
        return np.zeros(reach, np.intp), np.zeros(reach, np.intp)
    last = length - 1
    before, after = np.arange(-reach, 0), np.arange(length, length + reach)
    return (
        np.abs((before + last) % (2 * last) - last).astype(np.intp),
        np.abs((after + last) % (2 * last) - last).astype(np.intp),
    )
