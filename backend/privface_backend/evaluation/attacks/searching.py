"""Probes searched in the attacker's gallery, and how often that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import Vector, Vectors
from privface_backend.evaluation.attacks.casting import Shot
from privface_backend.evaluation.intervals import Attempt, Bootstrap, Estimate
from privface_backend.evaluation.measures import NOT_FOUND
from privface_backend.evaluation.runs import number, rate_name

NORMAL_95: Final = 1.959964
"""The 97.5 % point of the normal distribution."""

Answers = Mapping[Shot, Vector | None]
"""The template that an attack makes of each picture; None: it finds no face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is attacked. ``people``: ``own`` of the set, or ``crowd``; ``relative``: the strength r that was asked for;
    ``met``: the median of those that the faces have."""

    set: str
    people: str
    engine: str
    method: str
    relative: float
    met: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRow:
    """How well an attack does. ``gallery``: people in it; ``fta``: the share of probes in which it finds no face."""

    target: Target
    attack: str
    gallery: int
    people: int
    probes: int
    impostors: int
    fta: float
    rank1: Estimate
    tpir: Mapping[str, Estimate] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The row as it stands in the document."""
        target = self.target
        return {
            "set": target.set,
            "people": target.people,
            "engine": target.engine,
            "method": target.method,
            "relative": number(target.relative),
            "met": number(target.met),
            "attack": self.attack,
            "gallery": self.gallery,
            "searched": self.people,
            "probes": self.probes,
            "impostors": self.impostors,
            "fta": number(self.fta),
            "rank1": self.rank1.to_list(),
            "chance": number(1 / max(1, self.gallery)),
            "tpir": {name: estimate.to_list() for name, estimate in self.tpir.items()},
        }


class SearchGallery:
    """Templates with names; a person is as near as the nearest of their templates, by cosine similarity."""

    def __init__(self, shots: Sequence[Shot], answers: Answers) -> None:
        found = [(shot.identity, vector) for shot in shots if (vector := answers[shot]) is not None]
        self._names: Final = np.array([name for name, _ in found])
        self._vectors: Final[Vectors] = (
            np.stack([vector for _, vector in found]) if found else np.empty((0, 0), np.float32)
        )

    @property
    def people(self) -> int:
        return len(set(self._names))

    def search(self, identity: str, vector: Vector | None) -> Attempt:
        """The nearest person; without a face or a gallery there is none."""
        if vector is None or not len(self._names):
            return Attempt(identity=identity, score=NOT_FOUND)
        scores = self._vectors @ vector
        best = int(np.argmax(scores))
        return Attempt(identity=identity, score=float(scores[best]), right=bool(self._names[best] == identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """An attack: what it makes of the probes, and where these are searched."""

    attack: str
    gallery: SearchGallery = field(repr=False)
    answers: Answers = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How to measure: intervals, and the FPIRs at which TPIR is told."""

    bootstrap: Bootstrap
    fpirs: Sequence[float]

    def measure(
        self, target: Target, tried: Sequence[Try], mated: Sequence[Shot], impostors: Sequence[Shot]
    ) -> AttackRow:
        """Search all probes. ``tried``: one attack, once or with several keys, at least one; ``mated``: of people in
        the gallery, at least one; ``impostors``: of others."""
        right, wrong = (
            [one.gallery.search(shot.identity, one.answers[shot]) for one in tried for shot in shots]
            for shots in (mated, impostors)
        )
        probes = (*mated, *impostors)
        gallery, answers = tried[0].gallery, tried[0].answers
        return AttackRow(
            target=target,
            attack=tried[0].attack,
            gallery=gallery.people,
            people=len({shot.identity for shot in mated}),
            probes=len(mated),
            impostors=len(impostors),
            fta=sum(answers[shot] is None for shot in probes) / max(1, len(probes)),
            rank1=self._rate(right),
            tpir={rate_name(fpir): self.bootstrap.tpir(right, wrong, fpir) for fpir in self.fpirs} if wrong else {},
        )

    def _rate(self, attempts: Sequence[Attempt]) -> Estimate:
        """Rank 1. Where all or none are right the bootstrap draws no other rate: Wilson's interval over people then."""
        estimate = self.bootstrap.rate([one.right for one in attempts], [one.identity for one in attempts])
        if estimate.value not in {0.0, 1.0}:
            return estimate
        return wilson(estimate.value, len({one.identity for one in attempts}))


def wilson(rate: float, count: int) -> Estimate:
    """A share and its 95 % score interval (E. Wilson, Journal of the American Statistical Association 22, 1927)."""
    if not count:
        return Estimate(value=float("nan"))
    square = NORMAL_95**2
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = NORMAL_95 * np.sqrt(rate * (1 - rate) / count + square / (4 * count**2)) / (1 + square / count)
    return Estimate(value=rate, low=max(0.0, float(middle - half)), high=min(1.0, float(middle + half)))
