"""From a judged frame to events: a snapshot that comes alone is a visit of one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from privface_backend.pipeline.identification import JudgedFace, Judgement
from privface_backend.protocol import Event, FrameCard, Outcome, Phase


def make_id() -> str:
    return uuid4().hex


def visit_events(
    judgement: Judgement,
    card: FrameCard,
    latency_ms: Mapping[str, float],
    *,
    now: datetime,
    lifetime: timedelta,
    new_id: Callable[[], str] = make_id,
) -> tuple[Event, ...]:
    """One event a face. A frame without a face is no visit."""
    return tuple(
        _event(face, judgement, card, latency_ms=latency_ms, now=now, lifetime=lifetime, new_id=new_id)
        for face in judgement.faces
    )


def _event(
    face: JudgedFace,
    judgement: Judgement,
    card: FrameCard,
    *,
    latency_ms: Mapping[str, float],
    now: datetime,
    lifetime: timedelta,
    new_id: Callable[[], str],
) -> Event:
    result = face.result
    return Event(
        event_id=new_id(),
        visit_id=new_id(),
        seq=0,
        ts=now,
        captured_at=card.captured_at,
        # A sender whose clock is ahead doesn't make it last longer.
        expires_at=min(card.captured_at, now) + lifetime,
        camera=card.camera,
        source=card.source,
        source_event_id=card.source_event_id,
        request_id=card.request_id,
        requestor=card.requestor,
        outcome=result.outcome,
        phase=Phase.CONFIRMED,
        person_id=result.person_id,
        person=result.person,
        score=result.score,
        margin=result.margin,
        threshold=result.threshold,
        faces=len(judgement.look.faces),
        box=result.box,
        votes={
            "known": int(result.outcome is Outcome.KNOWN),
            "unknown": int(result.outcome is Outcome.UNKNOWN),
        },
        reason=result.reason,
        privacy=replace(judgement.look.privacy, relative=result.relative),
        engine=judgement.engine,
        latency_ms=latency_ms,
    )
