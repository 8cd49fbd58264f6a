"""Visits: the faces of each camera tied to tracks, and what is said about them as they come.

A frame that comes alone is a visit of one face, decided when no other follows for a moment, or at once where its card
says that none will. Time is asked of nobody: ``now`` is given, and is when a frame was received; how faces belong
together is judged by when they were captured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from privface_backend.domain.decision import Decision
from privface_backend.domain.tracks import PlacedFace, Track, TrackRules, assign_faces
from privface_backend.domain.visits import Ranker, Statement, Visit, VisitFace, VisitRules
from privface_backend.pipeline.identification import JudgedFace, Judgement
from privface_backend.protocol import EngineNames, FrameCard, Outcome, Privacy

MOST_VISITS: Final = 32
"""How many people are followed at one camera at a time."""
_MOMENTS: Final = 256


def make_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTiming:
    """``settle``: without another frame for so long, what there is must do; ``gap``: after so long a visit is over."""

    settle: timedelta = timedelta(seconds=1.5)
    gap: timedelta = timedelta(seconds=8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LastFrame:
    """The frame that a visit was last seen in, for the events about it."""

    card: FrameCard
    faces: int
    box: tuple[float, float, float, float]
    privacy: Privacy
    engine: EngineNames
    latency_ms: Mapping[str, float]


@dataclass(slots=True, kw_only=True, eq=False)
class LiveVisit:
    """A visit that goes on. ``told``: how many events there were; ``first_frame``: the number of the frame that it
    began in, in a video."""

    visit: Visit
    camera: str
    track: Track
    frame: LastFrame
    last_seen: datetime
    received: datetime
    first_frame: int = 0
    told: int = 0
    settled: bool = False
    moments: deque[datetime] = field(default_factory=lambda: deque(maxlen=_MOMENTS))


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


class Visits:
    """The visits of all cameras. ``likeness``: as ``TrackRules`` has it."""

    def __init__(
        self,
        *,
        rules: VisitRules,
        timing: VisitTiming,
        likeness: Callable[[float, float], float],
        new_id: Callable[[], str] = make_id,
    ) -> None:
        self._rules: Final = rules
        self._tracks: Final = TrackRules(gap=timing.gap, likeness=likeness)
        self._timing: Final = timing
        self._new_id: Final = new_id
        self._live: Final[dict[str, dict[str, LiveVisit]]] = {}

    def take(
        self,
        judgement: Judgement,
        card: FrameCard,
        latency_ms: Mapping[str, float],
        *,
        now: datetime,
        ranker: Ranker,
        number: int = 0,
    ) -> tuple[VisitUpdate, ...]:
        """Take a frame's faces in; an update for each visit that they are of. ``number``: the frame's, in a video."""
        # Nothing was captured after it came: that is a sender's clock that is ahead.
        captured_at = min(card.captured_at, now)
        live = self._live.setdefault(card.camera, {})
        placed = [_place(face) for face in judgement.faces]
        tracks = [visit.track for visit in live.values()]
        assigned = assign_faces(tracks, placed, captured_at, self._tracks)
        touched: list[LiveVisit] = []
        ended: list[VisitUpdate] = []
        for index, (face, place) in enumerate(zip(judgement.faces, placed, strict=True)):
            frame = LastFrame(
                card=card,
                faces=len(judgement.faces),
                box=face.result.box,
                privacy=judgement.privacy_of(face),
                engine=judgement.engine,
                latency_ms=latency_ms,
            )
            visit = live.get(assigned.get(index, ""))
            if visit is None:
                ended += self._make_room(live)
                visit = self._begin(place, frame, captured_at, now, number)
                live[visit.track.id] = visit
            visit.track = visit.track.followed_by(place, captured_at)
            if captured_at >= visit.last_seen:
                visit.frame, visit.last_seen = frame, captured_at
            visit.received, visit.settled = now, card.more is False
            visit.moments.append(captured_at)
            visit.visit.add(_visit_face(face, captured_at), ranker)
            touched.append(visit)
        return (*ended, *(self._conclude(visit) for visit in self._merge(live, touched)))

    def pass_time(self, now: datetime, ranker: Ranker) -> tuple[VisitUpdate, ...]:
        """What became of the visits because nothing came for a while."""
        updates: list[VisitUpdate] = []
        for live in self._live.values():
            for track_id, visit in list(live.items()):
                # A clock that was set back would keep it for ever.
                visit.received = min(visit.received, now)
                settles = not visit.settled and now >= visit.received + min(self._timing.settle, self._timing.gap)
                visit.settled = visit.settled or settles
                # Who was enrolled, forgotten or corrected meanwhile counts at once.
                if visit.visit.rank_by(ranker) or settles:
                    updates.append(self._conclude(visit))
                if now >= visit.received + self._timing.gap:
                    del live[track_id]
                    updates.append(
                        VisitUpdate(live=visit, decision=visit.visit.decide(), before=visit.visit.said, ended=True)
                    )
        return tuple(updates)

    def end_all(self, camera: str | None = None) -> tuple[VisitUpdate, ...]:
        """End all visits, or a camera's, as when its video is over: what there is must do."""
        updates: list[VisitUpdate] = []
        for name in list(self._live) if camera is None else [camera]:
            for visit in self._live.pop(name, {}).values():
                visit.settled = True
                updates.append(self._conclude(visit, ended=True))
        return tuple(updates)

    def next_due(self) -> datetime | None:
        """When ``pass_time`` will have something to do."""
        due = [
            visit.received + (self._timing.gap if visit.settled else self._timing.settle)
            for live in self._live.values()
            for visit in live.values()
        ]
        return min(due, default=None)

    def _begin(
        self, place: PlacedFace, frame: LastFrame, captured_at: datetime, now: datetime, number: int
    ) -> LiveVisit:
        visit = Visit(self._new_id(), self._rules)
        track = Track(id=visit.id, box=place.box, first_at=captured_at, last_at=captured_at)
        return LiveVisit(
            visit=visit,
            camera=frame.card.camera,
            track=track,
            frame=frame,
            last_seen=captured_at,
            received=now,
            first_frame=number,
        )

    def _make_room(self, live: dict[str, LiveVisit]) -> list[VisitUpdate]:
        """End the visit that was longest without a face where there are too many."""
        if len(live) < MOST_VISITS:
            return []
        oldest = min(live.values(), key=lambda visit: (visit.received, visit.last_seen))
        del live[oldest.track.id]
        oldest.settled = True
        return [self._conclude(oldest, ended=True)]

    def _merge(self, live: dict[str, LiveVisit], touched: Sequence[LiveVisit]) -> list[LiveVisit]:
        """The touched visits, those of one person made one: a track that broke off goes on in its successor."""
        kept: list[LiveVisit] = []
        for visit in touched:
            decision = visit.visit.decide()
            firm = visit.settled or decision.usable >= self._rules.provisional
            older = (
                firm
                and decision.person_id
                and next(
                    (
                        other
                        for other in live.values()
                        if other is not visit
                        and other.visit.said is not None
                        and other.visit.said.person_id == decision.person_id
                        and set(other.moments).isdisjoint(visit.moments)
                        and visit.visit.said is None
                    ),
                    None,
                )
            )
            if not older:
                kept.append(visit)
                continue
            older.visit.absorb(visit.visit)
            older.moments.extend(visit.moments)
            del live[visit.track.id], live[older.track.id]
            older.track = _joined(older.track, visit.track)
            older.frame, older.settled = visit.frame, visit.settled
            older.last_seen, older.received = max(older.last_seen, visit.last_seen), visit.received
            live[older.track.id] = older
            kept.append(older)
        return kept

    def _conclude(self, live: LiveVisit, *, ended: bool = False) -> VisitUpdate:
        decision = live.visit.decide()
        statement = live.visit.next_statement(decision, settled=live.settled)
        if statement is None:
            return VisitUpdate(live=live, decision=decision, before=live.visit.said, ended=ended)
        said = live.visit.said
        changed = said is not None and (said.outcome, said.person_id) != (statement.outcome, statement.person_id)
        taken_back = said is not None and changed and said.outcome is not Outcome.UNUSABLE
        statement = Statement(
            outcome=statement.outcome,
            phase=statement.phase,
            person_id=statement.person_id,
            event_id=self._new_id(),
        )
        live.visit.say(statement)
        live.told += 1
        corrects = said.event_id if said is not None and taken_back else None
        return VisitUpdate(
            live=live, decision=decision, statement=statement, before=said, corrects=corrects, ended=ended
        )


def _joined(older: Track, newer: Track) -> Track:
    """The newer track's course under the older one's id."""
    return Track(
        id=older.id,
        box=newer.box if newer.last_at >= older.last_at else older.box,
        first_at=min(older.first_at, newer.first_at),
        last_at=max(older.last_at, newer.last_at),
        recent=newer.recent or older.recent,
    )


def _place(face: JudgedFace) -> PlacedFace:
    observed = face.observed
    return PlacedFace(box=observed.face.box, relative=observed.level.relative, vector=observed.vector)


def _visit_face(face: JudgedFace, captured_at: datetime) -> VisitFace:
    observed = face.observed
    return VisitFace(
        captured_at=captured_at,
        box=face.result.box,
        level=observed.level,
        reason=observed.reason,
        quality=observed.quality,
        vector=observed.vector,
    )
