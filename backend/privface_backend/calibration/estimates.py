"""Rates with intervals that few faces don't flatter, and a curve that never rises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
_QUANTILE: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A measured share, 0 to 1, and its 95 % interval."""

    value: float
    low: float
    high: float

    def to_list(self) -> list[float]:
        """``[value, low, high]``, four places."""
        return [round(part, 4) for part in (self.value, self.low, self.high)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One person's attempts, and how many of them were hits."""

    hits: int
    attempts: int


def estimate_rate(tallies: Sequence[Tally]) -> Rate | None:
    """The share of hits over all people; None without an attempt.

    Wilson's interval (E. Wilson, "Probable inference", JASA 22, 1927), which is wide where all few attempts were hits,
    over the effective number of attempts: one person's faces succeed and fail together, so that they count for fewer
    the more people differ (E. Korn, B. Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 1998).
    """
    attempts = sum(tally.attempts for tally in tallies)
    if attempts == 0:
        return None
    share = sum(tally.hits for tally in tallies) / attempts
    low, high = _wilson(share, _effective(tallies, share, attempts))
    return Rate(value=share, low=min(low, share), high=max(high, share))


def _effective(tallies: Sequence[Tally], share: float, attempts: int) -> float:
    """How many independent attempts tell as much."""
    people = [tally for tally in tallies if tally.attempts]
    if len(people) < 2 or not 0 < share < 1:
        return attempts
    deviations = sum((tally.hits - share * tally.attempts) ** 2 for tally in people)
    variance = len(people) / (len(people) - 1) * deviations / attempts**2
    return attempts if variance == 0 else min(attempts, share * (1 - share) / variance)


def _wilson(share: float, attempts: float) -> tuple[float, float]:
    squared = _QUANTILE**2 / attempts
    middle = (share + squared / 2) / (1 + squared)
    reach = _QUANTILE * sqrt(share * (1 - share) / attempts + squared / (4 * attempts)) / (1 + squared)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def never_rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The sequence that never rises and is nearest to ``values`` in weighted squares: neighbors that rise are pooled
    (M. Ayer et al., "An empirical distribution function for sampling with incomplete information", 1955).

    ``weights``: above 0.
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (first, heavy, many), (second, light, few) = pools[-2:]
            total = heavy + light
            pools[-2:] = [((first * heavy + second * light) / total, total, many + few)]
    return [value for value, _, count in pools for _ in range(count)]
