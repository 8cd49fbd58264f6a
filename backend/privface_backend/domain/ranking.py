"""A probe against everybody who is enrolled, in calibrated scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules, Ranked
from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Candidate, LevelMatchedGallery, Template
from privface_backend.domain.memory import NegativeExample
from privface_backend.domain.privacy import PrivacyLevel

_USUAL: Final = 0.01
"""Two enrolled people look alike from the score on that this share of strangers has with somebody."""


class Ranking:
    """Ranks the people of one gallery, which doesn't change.

    ``examples``: of whom they are not; ``ignored``: the ids of those of whom nothing is to be said.
    """

    def __init__(
        self,
        gallery: LevelMatchedGallery,
        model: ScoreModel,
        rules: DecisionRules,
        examples: Iterable[NegativeExample] = (),
        ignored: Collection[str] = (),
    ) -> None:
        self._gallery: Final = gallery
        self._model: Final = model
        self._rules: Final = rules
        self._examples: Final = LevelMatchedGallery(
            Template(face_id=example.id, person_id=example.person_id, level=face.level, vector=face.vector)
            for example in examples
            for face in example.faces
        )
        self._ignored: Final = frozenset(ignored)
        self._alike: Final = _look_alikes(gallery, model)

    @property
    def model(self) -> ScoreModel:
        return self._model

    @property
    def people(self) -> int:
        """Between how many people the rate of strangers is shared."""
        return self._gallery.people

    def rank(self, vector: Vector, level: PrivacyLevel) -> tuple[Ranked, ...]:
        """Everybody, the highest excess over the threshold first."""
        examples = {one.person_id: one.score for one in self._examples.search(vector, level)}
        found = [
            self._rank(candidate, level, not_them=examples.get(candidate.person_id, -1.0) > candidate.score)
            for candidate in self._gallery.search(vector, level)
        ]
        return tuple(sorted(found, key=lambda one: -one.excess))

    def _rank(self, candidate: Candidate, level: PrivacyLevel, *, not_them: bool) -> Ranked:
        model, relative, lightest = self._model, level.relative, candidate.lightest
        threshold = model.threshold(self._rules.naming.rate, self._gallery.people, relative, lightest)
        threshold = min(0.99, threshold + self._rules.caution)
        return Ranked(
            person_id=candidate.person_id,
            face_id=candidate.face_id,
            score=candidate.score,
            threshold=threshold,
            excess=(candidate.score - threshold) / model.deviation(relative),
            evidence=model.evidence(candidate.score, relative, lightest),
            lightest=lightest,
            not_them=not_them,
            ignored=candidate.person_id in self._ignored,
            alike=self._alike.get(candidate.person_id, {}),
        )


def _look_alikes(gallery: LevelMatchedGallery, model: ScoreModel) -> Mapping[str, Mapping[str, float]]:
    """By how much the likeness of two people passes the usual, for those for whom it does."""
    usual = model.threshold(_USUAL, 1, 0.0)
    return {
        person: near
        for person, others in gallery.likenesses().items()
        if (near := {other: score - usual for other, score in others.items() if score > usual})
    }
