"""Open-set identification: the probes of enrolled people and of strangers, each searched in a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from privface_backend.domain.matching import Template
from privface_backend.domain.quality import QualityBar
from privface_backend.evaluation.intervals import Attempt, Bootstrap, Comparison
from privface_backend.evaluation.measures import NOT_FOUND
from privface_backend.evaluation.runs import Curve, Named, Run, Subject, rate_name
from privface_backend.evaluation.scoring import GalleryKind, Scored, Scorer, ScoringRules, make_scorer
from privface_backend.evaluation.sightings import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A picture to search. ``sighting``: None where no face was found.

    ``without_face``, ``without_person``: whose templates must not be there when it is searched.
    """

    identity: str = field(repr=False)
    enrolled: bool
    sighting: Sighting | None
    without_face: str | None = field(default=None, repr=False)
    without_person: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How to measure. ``bar``: below it the pipeline names nobody."""

    rules: ScoringRules
    bar: QualityBar
    bootstrap: Bootstrap
    fpirs: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """A probe and what came of it; ``scored``: None without a face, or with nobody left to compare with."""

    probe: Probe
    scored: Scored | None
    usable: bool = False

    @property
    def attempt(self) -> Attempt:
        best = None if self.scored is None else self.scored.ranked[0]
        return Attempt(
            identity=self.probe.identity,
            score=NOT_FOUND if best is None else best.score,
            right=best is not None and best.person_id == self.probe.identity,
        )

    @property
    def named(self) -> str | None:
        return None if self.scored is None or not self.usable else self.scored.named


class Gallery:
    """Templates, and the scorers of what is left of them when a face or a person is taken out.

    ``offered``: how many pictures there were to enroll.
    """

    def __init__(self, kind: GalleryKind, templates: Sequence[Template], rules: ScoringRules, *, offered: int) -> None:
        self.kind: Final = kind
        self.offered: Final = offered
        self.templates: Final = tuple(templates)
        self._rules: Final = rules
        self._scorers: Final[dict[tuple[str | None, str | None], Scorer]] = {}

    @property
    def pictures(self) -> int:
        """How many pictures gave templates."""
        return len({template.face_id for template in self.templates})

    def without(self, face_id: str | None, person_id: str | None) -> Scorer:
        """The scorer of the templates that are neither of that face nor of that person."""
        key = (face_id, person_id)
        if key not in self._scorers:
            left = [one for one in self.templates if one.face_id != face_id and one.person_id != person_id]
            self._scorers[key] = make_scorer(self.kind, left, self._rules)
        return self._scorers[key]


def identify(subject: Subject, gallery: Gallery, probes: Sequence[Probe], measuring: Measuring) -> Run:
    """Search all probes, and measure.

    A probe without a face is a miss, and names nobody; so does one under the quality bar at the decision's own
    threshold, but at a given FPIR its score counts. EER is over the comparisons that were made.
    """
    results = [_search(gallery, probe, measuring.bar) for probe in probes]
    members = [result for result in results if result.probe.enrolled]
    strangers = [result for result in results if not result.probe.enrolled]
    mated, unmated = [one.attempt for one in members], [one.attempt for one in strangers]
    draw = measuring.bootstrap
    found = [probe.sighting for probe in probes if probe.sighting is not None]
    return Run(
        subject=subject,
        relative=float(np.median([one.level.relative for one in found])) if found else float("nan"),
        enrolled=len({template.person_id for template in gallery.templates}),
        enrolled_pictures=gallery.pictures,
        probes=len(members),
        strangers=len(strangers),
        fta=1 - len(found) / max(1, len(probes)),
        fte=1 - gallery.pictures / max(1, gallery.offered),
        rank1=draw.rate([one.right for one in mated], [one.identity for one in mated]) if mated else None,
        tpir={rate_name(fpir): draw.tpir(mated, unmated, fpir) for fpir in measuring.fpirs}
        if mated and unmated
        else None,
        named=_decide(members, strangers, draw),
        eer=draw.eer(_compare(results)),
        curve=_trace(mated, unmated) if mated and unmated else None,
    )


def _search(gallery: Gallery, probe: Probe, bar: QualityBar) -> _Result:
    if probe.sighting is None:
        return _Result(probe=probe, scored=None)
    scorer = gallery.without(probe.without_face, probe.without_person)
    scored = scorer.score(probe.sighting.vector, probe.sighting.strength)
    return _Result(probe=probe, scored=scored if scored.ranked else None, usable=probe.sighting.usable(bar))


def _decide(members: Sequence[_Result], strangers: Sequence[_Result], draw: Bootstrap) -> Named:
    thresholds = [
        one.scored.threshold
        for one in (*members, *strangers)
        if one.scored is not None and one.scored.threshold is not None
    ]
    right = [one.named == one.probe.identity for one in members]
    wrong = [one.named not in {None, one.probe.identity} for one in members]
    return Named(
        threshold=float(np.median(thresholds)) if thresholds else float("nan"),
        tpir=draw.rate(right, [one.probe.identity for one in members]),
        fpir=draw.rate([one.named is not None for one in strangers], [one.probe.identity for one in strangers]),
        wrong=float(np.mean(wrong)) if wrong else float("nan"),
    )


def _compare(results: Sequence[_Result]) -> list[Comparison]:
    """Each probe against each person of its gallery; once where it also stands for a stranger."""
    return [
        Comparison(first=result.probe.identity, second=candidate.person_id, score=candidate.score)
        for result in results
        if result.scored is not None and (result.probe.enrolled or result.probe.without_person is None)
        for candidate in result.scored.ranked
    ]


def _trace(mated: Sequence[Attempt], unmated: Sequence[Attempt]) -> Curve:
    """FPIR, and 1 - TPIR at it, at every threshold that names one stranger more."""
    strangers = np.sort([one.score for one in unmated])[::-1]
    hits = np.array([one.score if one.right else NOT_FOUND for one in mated])
    thresholds = np.concatenate([np.nextafter(strangers, np.inf), [np.nextafter(NOT_FOUND, np.inf)]])
    return Curve(
        false=np.array([(strangers >= one).mean() for one in thresholds]),
        missed=np.array([(hits < one).mean() for one in thresholds]),
    )
