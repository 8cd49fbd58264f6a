"""Measures of identification and verification, from scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_FOUND = float("-inf")
"""The score of a probe in which no face was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScore:
    """An enrolled person's probe: the best candidate's score, and whether it was the right person."""

    score: float
    right: bool


def threshold_at_fpir(strangers: Sequence[float], fpir: float) -> float:
    """The lowest threshold at which at most the share ``fpir`` of strangers' probes is named (score >= threshold)."""
    scores = np.sort(np.asarray([score for score in strangers if np.isfinite(score)], dtype=np.float64))[::-1]
    allowed = int(np.floor(fpir * len(strangers) + 1e-9))
    if allowed >= len(scores):
        return -1.0
    return float(np.nextafter(scores[allowed], np.inf))


def tpir_at_fpir(probes: Sequence[ProbeScore], strangers: Sequence[float], fpir: float) -> float:
    """TPIR at FPIR (ISO/IEC 19795-1): of enrolled people's probes, the share named rightly; not found is a miss."""
    threshold = threshold_at_fpir(strangers, fpir)
    return float(np.mean([probe.right and probe.score >= threshold for probe in probes]))


def accuracy_at(scores: Sequence[float], same: Sequence[bool], threshold: float) -> float:
    """Share of pairs judged rightly at ``threshold``; a pair with a face not found is judged wrongly."""
    right = [np.isfinite(score) and (score >= threshold) == truth for score, truth in zip(scores, same, strict=True)]
    return float(np.mean(right))


def best_threshold(scores: Sequence[float], same: Sequence[bool]) -> float:
    """The threshold of the highest accuracy."""
    candidates = np.unique([score for score in scores if np.isfinite(score)])
    if len(candidates) == 0:
        return 0.0
    middles: NDArray[np.float64] = np.concatenate(
        [[candidates[0] - 1e-6], (candidates[1:] + candidates[:-1]) / 2, [candidates[-1] + 1e-6]]
    )
    order = np.argsort(np.nan_to_num(scores, neginf=-2.0))
    sorted_scores = np.nan_to_num(np.asarray(scores, dtype=np.float64), neginf=-2.0)[order]
    truths = np.asarray(same, dtype=np.float64)[order]
    genuine_below = np.concatenate([[0.0], np.cumsum(truths)])
    index = np.searchsorted(sorted_scores, middles, side="left")
    right = (index - genuine_below[index]) + (truths.sum() - genuine_below[index])
    return float(middles[int(np.argmax(right))])


def cross_validated_accuracy(
    scores: Sequence[float], same: Sequence[bool], folds: int = 10, seed: int = 0
) -> tuple[float, float]:
    """Mean accuracy and its standard deviation over folds, each at the best threshold of the others."""
    order = np.random.default_rng(seed).permutation(len(scores))
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    results = []
    for fold in np.array_split(order, folds):
        rest = np.setdiff1d(order, fold)
        threshold = best_threshold(list(score[rest]), list(truth[rest]))
        results.append(accuracy_at(list(score[fold]), list(truth[fold]), threshold))
    return float(np.mean(results)), float(np.std(results))
