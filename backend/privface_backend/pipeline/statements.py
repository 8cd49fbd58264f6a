"""From what is said about a visit to the event that says it, and to the reasons behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from privface_backend.domain.decision import DecisionRules, Ranked, fuse
from privface_backend.domain.visits import VisitFace
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.protocol import Event, Outcome, StrangerRef, to_wire_time

_NEAREST_SHOWN: Final = 3


def make_event(
    update: VisitUpdate,
    snapshot: GallerySnapshot,
    *,
    now: datetime,
    lifetime: timedelta,
    stranger: StrangerRef | None = None,
) -> Event:
    """The event of an update that has a statement.

    Raises:
        ValueError: it has none.
    """
    statement, frame, decision = update.statement, update.live.frame, update.decision
    if statement is None or statement.event_id is None:
        raise ValueError("nothing is to be said")
    card, candidate = frame.card, decision.candidate
    captured_at = min(card.captured_at, now)
    return Event(
        event_id=statement.event_id,
        visit_id=update.visit_id,
        seq=update.live.told - 1,
        ts=now,
        captured_at=captured_at,
        # A sender whose clock is ahead doesn't make it last longer.
        expires_at=captured_at + lifetime,
        camera=card.camera,
        source=card.source,
        source_event_id=card.source_event_id,
        request_id=card.request_id,
        requestor=card.requestor,
        outcome=statement.outcome,
        phase=statement.phase,
        person_id=statement.person_id,
        person=None if statement.person_id is None else snapshot.names.get(statement.person_id),
        score=None if candidate is None else candidate.score,
        margin=decision.margin,
        threshold=decision.threshold,
        evidence=decision.evidence,
        stranger=stranger if statement.outcome is Outcome.UNKNOWN else None,
        corrects=update.corrects,
        faces=frame.faces,
        box=frame.box,
        votes={"known": decision.votes_known, "unknown": decision.usable - decision.votes_known},
        reason=decision.reason,
        privacy=frame.privacy,
        engine=frame.engine,
        latency_ms=frame.latency_ms,
    )


def explain(update: VisitUpdate, rules: DecisionRules, *, people: int, source: str) -> dict[str, Any]:
    """The reasons, as plain data without embeddings; people by their ids. ``source``: what scores were measured on."""
    visit, decision = update.live.visit, update.decision
    nearest = decision.candidate
    return {
        "faces": [_explain_face(face) for face in visit.shown_faces],
        "nearest": [_explain_person(one, update) for one in fuse(visit.weighed)[:_NEAREST_SHOWN]],
        "threshold": None
        if nearest is None
        else {
            "value": round(nearest.threshold, 4),
            "source": source,
            "naming": rules.naming.value,
            "rate": rules.naming.rate,
            "people": people,
            "caution": rules.caution,
            "relative": round(_mean_strength(visit.faces), 5),
            "lightest": round(nearest.lightest, 5),
        },
        "margin": {"needed": rules.margin, "had": None if decision.margin is None else round(decision.margin, 4)},
        "usable": decision.usable,
        "seen": visit.seen,
    }


def _mean_strength(faces: Sequence[VisitFace]) -> float:
    return sum(face.level.relative for face in faces) / max(1, len(faces))


def _explain_face(face: VisitFace) -> dict[str, Any]:
    quality = face.quality
    return {
        "captured_at": to_wire_time(face.captured_at),
        "box": [round(side, 4) for side in face.box],
        "relative": round(face.level.relative, 5),
        "reason": face.reason.value,
        "quality": {
            "weight": round(quality.weight, 3),
            "width": round(quality.width, 1),
            "detection": round(quality.detection, 3),
            "turn": round(min(quality.turn, 9.0), 3),
            "sharpness": _rounded(quality.sharpness),
            "brightness": _rounded(quality.brightness),
            "contrast": _rounded(quality.contrast),
        },
    }


def _explain_person(one: Ranked, update: VisitUpdate) -> dict[str, Any]:
    best = update.decision.candidate
    return {
        "person_id": one.person_id,
        "score": round(one.score, 4),
        "threshold": round(one.threshold, 4),
        "evidence": round(one.evidence, 3),
        "behind": None if best is None else round(best.score - one.score, 4),
        "not_them": one.not_them,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
