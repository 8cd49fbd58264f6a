"""Constructed faces before cameras: the real visits, ranking and gallery, fed with unit vectors."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import Decision, DecisionRules
from privface_backend.domain.faces import DetectedFace, Vector, normalized
from privface_backend.domain.geometry import Box, Size
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.quality import FaceQuality
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.visits import VisitRules
from privface_backend.pipeline.identification import JudgedFace, Judgement
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.process import Look, ObservedFace
from privface_backend.pipeline.visits import Visits, VisitTiming
from privface_backend.protocol import EngineNames, FaceResult, FrameCard, Outcome, Privacy, Reason
from support.decisions import make_model

START: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SIZE: Final = Size(1280, 720)
DIMENSION: Final = 64


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def axis(number: int) -> Vector:
    """A unit vector; two of them have nothing in common."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[number] = 1.0
    return vector


def towards(one: Vector, other: Vector, share: float) -> Vector:
    """The unit vector whose cosine similarity with ``one`` is ``share``, the rest of it along ``other``."""
    rest = normalized(other - float(one @ other) * one)
    return normalized(share * one + float(np.sqrt(1 - share**2)) * rest)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A face of a frame; without ``vector`` an unusable one."""

    vector: Vector | None
    x: float = 500.0
    y: float = 200.0
    side: float = 100.0
    weight: float = 1.0
    reason: Reason = Reason.POSE


def judgement(*faces: Shown) -> Judgement:
    """A frame's faces as recognition gives them."""
    judged = [_judged(face) for face in faces]
    look = Look(faces=tuple(face.observed for face in judged), size=SIZE, privacy=Privacy(parameter=17))
    return Judgement(look=look, faces=tuple(judged), engine=EngineNames(detector="drawn", recognizer="drawn"))


def _judged(face: Shown) -> JudgedFace:
    box = Box(face.x, face.y, face.side, face.side)
    reason = face.reason if face.vector is None else Reason.OK
    observed = ObservedFace(
        face=DetectedFace(box=box, score=0.9, landmarks=None),
        level=CLEAR,
        reason=reason,
        quality=FaceQuality(width=face.side, detection=0.9, turn=0.0, weight=face.weight),
        vector=face.vector,
    )
    outcome = Outcome.UNUSABLE if face.vector is None else Outcome.UNKNOWN
    return JudgedFace(
        observed=observed,
        decision=Decision(outcome=outcome, reason=reason),
        result=FaceResult(box=box.to_fractions(SIZE), outcome=outcome, reason=reason),
    )


def make_ranking(
    people: Mapping[str, Vector], model: ScoreModel | None = None, rules: DecisionRules | None = None
) -> Ranking:
    """The comparison with people of one clear template each."""
    templates = [
        Template(face_id=f"face of {person}", person_id=person, level=CLEAR, vector=vector)
        for person, vector in people.items()
    ]
    return Ranking(templates, model or make_model(), rules or DecisionRules())


@dataclass(kw_only=True)
class Street:
    """The visits of some cameras, and all that was said about them; time passes as frames come."""

    people: Mapping[str, Vector]
    model: ScoreModel = field(default_factory=make_model)
    rules: VisitRules = field(default_factory=VisitRules)
    timing: VisitTiming = field(default_factory=VisitTiming)
    ranking: Ranking = field(init=False)
    visits: Visits = field(init=False)
    updates: list[VisitUpdate] = field(default_factory=list)
    said: list[VisitUpdate] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = itertools.count()
        self.ranking = make_ranking(self.people, self.model, self.rules.decision)
        self.visits = Visits(
            rules=self.rules,
            timing=self.timing,
            likeness=self.model.likeness,
            new_id=lambda: f"id-{next(numbers)}",
        )

    def frame(
        self,
        seconds: float,
        *faces: Shown,
        camera: str = "door",
        captured: float | None = None,
        more: bool | None = None,
        source_event: str | None = None,
    ) -> Sequence[VisitUpdate]:
        """A frame that comes at ``seconds``, and was captured then unless ``captured`` says when."""
        self.wait(seconds)
        captured_at = at(seconds if captured is None else captured)
        card = FrameCard(camera=camera, captured_at=captured_at, more=more, source_event_id=source_event)
        return self._note(self.visits.take(judgement(*faces), card, {}, now=at(seconds), ranker=self.ranking))

    def wait(self, seconds: float) -> Sequence[VisitUpdate]:
        """Nothing comes until ``seconds``."""
        noted: list[VisitUpdate] = []
        while (due := self.visits.next_due()) is not None and due <= at(seconds):
            noted += self._note(self.visits.pass_time(due, self.ranking))
        noted += self._note(self.visits.pass_time(at(seconds), self.ranking))
        return noted

    def end_source_event(self, source_event: str, camera: str = "door") -> Sequence[VisitUpdate]:
        return self._note(self.visits.end_source_event(camera, source_event))

    def end(self) -> Sequence[VisitUpdate]:
        return self._note(self.visits.end_all())

    def _note(self, updates: Sequence[VisitUpdate]) -> Sequence[VisitUpdate]:
        self.updates += updates
        self.said += [update for update in updates if update.statement is not None]
        return updates

    @property
    def words(self) -> list[tuple[str, str, str | None]]:
        """What was said, in order: outcome, phase, person."""
        statements = [update.statement for update in self.said if update.statement is not None]
        return [(one.outcome.value, one.phase.value, one.person_id) for one in statements]

    @property
    def named(self) -> set[str]:
        """Everybody who was ever named."""
        return {person for *_, person in self.words if person is not None}
