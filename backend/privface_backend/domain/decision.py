"""From scores to a name, or to none: what is said about one face, and about all the faces of a visit.

A name needs three things: a score that so few strangers reach as the household wants, a lead over the next person
(a larger one over somebody who looks alike), and no negative example that fits better. About several faces, their
weighted means decide, so that a frame that doesn't fit counts against a name; and the name must hold without the one
face that speaks most for it, so that no single lucky frame ever names a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from privface_backend.protocol import Outcome, Reason

_SLACK: Final = 0.7
"""How far below the threshold, in strangers' deviations, a visit may be without its best face: about ten times the rate
of strangers (the distance between 1 in 1,000 and 1 in 100 is 0.76 deviations)."""

_BEST: Final = 3
_NEARLY: Final = 0.7


class Naming(StrEnum):
    """How readily strangers may be taken for somebody: the user's word for the target rate."""

    STRICT = "strict"
    BALANCED = "balanced"
    EAGER = "eager"

    @property
    def rate(self) -> float:
        """The share of strangers' visits that may get a name."""
        return _RATES[self]


_RATES: Final[Mapping[Naming, float]] = {Naming.STRICT: 0.0001, Naming.BALANCED: 0.001, Naming.EAGER: 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """What a name needs. ``caution`` is added to every threshold; ``margin``: the lead over the next person;
    ``alike``: how much of the likeness of two enrolled people beyond what is usual is added to it."""

    naming: Naming = Naming.BALANCED
    caution: float = 0.0
    margin: float = 0.02
    alike: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A person that a face was compared with.

    ``score``: cosine similarity; ``threshold``: what it must reach; ``excess``: by how much it does, in standard
    deviations of strangers' scores; ``evidence``: decimal logarithm of the likelihood ratio; ``not_them``: a negative
    example fits better; ``ignored``: nothing is to be said of them; ``alike``: what the look-alikes of the household
    add to the margin, by person.
    """

    person_id: str
    face_id: str
    score: float
    threshold: float
    excess: float
    evidence: float
    lightest: float = 0.0
    not_them: bool = False
    ignored: bool = False
    alike: Mapping[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is said, and why. ``usable``: how many faces it stands on; ``votes``: how many of them alone would name the
    nearest person (``known``), and how many would not."""

    outcome: Outcome
    reason: Reason
    candidate: Ranked | None = None
    margin: float | None = None
    threshold: float | None = None
    usable: int = 1
    votes_known: int = 0

    @property
    def person_id(self) -> str | None:
        """The person named; nobody unless the outcome is known."""
        return self.candidate.person_id if self.candidate and self.outcome is Outcome.KNOWN else None

    @property
    def excess(self) -> float:
        """How far above its threshold the nearest person is; minus infinity without one."""
        return float("-inf") if self.candidate is None else self.candidate.excess

    @property
    def evidence(self) -> float | None:
        return None if self.candidate is None else self.candidate.evidence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeighedFace:
    """A usable face of a visit: everybody that it was compared with, and how much it counts (above 0)."""

    weight: float
    ranked: tuple[Ranked, ...]


def decide(ranked: Sequence[Ranked], rules: DecisionRules) -> Decision:
    """Name the best of ``ranked`` (the highest excess first), or nobody; a score that is no number names nobody.

    Whom the household ignores is ``unusable``, for the reason ``ignored``, and no candidate is shown.
    """
    if not ranked:
        return Decision(outcome=Outcome.UNKNOWN, reason=Reason.NOBODY_ENROLLED)
    best = ranked[0]
    lead = best.score - ranked[1].score if len(ranked) > 1 else None
    outcome = Outcome.UNKNOWN
    reason = Reason.OK
    if not best.excess >= 0:
        reason = Reason.BELOW_THRESHOLD
    elif best.not_them:
        reason = Reason.NOT_THEM
    elif not _leads(best, ranked[1:], rules):
        reason = Reason.SMALL_MARGIN
    else:
        outcome = Outcome.KNOWN
    if outcome is Outcome.KNOWN and best.ignored:
        return Decision(outcome=Outcome.UNUSABLE, reason=Reason.IGNORED)
    known = int(outcome is Outcome.KNOWN)
    return Decision(
        outcome=outcome, reason=reason, candidate=best, margin=lead, threshold=best.threshold, votes_known=known
    )


def _leads(best: Ranked, others: Sequence[Ranked], rules: DecisionRules) -> bool:
    return all(
        best.score - other.score >= rules.margin + rules.alike * best.alike.get(other.person_id, 0.0)
        for other in others
    )


def decide_visit(faces: Sequence[WeighedFace], rules: DecisionRules) -> Decision:
    """Decide about all the usable faces of a visit, in whatever order they came.

    One face alone decides like ``decide``. Faces far worse than the best ones say nothing. Of several, none may carry
    the name alone: without the face that speaks most for it, the rest must still come within ``_SLACK`` of the
    threshold; else the reason is ``few_faces``.

    Raises:
        ValueError: there is no face.
    """
    if not faces:
        raise ValueError("a decision needs a face")
    usable, faces = len(faces), _worthwhile(faces)
    fused = fuse(faces)
    decision = decide(fused, rules)
    alone = [decide(face.ranked, rules) for face in faces]
    if decision.outcome is Outcome.KNOWN and len(faces) > 1:
        assert decision.candidate is not None  # noqa: S101  # known names one
        person_id = decision.candidate.person_id
        best = max(range(len(faces)), key=lambda place: _pull(faces[place], person_id))
        rest = fuse([face for place, face in enumerate(faces) if place != best])
        if not next(one.excess for one in rest if one.person_id == person_id) >= -_SLACK:
            decision = replace(decision, outcome=Outcome.UNKNOWN, reason=Reason.FEW_FACES)
    nearest = None if decision.candidate is None else decision.candidate.person_id
    known = sum(one.person_id is not None and one.person_id == nearest for one in alone)
    return replace(decision, usable=usable, votes_known=known)


def _worthwhile(faces: Sequence[WeighedFace]) -> Sequence[WeighedFace]:
    """The faces that are nearly as good as the third best, which are three or more, or all."""
    if len(faces) <= _BEST:
        return faces
    least = _NEARLY * sorted((face.weight for face in faces), reverse=True)[_BEST - 1]
    return [face for face in faces if face.weight >= least]


def _pull(face: WeighedFace, person_id: str) -> float:
    """How much a face speaks for a person."""
    return face.weight * next(one.excess for one in face.ranked if one.person_id == person_id)


def fuse(faces: Sequence[WeighedFace]) -> tuple[Ranked, ...]:
    """Everybody's weighted means over the faces, the highest excess first.

    A weighted mean of cosine similarities is that of one embedding, the weighted sum of the faces' (before it is
    brought to length 1); frames of one visit are far from independent, so that evidence is averaged, never added.
    """
    if not faces:
        return ()
    total = sum(face.weight for face in faces)
    shares = [face.weight / total for face in faces]
    by_person: dict[str, list[tuple[float, Ranked]]] = {}
    for share, face in zip(shares, faces, strict=True):
        for one in face.ranked:
            by_person.setdefault(one.person_id, []).append((share, one))
    fused = [_fuse_person(of_person) for of_person in by_person.values()]
    return tuple(sorted(fused, key=lambda one: (-one.excess, one.person_id)))


def _fuse_person(of_person: Sequence[tuple[float, Ranked]]) -> Ranked:
    _, nearest = max(of_person, key=lambda found: (found[1].excess, found[1].face_id))
    return replace(
        nearest,
        score=sum(share * one.score for share, one in of_person),
        threshold=sum(share * one.threshold for share, one in of_person),
        excess=sum(share * one.excess for share, one in of_person),
        evidence=sum(share * one.evidence for share, one in of_person),
        lightest=sum(share * one.lightest for share, one in of_person),
        # A negative example speaks for the share of faces that it fits better than the person does.
        not_them=sum(share for share, one in of_person if one.not_them) >= 0.5,
    )
