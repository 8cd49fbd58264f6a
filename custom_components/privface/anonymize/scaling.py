"""Bringing a picture down by averaging over areas, bit-equal to ``cv2.resize(…, interpolation=cv2.INTER_AREA)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .method import Pixels

Size = tuple[int, int]
"""Width and height."""

Strips = Callable[[int, int], NDArray[np.uint8]]
"""The rows from one to before another: uint8 (rows, width, 4), of which the fourth is not used."""

_NEGLIGIBLE: Final = 1e-3
"""Shares of a pixel that OpenCV leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way's sums: ``places`` (taps, length) in the source, in its order, and ``weights`` (taps, length)."""

    places: NDArray[np.intp]
    weights: NDArray[np.float32]


def fit(size: Size, longest: int) -> Size:
    """The size to bring a picture to: its longest side at most ``longest``, never enlarged."""
    if max(size) <= longest:
        return size
    factor = longest / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def bring_down(read: Strips, size: Size, target: Size, most: int) -> Pixels:
    """The picture of ``size`` at ``target``, which is no larger either way; ``most``: rows to read at a time."""
    whole = size[0] % target[0] == 0 and size[1] % target[1] == 0
    across, down = (_plan(source, wanted, whole=whole) for source, wanted in zip(size, target, strict=True))
    rows = max(1, most * target[1] // size[1])
    small = np.empty((target[1], target[0], 3), np.uint8)
    for top in range(0, target[1], rows):
        places = down.places[:, top : top + rows]
        first = int(places.min())
        lines = _sum_across(read(first, int(places.max()) + 1), across)
        sums = _sum_down(lines, places - first, down.weights[:, top : top + rows])
        small[top : top + rows] = _round(sums, size, target, whole=whole).reshape(-1, target[0], 4)[:, :, :3]
    return small


def _plan(source: int, target: int, *, whole: bool) -> Plan:
    """How the ``target`` elements along one side come from the ``source`` ones. ``whole``: as plain sums."""
    scale = source / target
    begin = np.arange(target) * scale
    end = begin + scale
    share = np.minimum(scale, source - begin)
    last = np.minimum(np.floor(end).astype(np.intp), source - 1)
    first = np.minimum(np.ceil(begin).astype(np.intp), last)
    before, after = first - begin, end - last
    places = np.minimum(first - 1 + np.arange(math.ceil(scale) + 2)[:, np.newaxis], source - 1)
    weights = np.zeros(places.shape, np.float64)
    weights[0] = np.where(before > _NEGLIGIBLE, before / share, 0)
    for tap in range(1, len(places)):
        place = first - 1 + tap
        at_end = np.where(after > _NEGLIGIBLE, np.minimum(np.minimum(after, 1), share) / share, 0)
        weights[tap] = np.where(place < last, 1 / share, np.where(place == last, at_end, 0))
    if whole:
        weights = np.where(weights > 0, 1.0, 0.0)
    used = weights.any(axis=1)
    return Plan(places=np.maximum(places[used], 0), weights=weights[used].astype(np.float32))


def _sum_across(strip: NDArray[np.uint8], plan: Plan) -> NDArray[np.float32]:
    """Float32 (rows, target width x 4)."""
    rows, _, _ = strip.shape
    pixels = np.ascontiguousarray(strip).view(np.uint32)[:, :, 0]
    taken = np.empty((rows, plan.places.shape[1]), np.uint32)
    colors = taken.view(np.uint8)
    part, total = np.empty(colors.shape, np.float32), np.zeros(colors.shape, np.float32)
    for places, weights in zip(plan.places, np.repeat(plan.weights, 4, axis=1), strict=True):
        np.take(pixels, places, axis=1, out=taken, mode="clip")
        np.copyto(part, colors)
        np.multiply(part, weights, out=part)
        np.add(total, part, out=total)
    return total


def _sum_down(
    lines: NDArray[np.float32], places: NDArray[np.intp], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    total = np.zeros((places.shape[1], lines.shape[1]), np.float32)
    part = np.empty_like(total)
    for taken, factors in zip(places, weights, strict=True):
        np.take(lines, taken, axis=0, out=part, mode="clip")
        np.multiply(part, factors[:, np.newaxis], out=part)
        np.add(total, part, out=total)
    return total


def _round(sums: NDArray[np.float32], size: Size, target: Size, *, whole: bool) -> NDArray[np.uint8]:
    """Levels from sums. Halves go to the even neighbor; upward, where each pixel is made from two by two."""
    if whole:
        area = (size[0] // target[0]) * (size[1] // target[1])
        np.multiply(sums, np.float32(1 / area), out=sums)
        if size == (2 * target[0], 2 * target[1]):
            np.floor(np.add(sums, np.float32(0.5), out=sums), out=sums)
    return np.rint(sums, out=sums).astype(np.uint8)
