"""What is said while a clip plays: by PrivFace's visits, or face by face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.visits import VisitRules
from privface_backend.evaluation.footage import CAMERA, START, ClipLook
from privface_backend.evaluation.scoring import GalleryKind, Scorer, ScoringRules, make_ranking, make_scorer
from privface_backend.evaluation.truth import ClipDecision
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.pipeline.identification import judge
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.visits import Visits, VisitTiming
from privface_backend.protocol import EngineNames, FrameCard, Outcome

_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class DecisionsOf(Protocol):
    """What follows a clip: looks in, in order; what is said out, each as soon as it is said."""

    def __call__(self, looks: Iterable[ClipLook]) -> Iterator[ClipDecision]: ...


def make_decisions_of(
    kind: GalleryKind, templates: Sequence[Template], rules: ScoringRules, engine: EngineNames
) -> DecisionsOf:
    """What follows clips with a gallery: PrivFace's visits; or, as the baseline, each face of each frame by itself."""
    if kind is GalleryKind.BASELINE:
        scorer = make_scorer(kind, templates, rules)
        return lambda looks: decide_faces(looks, scorer)
    ranking = make_ranking(templates, rules)
    visit_rules = VisitRules(decision=rules.decision)
    return lambda looks: decide_visits(looks, ranking, visit_rules, VisitTiming(), engine)


def decide_faces(looks: Iterable[ClipLook], scorer: Scorer) -> Iterator[ClipDecision]:
    """Each usable face of each frame by itself."""
    for one in looks:
        for face in one.look.faces:
            if face.vector is not None:
                named = scorer.score(face.vector, face.quality.strength(face.level)).named
                yield ClipDecision(
                    frame=one.frame,
                    seconds=one.seconds,
                    outcome=Outcome.UNKNOWN if named is None else Outcome.KNOWN,
                    person=named,
                    box=face.face.box.to_fractions(one.look.size),
                )


def decide_visits(
    looks: Iterable[ClipLook], ranking: Ranking, rules: VisitRules, timing: VisitTiming, engine: EngineNames
) -> Iterator[ClipDecision]:
    """What the pipeline's visits say, as if the clip came from a camera."""
    visits = Visits(rules=rules, timing=timing, likeness=ranking.model.likeness)
    snapshot = GallerySnapshot(gallery=LevelMatchedGallery(()), names=_NO_NAMES, sources=_NO_NAMES)
    frames: dict[datetime, int] = {}
    now = START
    for one in looks:
        now = one.captured_at
        frames[now] = one.frame
        updates = [*visits.pass_time(now, ranking)]
        if one.look.faces:
            judgement = judge(one.look, snapshot, ranking, rules=rules.decision, engine=engine)
            card = FrameCard(camera=CAMERA, captured_at=now)
            updates += visits.take(judgement, card, {}, now=now, ranker=ranking, number=one.frame)
        yield from _said(updates, frames, now)
    yield from _said(visits.end_all(), frames, now)


def _said(updates: Iterable[VisitUpdate], frames: Mapping[datetime, int], now: datetime) -> Iterator[ClipDecision]:
    for update in updates:
        if update.statement is not None:
            yield ClipDecision(
                frame=frames[update.live.last_seen],
                seconds=(now - START).total_seconds(),
                outcome=update.statement.outcome,
                phase=update.statement.phase,
                person=update.statement.person_id,
                box=update.live.frame.box,
                faces=update.decision.usable,
            )
