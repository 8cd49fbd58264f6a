"""Attacks on protected templates, which are Q e with a secret orthonormal Q for each installation.

``direct``: protected templates searched in the attacker's clear gallery. ``other-key``: searched in the protected
gallery of another installation, in which the attacker knows the names. Both ought to be as good as chance, one in as
many people as the gallery has. ``known-pairs-N``: the attacker knows the clear template of N protected ones, finds the
orthonormal matrix that fits them best (P. Schoenemann, "A generalized solution of the orthogonal Procrustes problem",
Psychometrika 31(1), 1966), and undoes it: from about as many pairs as the templates have numbers on, the key is known.
The clear templates are of the very pictures that were protected, which is the most that an attacker can have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.faces import Vector, Vectors, normalized
from privface_backend.evaluation.attacks.casting import Cast, Shot
from privface_backend.evaluation.attacks.searching import Answers, AttackRow, Counting, SearchGallery, Target, Try
from privface_backend.evaluation.attacks.unlinkability import Unlinkability, measure_unlinkability
from privface_backend.evaluation.runs import number

SEALED: Final = "sealed"
"""What the templates' protection is called beside the methods of anonymization."""
KNOWN_PAIRS: Final = (16, 64, 128, 256)
_KEYS: Final = 10
"""How many pairs of installations' keys are drawn: by one alone, a person may be near by chance."""
_NON_MATED: Final = 20

Matrix = NDArray[np.float64]
"""float64 (dimension, dimension)."""
MakeMatrix = Callable[[bytes, int], Matrix]
"""Makes an installation's secret orthonormal matrix of a seed and a dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installations:
    """Matrices of installations, the same for one seed."""

    make: MakeMatrix = field(repr=False)
    seed: int

    def matrix(self, number: int, dimension: int) -> Matrix:
        """The matrix of the installation of that number."""
        return self.make(np.random.default_rng([self.seed, number]).bytes(32), dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkabilityRow:
    """D_sys of a set's people. ``keys``: ``none`` (clear templates), ``one`` or ``two`` keys; numbers of scores."""

    set: str
    engine: str
    keys: str
    mated: int
    non_mated: int
    measured: Unlinkability

    def to_dict(self) -> dict[str, Any]:
        """The row as it stands in the document."""
        return {
            "set": self.set,
            "engine": self.engine,
            "keys": self.keys,
            "mated": self.mated,
            "non_mated": self.non_mated,
            "d_sys": number(self.measured.value),
            "chance": number(self.measured.chance),
        }


def protect(vectors: Vectors, matrix: Matrix) -> Vectors:
    """Q e for each row."""
    return normalized(np.asarray(vectors, dtype=np.float64) @ matrix.T)


def find_matrix(clear: Vectors, protected: Vectors) -> Matrix:
    """The orthonormal matrix that takes ``clear`` nearest to ``protected``, row for row."""
    product = np.asarray(protected, dtype=np.float64).T @ np.asarray(clear, dtype=np.float64)
    left, _, right = np.linalg.svd(product)
    return np.asarray(left @ right, dtype=np.float64)


def _map(answers: Answers, matrix: Matrix) -> dict[Shot, Vector | None]:
    return {shot: None if vector is None else protect(vector, matrix) for shot, vector in answers.items()}


def attack_templates(
    one: Cast, clear: Answers, installations: Installations, counting: Counting, target: Target
) -> Iterator[AttackRow]:
    """Each attack on each group of a cast. ``clear``: the clear template of all its pictures."""
    dimension = next((len(vector) for vector in clear.values() if vector is not None), 0)
    if not dimension:
        return
    open_gallery = SearchGallery(one.gallery, clear)
    tries = _try_keys(one, clear, open_gallery, installations, dimension)
    for people, mated in (("own", one.own), ("crowd", one.crowd)):
        if mated:
            for tried in tries.values():
                yield counting.measure(replace(target, people=people), tried, mated, one.impostors)


def _try_keys(
    one: Cast, clear: Answers, open_gallery: SearchGallery, installations: Installations, dimension: int
) -> dict[str, list[Try]]:
    """Each attack with each of ten pairs of keys."""
    tries: dict[str, list[Try]] = defaultdict(list)
    known = [(shot, vector) for shot in one.training if (vector := clear[shot]) is not None]
    for key in range(_KEYS):
        ours, theirs = (installations.matrix(2 * key + side, dimension) for side in range(2))
        sealed = _map(clear, ours)
        foreign = SearchGallery(one.gallery, _map(clear, theirs))
        tries["direct"].append(Try(attack="direct", gallery=open_gallery, answers=sealed))
        tries["other-key"].append(Try(attack="other-key", gallery=foreign, answers=sealed))
        for count in KNOWN_PAIRS:
            if count <= len(known):
                vectors = np.stack([vector for _, vector in known[:count]])
                opened = _map(sealed, find_matrix(vectors, protect(vectors, ours)).T)
                name = f"known-pairs-{count}"
                tries[name].append(Try(attack=name, gallery=open_gallery, answers=opened))
    return tries


def link_templates(one: Cast, clear: Answers, installations: Installations, engine: str) -> list[UnlinkabilityRow]:
    """D_sys of clear templates, of those under one key, and of those under two, over ten pairs of keys.

    A mated pair is a probe and a picture of the same person in the gallery, a non-mated one a probe and one of another.
    """
    mated, other = _pair(one, clear, installations.seed)
    if not len(mated[0]) or not len(other[0]):
        return []
    dimension = mated[0].shape[1]
    scores: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {"none": [], "one": [], "two": []}
    scores["none"].append((_compare(*mated), _compare(*other)))
    for key in range(_KEYS):
        ours, theirs = (installations.matrix(2 * key + side, dimension) for side in range(2))
        for keys, second in (("one", ours), ("two", theirs)):
            same, apart = (_compare(protect(left, ours), protect(right, second)) for left, right in (mated, other))
            scores[keys].append((same, apart))
    rows = []
    for keys, found in scores.items():
        same, apart = (np.concatenate([pair[side] for pair in found]) for side in range(2))
        measured = measure_unlinkability(same, apart, installations.seed)
        rows.append(
            UnlinkabilityRow(
                set=one.name, engine=engine, keys=keys, mated=len(same), non_mated=len(apart), measured=measured
            )
        )
    return rows


def _compare(left: Vectors, right: Vectors) -> NDArray[np.float64]:
    return np.asarray((left.astype(np.float64) * right).sum(axis=1), dtype=np.float64)


def _pair(one: Cast, clear: Answers, seed: int) -> tuple[tuple[Vectors, Vectors], tuple[Vectors, Vectors]]:
    """Mated and non-mated pairs of templates, each a row of two arrays."""
    rng = np.random.default_rng(seed)
    first: dict[str, Vector] = {}
    for shot in one.gallery:
        vector = clear[shot]
        if vector is not None:
            first.setdefault(shot.identity, vector)
    names = list(first)
    mated: list[tuple[Vector, Vector]] = []
    other: list[tuple[Vector, Vector]] = []
    for shot in (*one.own, *one.crowd):
        vector = clear[shot]
        if vector is None or shot.identity not in first:
            continue
        mated.append((vector, first[shot.identity]))
        drawn = (names[place] for place in rng.integers(len(names), size=_NON_MATED))
        other += [(vector, first[name]) for name in drawn if name != shot.identity]
    return _stack(mated), _stack(other)


def _stack(pairs: Sequence[tuple[Vector, Vector]]) -> tuple[Vectors, Vectors]:
    if not pairs:
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)
    return np.stack([left for left, _ in pairs]), np.stack([right for _, right in pairs])
