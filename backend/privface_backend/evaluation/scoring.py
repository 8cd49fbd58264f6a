"""How probes are scored and decided on: the one place that says which rule of PrivFace, or of others, is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

import numpy as np

from privface_backend.domain.faces import Vector, Vectors
from privface_backend.domain.matching import Candidate, Contract, Decision, LevelMatchedGallery, Template, decide
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.domain.thresholds import threshold_curve


class GalleryKind(StrEnum):
    """What is enrolled, and how it is searched.

    ``CLEAR``: templates of clear pictures only; ``MATCHED``: those and a ladder of blurred ones, as PrivFace enrolls;
    ``SENT``: templates of pictures that their sender blurred, at several strengths, and no clear one; ``BASELINE``:
    single frames, the nearest clear template by cosine, one constant threshold, as programs around DeepFace do.
    """

    CLEAR = "clear"
    MATCHED = "matched"
    SENT = "sent"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRules:
    """What decisions depend on beside the templates. ``verification_threshold``: the recognizer's published one."""

    contract: Contract
    verification_threshold: float
    caution: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Everybody enrolled, best first, with scores that may be compared across probes and levels; and the decision."""

    ranked: tuple[Candidate, ...]
    decision: Decision


class Scorer(Protocol):
    """Compares probes with one gallery."""

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:
        """``vector``: float32 (dimension,), of length 1; ``level``: how strongly the probe was anonymized."""


def make_scorer(kind: GalleryKind, templates: Sequence[Template], rules: ScoringRules) -> Scorer:
    """The scorer of a gallery. ``templates``: those that ``kind`` says."""
    if kind is GalleryKind.BASELINE:
        return ConstantScorer(templates, rules)
    return LevelScorer(templates, rules)


class LevelScorer:
    """PrivFace's: templates of about the probe's strength, and a threshold that moves with it."""

    def __init__(self, templates: Sequence[Template], rules: ScoringRules) -> None:
        self._gallery: Final = LevelMatchedGallery(templates)
        self._curve: Final = threshold_curve(rules.contract, rules.verification_threshold).raised(rules.caution)
        self._margin: Final = rules.margin

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:
        ranked = self._gallery.search(vector, level)
        threshold = self._curve.at(level.relative, ranked[0].lightest if ranked else 0.0)
        return Scored(ranked=ranked, decision=decide(ranked, threshold=threshold, margin=self._margin))


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A person's templates, one a row."""

    person_id: str
    face_ids: tuple[str, ...]
    vectors: Vectors = field(repr=False)


class ConstantScorer:
    """The ancestor's: the nearest template whatever the probe's strength, against one published threshold."""

    def __init__(self, templates: Sequence[Template], rules: ScoringRules) -> None:
        people: dict[str, list[Template]] = {}
        for template in templates:
            people.setdefault(template.person_id, []).append(template)
        self._rows: Final = [
            _Row(name, tuple(one.face_id for one in owned), np.stack([one.vector for one in owned]))
            for name, owned in people.items()
        ]
        self._threshold: Final = rules.verification_threshold

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:  # noqa: ARG002  # the strength makes no difference
        candidates = []
        for row in self._rows:
            scores = row.vectors @ vector
            best = int(np.argmax(scores))
            candidates.append(Candidate(person_id=row.person_id, face_id=row.face_ids[best], score=float(scores[best])))
        ranked = tuple(sorted(candidates, key=lambda candidate: -candidate.score))
        return Scored(ranked=ranked, decision=decide(ranked, threshold=self._threshold, margin=0.0))
