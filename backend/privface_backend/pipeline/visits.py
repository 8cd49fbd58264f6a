"""Visits: the faces of each camera tied to tracks, and what is said about them as they come.

A frame that comes alone is a visit of one face, decided when no other follows for a moment, or at once where its card
says that none will. Time is asked of nobody: ``now`` is given, and is when a frame was received; how faces belong
together is judged by when they were captured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from privface_backend.domain.tracks import PlacedFace, Track, TrackRules, assign_faces
from privface_backend.domain.visits import Ranker, Statement, Visit, VisitFace, VisitRules
from privface_backend.pipeline.identification import JudgedFace, Judgement
from privface_backend.pipeline.live_visits import LastFrame, LiveVisit, VisitUpdate
from privface_backend.pipeline.visit_joins import VisitJoins
from privface_backend.protocol import FrameCard, Outcome

MOST_VISITS: Final = 32
"""How many people are followed at one camera at a time."""


def make_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTiming:
    """``settle``: without another frame for so long, what there is must do; ``gap``: after so long a visit is over;
    ``event_gap``: after so long where the sender promised more frames of a source event."""

    settle: timedelta = timedelta(seconds=1.5)
    gap: timedelta = timedelta(seconds=8)
    event_gap: timedelta = timedelta(seconds=60)


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
        event_gap = max(timing.gap, timing.event_gap)
        self._tracks: Final = TrackRules(gap=timing.gap, event_gap=event_gap, likeness=likeness)
        self._joins: Final = VisitJoins(rules, self._tracks)
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
        placed = _place(judgement.faces, card)
        tracks = [visit.track for visit in live.values()]
        assigned = assign_faces(tracks, placed, captured_at, self._tracks)
        touched: list[LiveVisit] = []
        ended: list[VisitUpdate] = []
        for index, (face, place) in enumerate(zip(judgement.faces, placed, strict=True)):
            frame = LastFrame(
                card=card,
                size=judgement.look.size,
                faces=len(judgement.faces),
                box=face.result.box,
                privacy=judgement.privacy_of(face),
                engine=judgement.engine,
                latency_ms=latency_ms,
            )
            visit = live.get(assigned.get(index, ""))
            if visit is None:
                instead_of = self._joins.displaced(live, place, captured_at, assigned.values())
                ended += self._make_room(live)
                visit = self._begin(place, frame, captured_at, now, number)
                visit.instead_of = instead_of
                live[visit.track.id] = visit
            visit.track = visit.track.followed_by(place, captured_at)
            if captured_at >= visit.last_seen:
                visit.frame, visit.last_seen = frame, captured_at
            visit.received, visit.settled = now, card.more is False
            visit.promised = card.more is True and card.source_event_id is not None
            visit.moments.append(captured_at)
            visit.visit.add(_visit_face(face, captured_at), ranker)
            touched.append(visit)
        if card.more is False:
            # Nor will a frame follow for those of an earlier one of the same look.
            waiting = _waiting(live, card.source_event_id)
            for visit in waiting:
                visit.settled, visit.promised = True, False
            touched += waiting
        # In a crowd, the room for one was made by another of the same frame.
        here = [visit for visit in touched if visit.track.id in live]
        kept = self._joins.fold(live, self._joins.merge(live, here, ranker))
        return (*ended, *(self._conclude(visit) for visit in kept))

    def pass_time(self, now: datetime, ranker: Ranker) -> tuple[VisitUpdate, ...]:
        """What became of the visits because nothing came for a while."""
        updates: list[VisitUpdate] = []
        for live in self._live.values():
            changed: list[LiveVisit] = []
            for visit in live.values():
                # A clock that was set back would keep it for ever.
                visit.received = min(visit.received, now)
                settles = not visit.settled and now >= visit.received + self._patience(visit)
                visit.settled = visit.settled or settles
                # Who was enrolled, forgotten or corrected meanwhile counts at once.
                if visit.visit.rank_by(ranker) or settles:
                    changed.append(visit)
            updates += [self._conclude(visit) for visit in self._joins.fold(live, changed)]
            for track_id, visit in list(live.items()):
                if now >= visit.received + self._lasting(visit):
                    del live[track_id]
                    updates.append(
                        VisitUpdate(live=visit, decision=visit.visit.decide(), before=visit.visit.said, ended=True)
                    )
        return tuple(updates)

    def end_source_event(self, camera: str, source_event_id: str) -> tuple[VisitUpdate, ...]:
        """No more frames of a source event will come: what there is of it must do."""
        live = self._live.get(camera, {})
        waiting = _waiting(live, source_event_id)
        for visit in waiting:
            visit.settled, visit.promised = True, False
        return tuple(self._conclude(visit) for visit in self._joins.fold(live, waiting))

    def end_all(self, camera: str | None = None) -> tuple[VisitUpdate, ...]:
        """End all visits, or a camera's, as when its video is over: what there is must do."""
        updates: list[VisitUpdate] = []
        for name in list(self._live) if camera is None else [camera]:
            live = self._live.pop(name, {})
            for visit in live.values():
                visit.settled = True
            updates += [self._conclude(visit, ended=True) for visit in self._joins.fold(live, list(live.values()))]
        return tuple(updates)

    def drop(self, camera: str) -> None:
        """Give up a camera's visits; nothing more is said about them."""
        self._live.pop(camera, None)

    def forget(self, person_ids: Collection[str]) -> None:
        """Keep nothing of the visits of people who were forgotten."""
        for live in self._live.values():
            for visit in live.values():
                said = visit.visit.said
                visit.unkept = visit.unkept or (said is not None and said.person_id in person_ids)

    def next_due(self) -> datetime | None:
        """When ``pass_time`` will have something to do."""
        due = [
            visit.received + (self._lasting(visit) if visit.settled else self._patience(visit))
            for live in self._live.values()
            for visit in live.values()
        ]
        return min(due, default=None)

    def _patience(self, visit: LiveVisit) -> timedelta:
        """After how long what there is must do: before the visit is over, or then where its card promised more."""
        return self._timing.gap if visit.frame.card.more else min(self._timing.settle, self._timing.gap)

    def _lasting(self, visit: LiveVisit) -> timedelta:
        """After how long without a frame a visit is over."""
        return self._tracks.event_gap if visit.promised else self._timing.gap

    def _begin(
        self, place: PlacedFace, frame: LastFrame, captured_at: datetime, now: datetime, number: int
    ) -> LiveVisit:
        visit = Visit(self._new_id(), self._rules)
        track = Track(
            id=visit.id,
            box=place.box,
            first_at=captured_at,
            last_at=captured_at,
            source_event=place.source_event,
        )
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


def _place(faces: Sequence[JudgedFace], card: FrameCard) -> list[PlacedFace]:
    return [
        PlacedFace(
            box=face.observed.face.box,
            relative=face.observed.level.relative,
            vector=face.observed.vector,
            source_event=card.source_event_id,
            alone=len(faces) == 1,
        )
        for face in faces
    ]


def _waiting(live: Mapping[str, LiveVisit], source_event: str | None) -> list[LiveVisit]:
    """The visits of a source event, or of none, that wait for another frame."""
    return [
        visit
        for visit in live.values()
        if visit.track.source_event == source_event and (visit.promised or not visit.settled)
    ]


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
