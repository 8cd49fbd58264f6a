"""From what was seen to who it is: each face against the gallery, in the words of the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from privface_backend.domain.decision import Decision, DecisionRules, Ranked, decide
from privface_backend.domain.visits import Ranker
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.pipeline.process import Look, ObservedFace
from privface_backend.protocol import EngineNames, FaceResult, Identification, Outcome, Privacy, Reason

CANDIDATES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFace:
    """A face, what was decided about it, and the enrolled picture that it was named by."""

    observed: ObservedFace
    decision: Decision
    result: FaceResult
    ranked: tuple[Ranked, ...] = ()
    source: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One frame's faces, judged."""

    look: Look
    faces: tuple[JudgedFace, ...]
    engine: EngineNames

    @property
    def reason(self) -> Reason:
        return Reason.OK if self.faces else Reason.NO_FACE

    def privacy_of(self, face: JudgedFace) -> Privacy:
        """How the frame was anonymized, with the strength that this face had by it."""
        return replace(self.look.privacy, relative=face.observed.level.relative)

    def to_identification(self, file: str | None, frame: int, latency_ms: Mapping[str, float]) -> Identification:
        return Identification(
            file=file,
            frame=frame,
            faces=tuple(face.result for face in self.faces),
            privacy=self.look.privacy,
            engine=self.engine,
            latency_ms=latency_ms,
            reason=self.reason,
        )

    def detail(self, names: Mapping[str, str]) -> dict[str, object]:
        """What ``?detail=1`` and ``--detail`` add: boxes in pixels, and the nearest people with their scores."""
        return {
            "frame_size": [self.look.size.width, self.look.size.height],
            "faces": [
                {
                    "box_px": [
                        round(face.observed.face.box.x, 1),
                        round(face.observed.face.box.y, 1),
                        round(face.observed.face.box.width, 1),
                        round(face.observed.face.box.height, 1),
                    ],
                    "candidates": [
                        {
                            "person_id": candidate.person_id,
                            "person": names.get(candidate.person_id),
                            "score": round(candidate.score, 4),
                        }
                        for candidate in face.ranked[:CANDIDATES_SHOWN]
                    ],
                }
                for face in self.faces
            ],
        }


def judge(
    look: Look, snapshot: GallerySnapshot, ranker: Ranker, *, rules: DecisionRules, engine: EngineNames
) -> Judgement:
    """Decide about every face of a look by itself."""
    faces = tuple(_judge_face(observed, look, snapshot, ranker, rules) for observed in look.faces)
    return Judgement(look=look, faces=faces, engine=engine)


def _judge_face(
    observed: ObservedFace, look: Look, snapshot: GallerySnapshot, ranker: Ranker, rules: DecisionRules
) -> JudgedFace:
    ranked: tuple[Ranked, ...] = ()
    if observed.vector is None:
        decision = Decision(outcome=Outcome.UNUSABLE, reason=observed.reason, usable=0)
    else:
        ranked = ranker.rank(observed.vector, observed.quality.strength(observed.level))
        decision = decide(ranked, rules)
    candidate = decision.candidate
    person_id = decision.person_id
    result = FaceResult(
        box=observed.face.box.to_fractions(look.size),
        outcome=decision.outcome,
        reason=decision.reason,
        person_id=person_id,
        person=None if person_id is None else snapshot.names.get(person_id),
        score=None if candidate is None else candidate.score,
        margin=decision.margin,
        threshold=decision.threshold,
        relative=observed.level.relative,
        detection=observed.face.score,
    )
    source = snapshot.sources.get(candidate.face_id) if candidate is not None and person_id is not None else None
    return JudgedFace(observed=observed, decision=decision, result=result, ranked=ranked, source=source)
