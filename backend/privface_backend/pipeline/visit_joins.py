"""Which visits are one: tracks that broke off, and single faces that came in the midst of another visit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from privface_backend.domain.tracks import PlacedFace, Track, TrackRules, measure_fit
from privface_backend.domain.visits import Ranker, VisitRules
from privface_backend.pipeline.live_visits import LiveVisit


class VisitJoins:
    """Joins the live visits of one camera, which are given by the id of their track."""

    def __init__(self, rules: VisitRules, tracks: TrackRules) -> None:
        self._rules: Final = rules
        self._tracks: Final = tracks

    def displaced(
        self, live: Mapping[str, LiveVisit], place: PlacedFace, captured_at: datetime, seen: Collection[str]
    ) -> str | None:
        """The track that a face takes the place of: of those that go on, without a face in this frame (not ``seen``),
        the one that it would continue if only the place counted."""
        bare = replace(place, vector=None)
        fits = {
            track_id: measure_fit(visit.track, bare, captured_at, self._tracks)
            for track_id, visit in live.items()
            if track_id not in seen
            and not visit.settled
            and visit.frame.card.more is not False
            and captured_at not in visit.moments
        }
        nearest = max(fits, key=lambda track_id: fits[track_id], default=None)
        return nearest if nearest is not None and fits[nearest] > 0 else None

    def fold(self, live: dict[str, LiveVisit], visits: Sequence[LiveVisit]) -> list[LiveVisit]:
        """The visits, those of a single face that came in the midst of another visit made a part of that one.

        A face that resembles none of those around it at its place is the odd one out, not somebody else: it must
        neither name anybody by itself nor be a stranger.
        """
        kept: list[LiveVisit] = []
        for visit in visits:
            host = self._host(live, visit) if visit.settled else None
            if host is None:
                kept.append(visit)
                continue
            host.absorb(visit)
            del live[visit.track.id]
            host.settled = visit.settled if visit.received >= host.received else host.settled
            host.received = max(host.received, visit.received)
            host.promised = host.promised or visit.promised
            if host not in visits and host not in kept:
                kept.append(host)
        return kept

    def _host(self, live: Mapping[str, LiveVisit], visit: LiveVisit) -> LiveVisit | None:
        """The visit whose place a visit took, or that took its place, if its faces don't suffice for a name."""
        if visit.visit.said is not None or not 0 < visit.visit.usable < self._rules.provisional:
            return None
        others = (other for other in live.values() if other is not visit and other.visit.usable)
        return next(
            (other for other in others if other.track.id == visit.instead_of or other.instead_of == visit.track.id),
            None,
        )

    def merge(self, live: dict[str, LiveVisit], touched: Sequence[LiveVisit], ranker: Ranker) -> list[LiveVisit]:
        """The touched visits, those of one person made one: a track that broke off goes on in its successor."""
        kept: list[LiveVisit] = []
        for visit in touched:
            older = self._predecessor(live.values(), visit)
            if older is None:
                kept.append(visit)
                continue
            older.visit.rank_by(ranker)
            older.absorb(visit)
            del live[visit.track.id]
            older.track = _joined(older.track, visit.track)
            older.settled, older.received, older.promised = visit.settled, visit.received, visit.promised
            kept.append(older)
        return kept

    def _predecessor(self, others: Iterable[LiveVisit], visit: LiveVisit) -> LiveVisit | None:
        """The visit that a visit goes on with: of the same person, who was never seen in both at once, and of the same
        source event, since something is to be said of each."""
        decision = visit.visit.decide()
        firm = visit.settled or decision.usable >= self._rules.provisional
        if visit.visit.said is not None or not firm or decision.person_id is None:
            return None
        return next(
            (
                other
                for other in others
                if other is not visit
                and other.visit.said is not None
                and other.track.source_event == visit.track.source_event
                and other.visit.said.person_id == decision.person_id
                and visit.track.first_at - other.last_seen < self._tracks.glance
                and set(other.moments).isdisjoint(visit.moments)
            ),
            None,
        )


def _joined(older: Track, newer: Track) -> Track:
    """The newer track's course under the older one's id."""
    return Track(
        id=older.id,
        box=newer.box if newer.last_at >= older.last_at else older.box,
        first_at=min(older.first_at, newer.first_at),
        last_at=max(older.last_at, newer.last_at),
        recent=newer.recent or older.recent,
        source_event=older.source_event,
    )
