"""A visit that goes on, and what a frame or time makes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from privface_backend.domain.decision import Decision
from privface_backend.domain.geometry import Size
from privface_backend.domain.presence import Sighting
from privface_backend.domain.tracks import Track
from privface_backend.domain.visits import Statement, Visit
from privface_backend.pipeline.household import Household
from privface_backend.protocol import EngineNames, FrameCard, Outcome, Phase, Privacy, Reason

_MOMENTS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LastFrame:
    """The frame that a visit was last seen in, for the events about it. ``size``: in pixels, as it was looked at."""

    card: FrameCard
    size: Size
    faces: int
    box: tuple[float, float, float, float]
    privacy: Privacy
    engine: EngineNames
    latency_ms: Mapping[str, float]


@dataclass(slots=True, kw_only=True, eq=False)
class LiveVisit:
    """A visit that goes on. ``told``: how many events there were; ``first_frame``: the number of the frame that it
    began in, in a video; ``instead_of``: the track that had its place until then, and no face in that frame;
    ``promised``: more frames of its source event are to come; ``unkept``: its faces are of somebody who was forgotten
    while it went on, and are not to be remembered."""

    visit: Visit
    camera: str
    track: Track
    frame: LastFrame
    last_seen: datetime
    received: datetime
    first_frame: int = 0
    instead_of: str | None = None
    told: int = 0
    settled: bool = False
    promised: bool = False
    unkept: bool = False
    moments: deque[datetime] = field(default_factory=lambda: deque(maxlen=_MOMENTS))

    def absorb(self, other: LiveVisit) -> None:
        """Make the faces of another visit this one's."""
        self.visit.absorb(other.visit)
        self.unkept = self.unkept or other.unkept
        self.moments.extend(other.moments)
        if other.last_seen >= self.last_seen:
            self.frame, self.last_seen = other.frame, other.last_seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitUpdate:
    """What a frame, or time, made of a visit. ``statement``: what is to be said now, ``before``: what was until then;
    ``corrects``: the event that is taken back; ``ended``: nothing more will come."""

    live: LiveVisit
    decision: Decision
    statement: Statement | None = None
    before: Statement | None = None
    corrects: str | None = None
    ended: bool = False

    @property
    def visit_id(self) -> str:
        return self.live.visit.id

    @property
    def said(self) -> Statement | None:
        """What holds of the visit: said before or to be said now."""
        return self.statement or self.live.visit.said


def follow_visit(household: Household, update: VisitUpdate, now: datetime) -> None:
    """Take what holds of a visit into the states of people and cameras."""
    live, said, before = update.live, update.said, update.before
    if before is not None and before.person_id is not None and (said is None or said.person_id != before.person_id):
        household.take_back(before.person_id, live.camera, live.visit.id)
    if said is None or (update.ended and update.statement is None):
        return
    captured_at = min(live.last_seen, now)
    if said.person_id is not None:
        candidate = update.decision.candidate
        sighting = Sighting(
            camera=live.camera,
            captured_at=captured_at,
            score=candidate.score if candidate is not None and candidate.person_id == said.person_id else 0.0,
            firm=said.phase is Phase.CONFIRMED,
            visit_id=live.visit.id,
        )
        household.see_person(said.person_id, sighting)
    elif update.decision.reason is Reason.IGNORED:
        household.ignore_stranger(live.camera, live.visit.id)
    elif said.outcome is Outcome.UNKNOWN:
        household.see_stranger(live.camera, live.visit.id, captured_at)
