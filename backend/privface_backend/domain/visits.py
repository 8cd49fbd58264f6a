"""A visit: what all the faces of one track come to, and when that is worth saying.

Pure: fed with faces and asked with rules. The evidence is the newest ``WINDOW`` usable faces by the time of capture, so
that the order in which they arrive makes no difference.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import numpy as np

from privface_backend.domain.decision import Decision, DecisionRules, Ranked, WeighedFace, decide_visit, fuse
from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.memory import RememberedFace
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.domain.quality import FaceQuality
from privface_backend.protocol import Outcome, Phase, Reason

WINDOW: Final = 32
"""How many usable faces a decision stands on at most."""
_SHOWN: Final = 16
_LEVEL_STEP: Final = 0.01
_MOST_LEVELS: Final = 4


class Ranker(Protocol):
    """Compares a face with everybody enrolled, as ``Ranking`` does; another gallery is another object."""

    def rank(self, vector: Vector, level: PrivacyLevel) -> tuple[Ranked, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRules:
    """How many usable faces it takes: ``provisional``, ``confirmed``: to say a name; ``unknown``, ``sure_unknown``:
    that it is nobody enrolled; ``unusable``: faces seen without a usable one before that is said.

    ``unknown_weight``: what the best ``unknown`` faces must weigh together, so that somebody far away is waited for.
    ``firmness``: so many deviations a name that was said may fall below its threshold before it is taken back, and only
    ``challengers`` newer faces that are about as good as those that it stood on (``comparable``: that share of their
    mean weight) can take it back: a head that turns away says nothing against a name.
    """

    decision: DecisionRules = field(default_factory=DecisionRules)
    provisional: int = 2
    confirmed: int = 4
    unknown: int = 3
    sure_unknown: int = 6
    unusable: int = 12
    unknown_weight: float = 1.0
    firmness: float = 0.7
    challengers: int = 5
    comparable: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitFace:
    """A face of a visit. ``box``: fractions of the frame; ``vector``: None where it is unusable, for ``reason``."""

    captured_at: datetime
    box: tuple[float, float, float, float]
    level: PrivacyLevel
    reason: Reason
    quality: FaceQuality
    vector: Vector | None = field(default=None, repr=False)

    @property
    def strength(self) -> PrivacyLevel:
        """How strongly it is blurred in all."""
        return self.quality.strength(self.level)


@dataclass(slots=True, kw_only=True, eq=False)
class _Evidence:
    captured_at: datetime
    face: VisitFace
    weighed: WeighedFace


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What was last said about a visit."""

    outcome: Outcome
    phase: Phase
    person_id: str | None = None
    event_id: str | None = None

    def says_as_much(self, other: Statement) -> bool:
        """Whether ``other`` would add nothing: the same, and no firmer."""
        same = (self.outcome, self.person_id) == (other.outcome, other.person_id)
        return same and (self.phase is Phase.CONFIRMED or other.phase is Phase.PROVISIONAL)


