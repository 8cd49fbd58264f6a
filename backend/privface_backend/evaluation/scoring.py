"""How probes are scored and decided on: the one place that says which rule of PrivFace, or of others, is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Final, Protocol

import numpy as np

from privface_backend.domain.decision import DecisionRules, decide
from privface_backend.domain.faces import Vector, Vectors
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.score_models import score_model
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import EngineNames
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.user_side import Seal


class GalleryKind(StrEnum):
    """What is enrolled, and how it is searched.

    ``CLEAR``: templates of clear pictures only; ``MATCHED``: those and a ladder of blurred ones, as PrivFace enrolls;
    ``SENT``: templates of pictures that their sender blurred, at several strengths, and no clear one; ``BASELINE``:
    single frames, the nearest clear template by cosine, one constant threshold, as programs around DeepFace do;
    ``SEALED``: those of ``MATCHED``, sealed as a user side does, and compared as a sealed backend does.
    """

    CLEAR = "clear"
    MATCHED = "matched"
    SENT = "sent"
    BASELINE = "baseline"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRules:
    """What decisions depend on beside the templates. ``verification_threshold``: the recognizer's published one."""

    contract: Contract
    verification_threshold: float
    decision: DecisionRules = field(default_factory=DecisionRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A person and how well a probe fits: a score that may be compared across probes, people and strengths."""

    person_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Everybody enrolled, best first; whom the decision names, if anybody, and the cosine similarity that it asked."""

    ranked: tuple[Match, ...]
    named: str | None
    threshold: float | None


class Scorer(Protocol):
    """Compares probes with one gallery."""

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:
        """``vector``: float32 (dimension,), of length 1; ``level``: how strongly the probe was anonymized."""


def make_scorer(kind: GalleryKind, templates: Sequence[Template], rules: ScoringRules) -> Scorer:
    """The scorer of a gallery. ``templates``: those that ``kind`` says."""
    if kind is GalleryKind.BASELINE:
        return ConstantScorer(templates, rules.verification_threshold)
    if kind is GalleryKind.SEALED:
        return SealedScorer(templates, rules)
    return LevelScorer(templates, rules)


def make_ranking(templates: Sequence[Template], rules: ScoringRules) -> Ranking:
    """PrivFace's own comparison with a gallery's people."""
    model = score_model(rules.contract, rules.verification_threshold)
    return Ranking(templates, model, rules.decision)


class LevelScorer:
    """PrivFace's: templates of about the probe's strength, and a threshold that moves with it.

    Scores are the excess over the threshold, in deviations of strangers' scores.
    """

    def __init__(self, templates: Sequence[Template], rules: ScoringRules) -> None:
        self._ranking: Final = make_ranking(templates, rules)
        self._rules: Final = rules.decision

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:
        ranked = self._ranking.rank(vector, level)
        decision = decide(ranked, self._rules)
        return Scored(
            ranked=tuple(Match(person_id=one.person_id, score=one.excess) for one in ranked),
            named=decision.person_id,
            threshold=decision.threshold,
        )


class SealedScorer:
    """A sealed backend's: it has the templates and the probes of a user side, whose key it hasn't."""

    def __init__(self, templates: Sequence[Template], rules: ScoringRules) -> None:
        self._seal: Final = _make_seal(rules.contract, rules.verification_threshold)
        sealed = [replace(template, vector=self._seal(template.vector)) for template in templates]
        self._inner: Final = LevelScorer(sealed, replace(rules, contract=self._seal.terms.contract))

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:
        return self._inner.score(self._seal(vector), level)


@cache
def _make_seal(contract: Contract, threshold: float) -> Seal:
    """A seal with a key of this process's own: what is measured doesn't depend on which."""
    engine = EngineNames(detector="", recognizer=contract.recognizer)
    return Seal(SealedTerms(contract=contract, engine=engine, threshold=threshold), MasterKey.generate())


class ConstantScorer:
    """The ancestor's: the nearest template whatever the probe's strength, against one published threshold.

    Scores are cosine similarities.
    """

    def __init__(self, templates: Sequence[Template], threshold: float) -> None:
        people: dict[str, list[Vector]] = {}
        for template in templates:
            people.setdefault(template.person_id, []).append(template.vector)
        self._people: Final[dict[str, Vectors]] = {name: np.stack(vectors) for name, vectors in people.items()}
        self._threshold: Final = threshold

    def score(self, vector: Vector, level: PrivacyLevel) -> Scored:  # noqa: ARG002  # the strength makes no difference
        found = [Match(person_id=name, score=float(np.max(vectors @ vector))) for name, vectors in self._people.items()]
        ranked = tuple(sorted(found, key=lambda match: -match.score))
        named = ranked[0].person_id if ranked and ranked[0].score >= self._threshold else None
        return Scored(ranked=ranked, named=named, threshold=self._threshold)
