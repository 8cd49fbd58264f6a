"""A probe against everybody who is enrolled, in calibrated scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules, Ranked
from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Candidate, LevelMatchedGallery, Template
from privface_backend.domain.memory import NegativeExample
from privface_backend.domain.privacy import PrivacyLevel

_USUAL: Final = 0.01
"""Two enrolled people look alike from the score on that this share of strangers has with somebody."""
_MOST_SHIFT: Final = 0.03
_HIGHEST: Final = 0.99


class Ranking:
    """Ranks the people of one gallery, which doesn't change.

    ``templates``: of one contract, as enrolled; ``examples``: of whom somebody is not; ``ignored``: the ids of those of
    whom nothing is to be said.
    """

    def __init__(
        self,
        templates: Iterable[Template],
        model: ScoreModel,
        rules: DecisionRules,
        examples: Iterable[NegativeExample] = (),
        ignored: Collection[str] = (),
    ) -> None:
        self._gallery: Final = LevelMatchedGallery(_whitened(tuple(templates), model))
        self._model: Final = model
        self._rules: Final = rules
        shown = tuple(
            Template(face_id=example.id, person_id=example.person_id, level=face.level, vector=face.vector)
            for example in examples
            for face in example.faces
        )
        self._examples: Final = LevelMatchedGallery(_whitened(shown, model))
        self._ignored: Final = frozenset(ignored)
        likenesses = self._gallery.likenesses()
        self._alike: Final = _look_alikes(likenesses, model)
        self._shifts: Final = _shifts(likenesses, model)

    @property
    def model(self) -> ScoreModel:
        return self._model

    @property
    def people(self) -> int:
        """Between how many people the rate of strangers is shared."""
        return self._gallery.people

    def rank(self, vector: Vector, level: PrivacyLevel) -> tuple[Ranked, ...]:
        """Everybody, the highest excess over the threshold first. ``vector``: as the recognizer gave it."""
        probe = self._model.whiten(vector)
        examples = {one.person_id: one.score for one in self._examples.search(probe, level)}
        found = [
            self._rank(candidate, level, not_them=examples.get(candidate.person_id, -1.0) > candidate.score)
            for candidate in self._gallery.search(probe, level)
        ]
        return tuple(sorted(found, key=lambda one: -one.excess))

    def _rank(self, candidate: Candidate, level: PrivacyLevel, *, not_them: bool) -> Ranked:
        model, relative, lightest = self._model, level.relative, candidate.lightest
        shift = self._shifts.get(candidate.person_id, 0.0)
        usual = model.threshold(self._rules.naming.rate, self._gallery.people, relative, lightest)
        threshold = min(_HIGHEST, usual + shift + self._rules.caution)
        return Ranked(
            person_id=candidate.person_id,
            face_id=candidate.face_id,
            score=candidate.score,
            threshold=threshold,
            excess=(candidate.score - threshold) / model.deviation(relative),
            evidence=model.evidence(candidate.score - shift, relative, lightest),
            lightest=lightest,
            not_them=not_them,
            ignored=candidate.person_id in self._ignored,
            alike=self._alike.get(candidate.person_id, {}),
        )


def _whitened(templates: Sequence[Template], model: ScoreModel) -> Iterable[Template]:
    """The templates as they are compared."""
    if not templates or model.whitening is None:
        return templates
    vectors = model.whiten(np.stack([template.vector for template in templates]))
    return (replace(template, vector=vector) for template, vector in zip(templates, vectors, strict=True))


def _look_alikes(likenesses: Mapping[str, Mapping[str, float]], model: ScoreModel) -> Mapping[str, Mapping[str, float]]:
    """By how much the likeness of two people passes the usual, for those for whom it does."""
    usual = model.threshold(_USUAL, 1, 0.0)
    return {
        person: near
        for person, others in likenesses.items()
        if (near := {other: score - usual for other, score in others.items() if score > usual})
    }


def _shifts(likenesses: Mapping[str, Mapping[str, float]], model: ScoreModel) -> Mapping[str, float]:
    """How much nearer than usual strangers come to each person, as far as the household's other people show it.

    The mean over the others, drawn towards the model's the more the fewer they are: with seven others a quarter of the
    difference carries over to strangers (a correlation of 0.44 was measured), so n / (2n + 16) of it.
    """
    usual = model.threshold(0.5, 1, 0.0)
    return {
        person: float(
            np.clip(
                len(others) / (2 * len(others) + 16) * (np.mean(list(others.values())) - usual),
                -_MOST_SHIFT,
                _MOST_SHIFT,
            )
        )
        for person, others in likenesses.items()
        if others
    }
