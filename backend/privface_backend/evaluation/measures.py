"""Measures of identification and verification, from scores. The terms are those of ISO/IEC 19795-1.

Scores: the higher, the more alike; on any scale. ``NOT_FOUND`` stands for an attempt without a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

NOT_FOUND: Final = float("-inf")
"""The score of a probe in which no face was found."""

Scores = NDArray[np.float64]
"""Scores, float64 (n,)."""

_EXACT: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """An enrolled person's probe: the best candidate's score, and whether it was the right person."""

    score: float
    right: bool


def threshold_at_fpir(strangers: Sequence[float], fpir: float) -> float:
    """The lowest threshold at which at most the share ``fpir`` of strangers' probes is named (score >= threshold).

    Of ``n`` probes the next rate above 0 is 1/n: below it, the threshold is the one that names none.
    """
    scores = np.asarray(strangers, dtype=np.float64)
    return float(thresholds_at_rate(scores, np.ones((1, len(scores))), fpir)[0])


def thresholds_at_rate(scores: Scores, weights: NDArray[np.float64], rate: float) -> Scores:
    """For each row of ``weights`` (rows, n), the lowest threshold that at most ``rate`` of the weight reaches."""
    if len(scores) == 0:
        return np.full(len(weights), NOT_FOUND)
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    beyond = reached > rate * reached[:, -1:] + _EXACT
    first = np.argmax(beyond, axis=1)
    just_above = np.nextafter(scores[order][first], np.inf)
    return np.where(beyond.any(axis=1), just_above, NOT_FOUND)


def tpir_at_fpir(probes: Sequence[ProbeScore], strangers: Sequence[float], fpir: float) -> float:
    """TPIR at FPIR (ISO/IEC 19795-1): of enrolled people's probes, the share named rightly; not found is a miss."""
    threshold = threshold_at_fpir(strangers, fpir)
    return float(np.mean([probe.right and probe.score >= threshold for probe in probes]))


def fmr_fnmr(genuine: Sequence[float], impostor: Sequence[float], threshold: float) -> tuple[float, float]:
    """False match rate and false non-match rate (ISO/IEC 19795-1) of the comparisons that were made.

    FMR: of comparisons between two people, the share at ``threshold`` or above; FNMR: of those of one person with
    themselves, the share below it. A failure to acquire is no comparison; nan where there is none.
    """
    same, other = _made(genuine), _made(impostor)
    fmr = float(np.mean(other >= threshold)) if len(other) else float("nan")
    fnmr = float(np.mean(same < threshold)) if len(same) else float("nan")
    return fmr, fnmr


def error_curves(
    genuine: Scores, impostor: Scores, genuine_weights: NDArray[np.float64], impostor_weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """FMR and FNMR (rows, m) at rising thresholds; a row for each row of weights. Neither kind of score is empty.

    The thresholds are all that make a difference between the lowest genuine and the highest impostor score, and the
    next one above: outside, one rate is 0 and the other only grows.
    """
    scores = np.unique(np.concatenate([genuine, impostor]))
    between = scores[(scores >= genuine.min()) & (scores <= impostor.max())]
    above = np.nextafter(max(impostor.max(), genuine.min()), np.inf)
    thresholds = np.append(between, above) if len(between) else np.array([genuine.min()])
    return (
        1 - _weight_below(impostor, impostor_weights, thresholds),
        _weight_below(genuine, genuine_weights, thresholds),
    )


def _weight_below(scores: Scores, weights: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each row's weight whose score is below each threshold; nan where a row weighs nothing."""
    order = np.argsort(scores, kind="stable")
    sums = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights[:, order], axis=1)], axis=1)
    total = np.where(sums[:, -1:] > 0, sums[:, -1:], np.nan)
    below: NDArray[np.float64] = sums[:, np.searchsorted(scores[order], thresholds, side="left")] / total
    return below


def equal_error_rates(fmr: NDArray[np.float64], fnmr: NDArray[np.float64]) -> Scores:
    """For each row, the mean of FMR and FNMR at the threshold where they are nearest to each other."""
    apart = np.abs(fmr - fnmr)
    at = np.argmin(np.where(np.isnan(apart), np.inf, apart), axis=1)
    rows = np.arange(len(fmr))
    found: Scores = (fmr[rows, at] + fnmr[rows, at]) / 2
    return found


def equal_error_rate(genuine: Sequence[float], impostor: Sequence[float]) -> float:
    """EER of the comparisons that were made; nan where one kind is missing."""
    same, other = _made(genuine), _made(impostor)
    if not len(same) or not len(other):
        return float("nan")
    curves = error_curves(same, other, np.ones((1, len(same))), np.ones((1, len(other))))
    return float(equal_error_rates(*curves)[0])


def _made(scores: Sequence[float]) -> Scores:
    array = np.asarray(scores, dtype=np.float64)
    return array[np.isfinite(array)]


def accuracy_at(scores: Sequence[float], same: Sequence[bool], threshold: float) -> float:
    """Share of pairs judged rightly at ``threshold``; a pair with a face not found is judged wrongly."""
    right = [np.isfinite(score) and (score >= threshold) == truth for score, truth in zip(scores, same, strict=True)]
    return float(np.mean(right))


def best_threshold(scores: Sequence[float], same: Sequence[bool]) -> float:
    """The threshold of the highest accuracy, halfway between two scores or just outside all."""
    every = np.asarray(scores, dtype=np.float64)
    found = np.isfinite(every)
    values, truths = every[found], np.asarray(same, dtype=np.float64)[found]
    candidates = np.unique(values)
    if len(candidates) == 0:
        return 0.0
    middles: NDArray[np.float64] = np.concatenate(
        [[candidates[0] - 1e-6], (candidates[1:] + candidates[:-1]) / 2, [candidates[-1] + 1e-6]]
    )
    order = np.argsort(values)
    genuine_below = np.concatenate([[0.0], np.cumsum(truths[order])])
    index = np.searchsorted(values[order], middles, side="left")
    right = (index - genuine_below[index]) + (truths.sum() - genuine_below[index])
    return float(middles[int(np.argmax(right))])


def cross_validated_accuracy(
    scores: Sequence[float], same: Sequence[bool], folds: int = 10, seed: int = 0
) -> tuple[float, float]:
    """Mean accuracy and its standard deviation over folds, each at the best threshold of the others.

    The protocol of LFW (Huang et al., UMass TR 07-49, 2007), on folds that are drawn with ``seed``.
    """
    order = np.random.default_rng(seed).permutation(len(scores))
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    results = []
    for fold in np.array_split(order, min(folds, len(order))):
        rest = np.setdiff1d(order, fold)
        threshold = best_threshold(list(score[rest]), list(truth[rest]))
        results.append(accuracy_at(list(score[fold]), list(truth[fold]), threshold))
    return float(np.mean(results)), float(np.std(results))
