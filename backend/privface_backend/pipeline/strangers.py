"""Strangers who come back: the same label for the same person, as long as their templates are kept, and the visits that
can still be corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final, Protocol
from uuid import uuid4

from privface_backend.domain.decision import WeighedFace, decide_visit
from privface_backend.domain.matching import Template
from privface_backend.domain.memory import KeptVisit, RememberedFace, Stranger
from privface_backend.domain.ranking import Ranking
from privface_backend.pipeline.live_visits import LiveVisit, VisitUpdate
from privface_backend.pipeline.matcher import Matcher
from privface_backend.protocol import Outcome, StrangerRef

_MOST_FACES: Final = 8
_MOST_LIVE: Final = 1024


class Keeper(Protocol):
    """Keeps what is given, behind its caller's back and in order."""

    def keep_visit(self, visit: KeptVisit) -> None: ...

    def put_stranger(self, stranger: Stranger, *, new: bool = False) -> None: ...

    def known(self, contract: str) -> Iterable[Stranger]:
        """Those of a contract, by its key, what is still to be written included."""

    def next_number(self) -> int:
        """A number that no stranger had."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Known:
    """Whose visit one is."""

    stranger: Stranger
    live: LiveVisit


class Strangers:
    """Gives unknown visits their stranger, among those whose faces ``matcher`` can compare."""

    def __init__(self, keeper: Keeper, matcher: Matcher) -> None:
        self._keeper: Final = keeper
        self._matcher: Final = matcher
        # Two visits are one stranger's as surely as a visit is somebody's who is enrolled; none leads another.
        self._rules: Final = replace(matcher.rules, margin=0.0, alike=0.0)
        self._of_visit: Final[dict[str, _Known]] = {}

    def take(self, update: VisitUpdate, now: datetime) -> StrangerRef | None:
        """Keep what an update came to; the stranger whose visit it is."""
        live = update.live
        if live.unkept:
            self._of_visit.pop(live.visit.id, None)
            return None
        known = self._of_visit.get(live.visit.id)
        stranger = None if known is None else known.stranger
        said = update.said
        is_unknown = said is not None and said.outcome is Outcome.UNKNOWN
        if update.statement is not None or update.ended:
            faces = live.visit.remember()
            if is_unknown and faces:
                new = False
                if stranger is None:
                    stranger = self._recognize(live, faces)
                    new = stranger.visits == 1
                stranger = _merge(stranger, faces, live.last_seen)
                self._remember(live, stranger)
                self._keeper.put_stranger(stranger, new=new)
            if said is not None and faces:
                self._keeper.keep_visit(
                    KeptVisit(
                        id=live.visit.id,
                        camera=live.camera,
                        last_seen=min(live.last_seen, now),
                        contract=self._matcher.contract,
                        faces=faces,
                        person_id=said.person_id,
                        stranger_id=stranger.id if stranger is not None and is_unknown else None,
                    )
                )
        if update.ended:
            self._of_visit.pop(live.visit.id, None)
        if stranger is None or not is_unknown:
            return None
        return StrangerRef(id=stranger.id, number=stranger.number, visit=stranger.visits)

    def _remember(self, live: LiveVisit, stranger: Stranger) -> None:
        self._of_visit[live.visit.id] = _Known(stranger=stranger, live=live)
        for oldest in list(islice(self._of_visit, max(0, len(self._of_visit) - _MOST_LIVE))):
            del self._of_visit[oldest]

    def _recognize(self, live: LiveVisit, faces: tuple[RememberedFace, ...]) -> Stranger:
        """The stranger of an earlier visit whose faces these are, one visit on; else a new one."""
        # Two people who are there at once are not one.
        here = {known.stranger.id for known in self._of_visit.values() if _together(known.live, live)}
        strangers = self._keeper.known(self._matcher.contract)
        known = {stranger.id: stranger for stranger in strangers if stranger.id not in here}
        found = known.get(self._nearest(known, faces) or "")
        if found is not None:
            return replace(found, visits=found.visits + 1, camera=live.camera)
        return Stranger(
            id=str(uuid4()),
            number=self._keeper.next_number(),
            contract=self._matcher.contract,
            first_seen=live.track.first_at,
            last_seen=live.last_seen,
            camera=live.camera,
        )

    def _nearest(self, known: Mapping[str, Stranger], faces: tuple[RememberedFace, ...]) -> str | None:
        templates = [
            Template(face_id=stranger.id, person_id=stranger.id, level=face.level, vector=face.vector)
            for stranger in known.values()
            for face in stranger.faces
        ]
        if not templates:
            return None
        ranking = Ranking(templates, self._matcher.model, self._rules)
        weighed = [WeighedFace(weight=face.weight, ranked=ranking.rank(face.vector, face.level)) for face in faces]
        return decide_visit(weighed, self._rules).person_id


def _together(one: LiveVisit, other: LiveVisit) -> bool:
    """Whether two visits were before one camera in one frame."""
    return one is not other and one.camera == other.camera and not set(one.moments).isdisjoint(other.moments)


def _merge(stranger: Stranger, faces: tuple[RememberedFace, ...], last_seen: datetime) -> Stranger:
    """The stranger with the faces of a visit: of each strength the weightiest ones."""
    by_level = {face.level: face for face in stranger.faces}
    for face in faces:
        near = next(
            (
                level
                for level in by_level
                if level.method == face.level.method and abs(level.relative - face.level.relative) < 0.005
            ),
            None,
        )
        if near is None or by_level[near].weight <= face.weight:
            if near is not None:
                del by_level[near]
            by_level[face.level] = face
    kept = sorted(by_level.values(), key=lambda face: -face.weight)[:_MOST_FACES]
    return replace(stranger, faces=tuple(kept), last_seen=max(stranger.last_seen, last_seen))