class Visit:
    """One visit, from its first face on."""

    def __init__(self, visit_id: str, rules: VisitRules) -> None:
        self.id: Final = visit_id
        self._rules: Final = rules
        self._evidence: Final[list[_Evidence]] = []
        self._ranked_by: Ranker | None = None
        self._said_of: tuple[datetime, float] | None = None
        self.seen = 0
        self.best_unusable: VisitFace | None = None
        self.said: Statement | None = None

    @property
    def usable(self) -> int:
        """How many usable faces the next decision stands on."""
        return len(self._evidence)

    @property
    def faces(self) -> Sequence[VisitFace]:
        """The faces that the decision stands on, in the order of capture."""
        return [evidence.face for evidence in self._evidence]

    @property
    def weighed(self) -> Sequence[WeighedFace]:
        """The same faces against everybody enrolled."""
        return [evidence.weighed for evidence in self._evidence]

    @property
    def shown_faces(self) -> Sequence[VisitFace]:
        """The newest of these, or the best of the unusable ones where there are no others."""
        if self._evidence:
            return self.faces[-_SHOWN:]
        return () if self.best_unusable is None else (self.best_unusable,)

    def add(self, face: VisitFace, ranker: Ranker) -> None:
        """Take a face in. Another ``ranker`` than before compares all anew."""
        self.seen += 1
        self.rank_by(ranker)
        if face.vector is None:
            best = self.best_unusable
            if best is None or face.quality.weight >= best.quality.weight:
                self.best_unusable = face
            return
        insort(self._evidence, _weigh(face, ranker), key=lambda evidence: evidence.captured_at)
        if len(self._evidence) > WINDOW:
            del self._evidence[0]

    def rank_by(self, ranker: Ranker) -> bool:
        """Compare anew where ``ranker`` is another than before; whether it is."""
        changed = self._ranked_by is not ranker
        if changed:
            self._ranked_by = ranker
            self._evidence[:] = [_weigh(evidence.face, ranker) for evidence in self._evidence]
        return changed

    def remember(self) -> tuple[RememberedFace, ...]:
        """The faces by strength, each group as the weighted mean of its embeddings; the weightiest groups."""
        groups: dict[PrivacyLevel, list[VisitFace]] = {}
        for face in self.faces:
            strength = face.strength
            rounded = round(strength.relative / _LEVEL_STEP) * _LEVEL_STEP
            groups.setdefault(PrivacyLevel(strength.method, rounded), []).append(face)
        remembered = [_remember(group) for group in groups.values()]
        return tuple(sorted(remembered, key=lambda face: -face.weight)[:_MOST_LEVELS])

    def absorb(self, other: Visit) -> None:
        """Take over the faces of a visit that turned out to be this one."""
        self.seen += other.seen
        ranker = self._ranked_by = self._ranked_by or other._ranked_by
        for evidence in other._evidence:
            # Two faces that were compared with other people can't be averaged.
            mine = evidence if ranker is None or other._ranked_by is ranker else _weigh(evidence.face, ranker)
            insort(self._evidence, mine, key=lambda one: one.captured_at)
        del self._evidence[:-WINDOW]

    def decide(self) -> Decision:
        """What the faces come to so far."""
        if not self._evidence:
            reason = Reason.NO_FACE if self.best_unusable is None else self.best_unusable.reason
            return Decision(outcome=Outcome.UNUSABLE, reason=reason, usable=0)
        return decide_visit(self.weighed, self._rules.decision)

    def next_statement(self, decision: Decision, *, settled: bool) -> Statement | None:
        """What to say now that has not been said yet.

        ``settled``: no more faces are expected for now, so that what there is must do.
        """
        wanted = self._wish(decision, settled=settled)
        if wanted is None or (self.said is not None and self.said.says_as_much(wanted)):
            return None
        if self.said is not None and self._stands_firm(self.said, wanted, decision):
            return None
        return wanted

    def say(self, statement: Statement) -> None:
        """Take note of what was said, and of how good the faces were that it stands on."""
        self.said = statement
        if self._evidence:
            mean = sum(evidence.weighed.weight for evidence in self._evidence) / len(self._evidence)
            self._said_of = self._evidence[-1].captured_at, mean

    def _wish(self, decision: Decision, *, settled: bool) -> Statement | None:
        rules = self._rules
        if decision.reason is Reason.IGNORED:
            return None
        if decision.outcome is Outcome.UNUSABLE:
            # Somebody who was seen well once isn't unusable for having turned away.
            due = self.said is None and (settled or self.seen >= rules.unusable)
            return Statement(outcome=Outcome.UNUSABLE, phase=Phase.CONFIRMED) if due else None
        if decision.outcome is Outcome.KNOWN:
            return self._phased(decision, rules.provisional, rules.confirmed, settled=settled)
        doubtful = decision.excess >= -rules.firmness
        best = sorted((evidence.weighed.weight for evidence in self._evidence), reverse=True)
        if not settled and sum(best[: rules.unknown]) < rules.unknown_weight and decision.usable < WINDOW:
            return None
        return self._phased(
            decision, rules.sure_unknown if doubtful else rules.unknown, rules.sure_unknown, settled=settled
        )

    def _phased(self, decision: Decision, first: int, sure: int, *, settled: bool) -> Statement | None:
        if not settled and decision.usable < first:
            return None
        phase = Phase.CONFIRMED if settled or decision.usable >= sure else Phase.PROVISIONAL
        return Statement(outcome=decision.outcome, phase=phase, person_id=decision.person_id)

    def _stands_firm(self, said: Statement, wanted: Statement, decision: Decision) -> bool:
        """Whether a name that was said stays, though the faces don't quite carry it any more."""
        if said.person_id is None or wanted.person_id == said.person_id or decision.reason is Reason.NOT_THEM:
            return False
        if wanted.person_id is not None:
            return False
        nearest = decision.candidate
        if nearest is not None and nearest.person_id == said.person_id and nearest.excess >= -self._rules.firmness:
            return True
        challengers = self._challengers()
        if len(challengers) < self._rules.challengers:
            return True
        against = {one.person_id: one.excess for one in fuse(challengers)}
        return against.get(said.person_id, float("-inf")) >= -self._rules.firmness

    def _challengers(self) -> Sequence[WeighedFace]:
        """The faces that came after what was said, and are about as good as those that it stands on."""
        if self._said_of is None:
            return ()
        moment, weight = self._said_of
        least = self._rules.comparable * weight
        return [
            evidence.weighed
            for evidence in self._evidence
            if evidence.captured_at > moment and evidence.weighed.weight >= least
        ]


def _remember(group: Sequence[VisitFace]) -> RememberedFace:
    weights = [face.quality.weight for face in group]
    total = sum(weights)
    vectors = [face.vector for face in group if face.vector is not None]
    relative = sum(weight * face.strength.relative for weight, face in zip(weights, group, strict=True)) / total
    return RememberedFace(
        level=PrivacyLevel(group[0].strength.method, relative),
        weight=total,
        vector=normalized(np.average(vectors, axis=0, weights=weights)),
    )


def _weigh(face: VisitFace, ranker: Ranker) -> _Evidence:
    assert face.vector is not None  # noqa: S101  # only usable faces are weighed
    weighed = WeighedFace(weight=face.quality.weight, ranked=ranker.rank(face.vector, face.strength))
    return _Evidence(captured_at=face.captured_at, face=face, weighed=weighed)
