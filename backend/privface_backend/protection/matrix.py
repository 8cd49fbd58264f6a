"""Secret orthonormal matrices: the same bits from the same seed, on every computer."""

from __future__ import annotations

from hashlib import shake_256
from math import ceil, log2
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LARGEST_DIMENSION: Final = 8192
_ROUNDS_A_BIT: Final = 8
_BITS: Final = 31
_LEAST_SQUARE: Final = 1 << 40
_COLUMNS: Final = 32
"""As many as stay in a processor's cache."""


def orthonormal(seed: bytes, dimension: int) -> NDArray[np.float64]:
    """A secret orthonormal matrix Q, float64 (dimension, dimension), made of a seed of at least 16 bytes.

    A parallel Kac walk: in each round all coordinates are paired at random, and each pair is turned by a random angle.
    A few rounds for each bit of the dimension spread any one vector all over the sphere (C. Lu, M. Qin, F. Song, P. Yao
    and M. Zhao, "Quantum Pseudorandom Scramblers", 2023; the walk is M. Kac's, "Foundations of Kinetic Theory", 1956);
    as a whole Q is as secret as its seed, not drawn uniformly among all orthonormal matrices. Each step takes sums,
    products, quotients and square roots of single numbers alone, which IEEE 754 fixes to the bit, and no sum whose
    order a library chooses.

    Raises:
        ValueError: the seed is too short, or the dimension isn't from 1 to ``LARGEST_DIMENSION``.
    """
    if len(seed) < 16:
        raise ValueError("the seed has fewer than 16 bytes")
    if not 1 <= dimension <= LARGEST_DIMENSION:
        raise ValueError(f"the dimension isn't from 1 to {LARGEST_DIMENSION}")
    signs = _stream(seed, dimension, "signs", dimension, "u1")
    matrix = np.diag(np.where(signs & 1, -1.0, 1.0))
    if dimension == 1:
        return matrix
    half = dimension // 2
    rounds = []
    for number in range(_ROUNDS_A_BIT * ceil(log2(dimension + 1))):
        # 64 bits each: that two are equal is as good as impossible, and a stable sort would settle it the same way.
        order = np.argsort(_stream(seed, dimension, f"order {number}", dimension, "<u8"), kind="stable")
        rounds.append((order[:half], order[half : 2 * half], *_turns(seed, dimension, number, half)))
    for start in range(0, dimension, _COLUMNS):
        part = np.ascontiguousarray(matrix[:, start : start + _COLUMNS])
        for left, right, cosines, sines in rounds:
            above, below = part[left], part[right]
            part[left] = cosines * above - sines * below
            part[right] = sines * above + cosines * below
        matrix[:, start : start + _COLUMNS] = part
    return matrix


def _turns(seed: bytes, dimension: int, number: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of random angles, each float64 (count, 1): directions of points drawn in a disk."""
    found: NDArray[np.float64] = np.empty((0, 2))
    attempt = 0
    while len(found) < count:
        drawn = _stream(seed, dimension, f"turns {number} {attempt}", 4 * count + 16, "<u4")
        points = (drawn >> 1).astype(np.int64).reshape(-1, 2) - (1 << (_BITS - 1))
        squares = (points * points).sum(axis=1)
        inside = points[(squares <= 1 << (2 * _BITS - 2)) & (squares >= _LEAST_SQUARE)]
        found = np.concatenate([found, inside.astype(np.float64)])
        attempt += 1
    x, y = found[:count, :1], found[:count, 1:]
    length = np.sqrt(x * x + y * y)
    return x / length, y / length


def _stream(seed: bytes, dimension: int, purpose: str, count: int, kind: str) -> NDArray[Any]:
    """Numbers that nobody knows who hasn't the seed. ``kind``: numpy's name of their type, little-endian."""
    data = shake_256(f"privface matrix 1|{dimension}|{purpose}|".encode() + seed).digest(
        count * np.dtype(kind).itemsize
    )
    return np.frombuffer(data, dtype=kind)
