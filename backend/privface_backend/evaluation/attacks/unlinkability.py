"""Unlinkability: how far protected templates of one person, under different keys, look alike.

M. Gomez-Barrero, J. Galbally, C. Rathgeb, C. Busch, "General Framework to Evaluate Unlinkability in Biometric Template
Protection Systems", IEEE Transactions on Information Forensics and Security 13(6), 2018. For scores s of mated pairs of
templates (H_m: one person under two keys) and of non-mated ones (H_nm: two people under two keys), with the likelihood
ratio LR(s) = p(s | H_m) / p(s | H_nm) and w = p(H_m) / p(H_nm), which is 1 where nothing is known:

    D(s)  = 0                                       where LR(s) * w <= 1
          = 2 * LR(s) * w / (1 + LR(s) * w) - 1     else
    D_sys = integral of p(s | H_m) * D(s) over s

0: fully unlinkable; 1: fully linkable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_BINS: Final = 100
_SCORES_A_BIN: Final = 10
_ROUNDS: Final = 200

Scores = NDArray[np.float64]
"""float64 (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlinkability:
    """``value``: D_sys; ``chance``: what 95 % of as many scores stay below if it makes no difference who is who."""

    value: float
    chance: float


def measure_local(mated: Scores, non_mated: Scores, omega: float = 1.0) -> tuple[Scores, Scores]:
    """D(s) in each bin, and the share of mated scores there. The densities are histograms with equal bins.

    As many bins as ten mated scores each would fill, at most ``MOST_BINS``.
    """
    bins = max(1, min(len(mated) // _SCORES_A_BIN, MOST_BINS))
    low, high = min(mated.min(), non_mated.min()), max(mated.max(), non_mated.max())
    edges = np.linspace(low, np.nextafter(high, np.inf) if high > low else low + 1, bins + 1)
    same, other = (np.histogram(scores, edges)[0] / len(scores) for scores in (mated, non_mated))
    ratio = np.divide(same, other, out=np.full(bins, np.inf), where=other > 0) * omega
    ratio[same == 0] = 0
    local = np.where(np.isinf(ratio), 1.0, np.where(ratio <= 1, 0.0, 2 * ratio / (1 + np.minimum(ratio, 1e300)) - 1))
    return local, same


def measure_global(mated: Scores, non_mated: Scores, omega: float = 1.0) -> float:
    """D_sys, 0 to 1."""
    local, share = measure_local(mated, non_mated, omega)
    return float((local * share).sum())


def measure_unlinkability(mated: Scores, non_mated: Scores, seed: int = 0) -> Unlinkability:
    """D_sys, and what chance alone gives: few scores never fill two histograms alike."""
    rng = np.random.default_rng(seed)
    both = np.concatenate([mated, non_mated])
    drawn = []
    for _ in range(_ROUNDS):
        mixed = rng.permutation(both)
        drawn.append(measure_global(mixed[: len(mated)], mixed[len(mated) :]))
    return Unlinkability(value=measure_global(mated, non_mated), chance=float(np.quantile(drawn, 0.95)))
