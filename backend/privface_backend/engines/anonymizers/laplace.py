"""Discrete Laplace noise, exact and in whole numbers.

The sampler of C. Canonne, G. Kamath and T. Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020,
algorithms 1 and 2, for many numbers at once. Nothing is rounded, so that the noise's low bits give nothing away
(I. Mironov, "On Significance of the Least Significant Bits for Differential Privacy", CCS 2012). This file exists
twice, byte-identical: in the backend and in the Home Assistant component.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
RandomWords = Callable[[int], bytes]
"""So many random bytes."""

LARGEST_SCALE: Final = 1 << 40
"""Of numerator and denominator: far from where 64 bits end."""

_WORD: Final = 8
_BITS: Final = 1 << 64
_LARGEST_NOISE: Final = 1 << 50


class SeededWords:
    """Random bytes that follow from a seed: for tests, never for privacy. Whoever knows the seed knows the noise."""

    def __init__(self, seed: bytes) -> None:
        """Start at the beginning."""
        self._seed: Final = seed
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        self._drawn += 1
        return hashlib.shake_256(self._seed + self._drawn.to_bytes(8, "big")).digest(count)


def discrete_laplace(count: int, numerator: int, denominator: int, words: RandomWords = os.urandom) -> Whole:
    """Independent whole numbers z, each with a probability proportional to exp(-|z| * denominator / numerator).

    Their scale is numerator / denominator, each of which is 1 to ``LARGEST_SCALE``.
    """
    if not 1 <= numerator <= LARGEST_SCALE or not 1 <= denominator <= LARGEST_SCALE:
        raise ValueError("The scale is out of range.")
    noise = np.zeros(count, dtype=np.int64)
    missing = np.arange(count)
    while missing.size:
        size, accepted = _magnitudes(missing.size, numerator, denominator, words)
        negative = _below(missing.size, 2, words) == 1
        # Or nought would come twice as often as it should.
        accepted &= ~(negative & (size == 0))
        noise[missing[accepted]] = np.where(negative, -size, size)[accepted]
        missing = missing[~accepted]
    return noise


def _magnitudes(count: int, numerator: int, denominator: int, words: RandomWords) -> tuple[Whole, NDArray[np.bool_]]:
    """Geometric numbers, and which of them are to be taken."""
    rest = _below(count, numerator, words)
    accepted = _fall(rest, numerator, words)
    whole = np.zeros(count, dtype=np.int64)
    going = np.flatnonzero(accepted)
    while going.size:
        going = going[_fall(np.ones(going.size, dtype=np.int64), 1, words)]
        whole[going] += 1
    size = np.minimum(whole, _LARGEST_NOISE // numerator) * numerator + rest
    return size // denominator, accepted


def _fall(rest: Whole, unit: int, words: RandomWords) -> NDArray[np.bool_]:
    """True with the probability exp(-rest / unit), where 0 <= rest <= unit."""
    steps = np.ones(rest.size, dtype=np.int64)
    going = np.arange(rest.size)
    step = 1
    while going.size:
        going = going[_below(going.size, unit * step, words) < rest[going]]
        steps[going] += 1
        step += 1
    odd: NDArray[np.bool_] = steps % 2 == 1
    return odd


def _below(count: int, limit: int, words: RandomWords) -> Whole:
    """Whole numbers from 0 to ``limit`` - 1, each as likely as the next."""
    drawn = np.frombuffer(words(count * _WORD), dtype="<u8").copy()
    # What lies beyond the last whole multiple is drawn again: else the first numbers would be likelier.
    last = np.uint64(_BITS - 1 - _BITS % limit)
    while (over := np.flatnonzero(drawn > last)).size:
        drawn[over] = np.frombuffer(words(over.size * _WORD), dtype="<u8")
    return (drawn % np.uint64(limit)).astype(np.int64)
