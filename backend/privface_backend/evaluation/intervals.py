"""How sure a measure is: percentile intervals of the bootstrap over identities.

Pictures of one person aren't independent, so people are drawn, each with all their attempts (R. Bolle, N. Ratha,
S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", CVIU 93(1), 2004). A pair of two
people counts as often as both were drawn (A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2),
2007). The enrolled stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.evaluation.measures import (
    ProbeScore,
    Scores,
    equal_error_rates,
    error_curves,
    thresholds_at_rate,
)

CONFIDENCE: Final = 0.95
ROUNDS: Final = 1000

Counts = NDArray[np.float64]
"""How often each attempt was drawn: float64 (rounds + 1, attempts); the first row is the set itself, all ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured rate, 0 to 1, and its interval; nan where there is nothing to measure or to draw from."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def to_list(self) -> list[float | None]:
        """``[value, low, high]``, None for nan."""
        return [None if np.isnan(part) else round(part, 6) for part in (self.value, self.low, self.high)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A probe whose person is ``identity``: its score, and whether the best candidate was that person."""

    identity: str
    score: float
    right: bool = False

    def to_probe(self) -> ProbeScore:
        return ProbeScore(score=self.score, right=self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A score between two people, who may be one."""

    first: str
    second: str
    score: float

    @property
    def same(self) -> bool:
        return self.first == self.second


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Draws people with replacement; one ``seed`` draws the same people again."""

    seed: int = 0
    rounds: int = ROUNDS

    def rate(self, hits: Sequence[bool], identities: Sequence[str]) -> Estimate:
        """The share of ``hits``."""
        return _estimate(_shares(np.asarray(hits, dtype=bool), self._counts(identities)), identities)

    def tpir(self, probes: Sequence[Attempt], strangers: Sequence[Attempt], fpir: float) -> Estimate:
        """TPIR at FPIR: the threshold moves with the strangers that are drawn."""
        weights = self._counts([stranger.identity for stranger in strangers], stream=1)
        thresholds = thresholds_at_rate(_scores(strangers), weights, fpir)
        scores, right = _scores(probes), np.array([probe.right for probe in probes], dtype=bool)
        hits = right & (scores >= thresholds[:, np.newaxis])
        identities = [probe.identity for probe in probes]
        return _estimate(_shares(hits, self._counts(identities)), identities)

    def eer(self, comparisons: Sequence[Comparison]) -> Estimate:
        """The equal error rate."""
        fmr, fnmr = self._curves(comparisons)
        if fmr is None or fnmr is None:
            return Estimate(value=float("nan"))
        return _estimate(equal_error_rates(fmr, fnmr), _people(comparisons))

    def fnmr_at_fmr(self, comparisons: Sequence[Comparison], rate: float) -> Estimate:
        """FNMR at the lowest threshold where FMR is at most ``rate``."""
        fmr, fnmr = self._curves(comparisons)
        if fmr is None or fnmr is None:
            return Estimate(value=float("nan"))
        at = np.argmax(fmr <= rate + 1e-9, axis=1)
        missed = fnmr[np.arange(len(fnmr)), at]
        return _estimate(np.where(np.isnan(fmr[:, 0]), np.nan, missed), _people(comparisons))

    def comparison_rate(self, hits: Sequence[bool], comparisons: Sequence[Comparison]) -> Estimate:
        """The share of ``hits`` among comparisons."""
        return _estimate(_shares(np.asarray(hits, dtype=bool), self._pair_counts(comparisons)), _people(comparisons))

    def _curves(self, comparisons: Sequence[Comparison]) -> tuple[Counts | None, Counts | None]:
        made = [one for one in comparisons if np.isfinite(one.score)]
        same = np.array([one.same for one in made], dtype=bool)
        if not same.any() or same.all():
            return None, None
        weights, scores = self._pair_counts(made), np.array([one.score for one in made])
        return error_curves(scores[same], scores[~same], weights[:, same], weights[:, ~same])

    def _pair_counts(self, comparisons: Sequence[Comparison]) -> Counts:
        people = {name: place for place, name in enumerate(_people(comparisons))}
        drawn = self._counts(list(people))
        first = np.array([people[one.first] for one in comparisons], dtype=np.intp)
        second = np.array([people[one.second] for one in comparisons], dtype=np.intp)
        return np.where(first == second, drawn[:, first], drawn[:, first] * drawn[:, second])

    def _counts(self, identities: Sequence[str], stream: int = 0) -> Counts:
        """A column for each attempt; one person's are alike. ``stream``: draws apart from those of another group."""
        people = {name: place for place, name in enumerate(dict.fromkeys(identities))}
        counts = np.ones((self.rounds + 1, len(people)))
        if len(people) > 1:
            rng = np.random.default_rng([self.seed, stream])
            counts[1:] = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=self.rounds)
        return counts[:, [people[name] for name in identities]]


def _scores(attempts: Sequence[Attempt]) -> Scores:
    return np.array([attempt.score for attempt in attempts], dtype=np.float64)


def _shares(hits: NDArray[np.bool_], counts: Counts) -> Scores:
    """For each row of ``counts``, the share that is hit; ``hits``: (attempts,) or a row each."""
    total = counts.sum(axis=1)
    hit = (hits * counts).sum(axis=1)
    shares: Scores = np.divide(hit, total, out=np.full(len(counts), np.nan), where=total > 0)
    return shares


def _people(comparisons: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(name for one in comparisons for name in (one.first, one.second)))


def _estimate(values: Scores, identities: Sequence[str]) -> Estimate:
    """From the set's own value and those of the rounds; one person alone gives no interval."""
    if len(set(identities)) < 2:
        return Estimate(value=float(values[0]))
    drawn = values[1:][~np.isnan(values[1:])]
    if not len(drawn):
        return Estimate(value=float(values[0]))
    low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(value=float(values[0]), low=float(low), high=float(high))
