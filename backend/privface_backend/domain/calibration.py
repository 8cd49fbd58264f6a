"""Calibrated scores: how likely a cosine similarity is between one person and themselves, and between two people.

Both shift with the strength r of the probe's anonymization: under strong blur all faces move together. A ``ScoreModel``
holds their distributions over r, as normal distributions; that of strangers is fitted to its upper tail, where
thresholds lie. It is a statistic of many people and holds nobody's biometric data; benchmarks/calibration.py measures
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log, pi
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.faces import Vectors, normalized

Whitening = NDArray[np.float32]
"""A symmetric matrix, float32 (dimension, dimension)."""

_HIGHEST: Final = 0.99
_LN10: Final = log(10.0)
_MOST_EVIDENCE: Final = 6.0
_UNIT: Final = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCurve:
    """Mean and standard deviation of a score at each strength of the model's ``strengths``."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreModel:
    """The scores of one embedding contract, linear between the ``strengths`` r, the first of which is 0.

    ``strangers``: of a probe with an enrolled person who it isn't; ``same``: with the person who it is; ``pairs``: of
    two faces of two people, both of that strength. ``rise``: where the lightest template of the face is stronger than
    ``light``, strangers come nearer, by ``rise`` for each unit of r beyond; fully for probes of the second strength of
    ``onset`` and more, not for those of the first and less. ``source`` says what it was measured on.

    ``whitening``: what embeddings are multiplied with before they are compared (``pairs`` apart): the inverse root of
    the covariance that the faces of one person have among themselves, over all strengths, so that what differs between
    two pictures of a person counts less (within-class covariance normalization, A. Hatch, S. Kajarekar, A. Stolcke,
    "Within-class covariance normalization for SVM-based speaker recognition", Interspeech 2006).
    """

    strengths: tuple[float, ...]
    strangers: ScoreCurve
    same: ScoreCurve
    pairs: ScoreCurve
    rise: float = 0.0
    light: float = 0.0
    onset: tuple[float, float] = (0.0, 1.0)
    source: str = field(default="", repr=False)
    whitening: Whitening | None = field(default=None, repr=False, compare=False)

    def threshold(self, rate: float, people: int, relative: float, lightest: float = 0.0) -> float:
        """The score that a stranger reaches with anybody of a household at the given rate.

        ``rate``: the share of strangers who may be named, between 0 and 1, shared between the ``people`` enrolled;
        ``relative``: the probe's r; ``lightest``: r of the lightest template of the face that it is compared with.
        """
        mean, deviation = self._strangers(relative, lightest)
        return min(_HIGHEST, mean + deviation * _UNIT.inv_cdf(1.0 - rate / max(1, people)))

    def deviation(self, relative: float) -> float:
        """The standard deviation of strangers' scores at r: the unit that scores are compared in."""
        return self._at(self.strangers.deviation, relative)

    def evidence(self, score: float, relative: float, lightest: float = 0.0) -> float:
        """The decimal logarithm of how much likelier this score is of the person than of a stranger.

        Between -6 and 6; it never falls with the score.
        """
        other_mean, other_deviation = self._strangers(relative, lightest)
        mean, deviation = self._at(self.same.mean, relative), self._at(self.same.deviation, relative)
        # The wider of the two distributions overtakes the narrower one again, far below or above both.
        score = _rising(score, mean, deviation, other_mean, other_deviation)
        ratio = _log_density(score, mean, deviation) - _log_density(score, other_mean, other_deviation)
        return float(np.clip(ratio / _LN10, -_MOST_EVIDENCE, _MOST_EVIDENCE))

    def likeness(self, similarity: float, relative: float) -> float:
        """How many standard deviations a similarity of two faces lies above that of two people's."""
        return (similarity - self._at(self.pairs.mean, relative)) / self._at(self.pairs.deviation, relative)

    def _strangers(self, relative: float, lightest: float) -> tuple[float, float]:
        share = float(np.interp(relative, self.onset, (0.0, 1.0)))
        raised = share * self.rise * max(0.0, lightest - self.light)
        return self._at(self.strangers.mean, relative) + raised, self._at(self.strangers.deviation, relative)

    def _at(self, values: Sequence[float], relative: float) -> float:
        return float(np.interp(relative, self.strengths, values))

    def whitened_by(self, whitening: Whitening) -> ScoreModel:
        """The same model for embeddings that are whitened first."""
        return replace(self, whitening=whitening)

    def whiten(self, vectors: Vectors) -> Vectors:
        """Embeddings, float32 (n, dimension) or (dimension,), as they are compared: of length 1."""
        return vectors if self.whitening is None else normalized(vectors @ self.whitening)

    def scaled(self, start: float, source: str) -> ScoreModel:
        """The model of another recognizer, of which only the threshold for clear pairs is known.

        Scores are spread or pressed so that ``start`` takes the place of this model's own threshold for clear pairs
        (1 in 1,000 strangers, one person), and 1 stays 1.
        """
        own = self.threshold(0.001, 1, 0.0)
        share = (1.0 - start) / (1.0 - own)

        def spread(curve: ScoreCurve) -> ScoreCurve:
            return ScoreCurve(
                mean=tuple(1.0 - share * (1.0 - value) for value in curve.mean),
                deviation=tuple(share * value for value in curve.deviation),
            )

        return replace(
            self,
            strangers=spread(self.strangers),
            same=spread(self.same),
            pairs=spread(self.pairs),
            rise=share * self.rise,
            source=source,
        )


def _log_density(value: float, mean: float, deviation: float) -> float:
    return -0.5 * ((value - mean) / deviation) ** 2 - log(deviation) - 0.5 * log(2 * pi)


def _rising(score: float, mean: float, deviation: float, other_mean: float, other_deviation: float) -> float:
    """The score, or where the ratio of two normal densities turns if that has begun to fall with it."""
    precision, other_precision = deviation**-2, other_deviation**-2
    if precision == other_precision:
        return score
    turn = (mean * precision - other_mean * other_precision) / (precision - other_precision)
    return min(score, turn) if precision > other_precision else max(score, turn)
