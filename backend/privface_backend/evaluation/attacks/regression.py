"""Learned in template space: a linear map from templates of anonymized faces to those of the same faces, clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.faces import Vectors, normalized

PENALTIES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """``means``: of anonymized and clear templates; ``weights``: float64 (dimension, dimension)."""

    means: tuple[NDArray[np.float64], NDArray[np.float64]] = field(repr=False)
    weights: NDArray[np.float64] = field(repr=False)
    penalty: float

    def apply(self, vectors: Vectors) -> Vectors:
        """The clear templates that are expected of anonymized ones, of length 1."""
        before, after = self.means
        return normalized((np.asarray(vectors, dtype=np.float64) - before) @ self.weights + after)


def fit_regression(anonymized: Vectors, clear: Vectors, identities: Sequence[str], seed: int) -> Regression:
    """Ridge regression (A. Hoerl, R. Kennard, Technometrics 12(1), 1970), row for row; arrays float32 (n, dimension).

    It is what clear templates differ from anonymized ones that is penalized: few people to learn from leave a template
    as it is. The penalty is that of ``PENALTIES`` with the highest mean cosine similarity over five folds of people.
    """
    people = sorted(set(identities))
    order = np.random.default_rng(seed).permutation(len(people))
    fold_of = {people[person]: place % _FOLDS for place, person in enumerate(order)}
    folds = np.array([fold_of[name] for name in identities])
    scores = np.zeros(len(PENALTIES))
    for fold in range(min(_FOLDS, len(people)) if len(people) > 1 else 0):
        out = folds == fold
        for place, penalty in enumerate(PENALTIES):
            model = _solve(anonymized[~out], clear[~out], penalty)
            scores[place] += float((model.apply(anonymized[out]) * clear[out]).sum())
    return _solve(anonymized, clear, PENALTIES[int(np.argmax(scores))])


def _solve(anonymized: Vectors, clear: Vectors, penalty: float) -> Regression:
    x, y = np.asarray(anonymized, dtype=np.float64), np.asarray(clear, dtype=np.float64)
    before, after = x.mean(axis=0), y.mean(axis=0)
    x, y = x - before, y - after
    same = np.eye(x.shape[1])
    change = np.linalg.solve(x.T @ x + penalty * same, x.T @ (y - x))
    return Regression(means=(before, after), weights=same + change, penalty=penalty)
