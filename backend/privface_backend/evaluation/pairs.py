"""Verification: pairs of pictures, of one person or of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from privface_backend.domain.matching import Template
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.household import Plan
from privface_backend.evaluation.identification import Measuring
from privface_backend.evaluation.intervals import Comparison
from privface_backend.evaluation.manifests import Pair, PairSet
from privface_backend.evaluation.measures import NOT_FOUND, cross_validated_accuracy, error_curves
from privface_backend.evaluation.runs import Curve, Named, Run, Subject, rate_name
from privface_backend.evaluation.scoring import GalleryKind, make_scorer
from privface_backend.evaluation.sightings import Looker, Sighting
from privface_backend.pipeline.enrollment import LADDER_METHOD
from privface_backend.protocol import Privacy

CLEAR_PICTURE = Privacy(method=LADDER_METHOD, parameter=1)
ALLOWED = (GalleryKind.SENT, GalleryKind.BASELINE)
"""``SENT``: both pictures of a pair are anonymized alike; ``BASELINE``: the first is clear."""

Seen = dict[Path, Sighting | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A pair with its score; ``matched``: whether the decision took both for one person, at ``threshold``."""

    pair: Pair = field(repr=False)
    score: float = NOT_FOUND
    matched: bool = False
    threshold: float | None = None

    @property
    def made(self) -> bool:
        """Whether there were two faces to compare."""
        return bool(np.isfinite(self.score))

    @property
    def comparison(self) -> Comparison:
        return Comparison(first=self.pair.first, second=self.pair.second, score=self.score)


def pictures_of(sets: Sequence[PairSet]) -> list[Path]:
    """The pictures of all pairs, each once."""
    return list(dict.fromkeys(path for one in sets for pair in one.pairs for path in (pair.path_a, pair.path_b)))


def evaluate_pairs(sets: Sequence[PairSet], looker: Looker, plan: Plan) -> Iterator[Run]:
    """A run for each set, gallery, method and parameter."""
    looks = dict.fromkeys((*((CLEAR_PICTURE,) if GalleryKind.BASELINE in plan.galleries else ()), *plan.privacies))
    seen: dict[Privacy, Seen] = {privacy: {} for privacy in looks}
    for path in pictures_of(sets):
        try:
            opened = looker.open(path)
            for privacy in looks:
                seen[privacy][path] = looker.look(opened, privacy)
        except PrivFaceError as error:
            plan.refuse(path, error)
        plan.advance()
    for one in sets:
        for kind in plan.galleries:
            for privacy in plan.privacies:
                first = seen[CLEAR_PICTURE if kind is GalleryKind.BASELINE else privacy]
                subject = plan.subject(one.name, privacy, kind)
                yield verify(subject, one.pairs, first, seen[privacy], plan.measuring)


def verify(subject: Subject, pairs: Sequence[Pair], first: Seen, second: Seen, measuring: Measuring) -> Run:
    """Compare all pairs, and measure. A pair with a face that wasn't found is judged wrongly in the accuracy, and is
    no comparison for FMR, FNMR and EER. Pairs with a file that couldn't be read are left out."""
    readable = [pair for pair in pairs if pair.path_a in first and pair.path_b in second]
    judged = [_judge(pair, first[pair.path_a], second[pair.path_b], subject, measuring) for pair in readable]
    made = [one for one in judged if one.made]
    genuine, impostor = ([one for one in made if one.pair.same is same] for same in (True, False))
    draw = measuring.bootstrap
    pictures = {path for pair in readable for path in (pair.path_a, pair.path_b)}
    found = [sighting for path in pictures if (sighting := second.get(path)) is not None]
    comparisons = [one.comparison for one in judged]
    thresholds = [one.threshold for one in made if one.threshold is not None]
    scores, truths = [one.score for one in judged], [one.pair.same for one in judged]
    return Run(
        subject=subject,
        relative=float(np.median([one.level.relative for one in found])) if found else float("nan"),
        pairs=len(judged),
        fta=1 - len(found) / max(1, len(pictures)),
        named=Named(threshold=float(np.median(thresholds))) if thresholds else None,
        accuracy=cross_validated_accuracy(scores, truths, seed=draw.seed) if len(judged) > 1 else None,
        eer=draw.eer(comparisons),
        fmr=draw.comparison_rate([one.matched for one in impostor], [one.comparison for one in impostor])
        if impostor
        else None,
        fnmr=draw.comparison_rate([not one.matched for one in genuine], [one.comparison for one in genuine])
        if genuine
        else None,
        fnmr_at_fmr={rate_name(rate): draw.fnmr_at_fmr(comparisons, rate) for rate in measuring.fpirs},
        curve=_trace([one.score for one in genuine], [one.score for one in impostor]),
    )


def _judge(
    pair: Pair, first: Sighting | None, second: Sighting | None, subject: Subject, measuring: Measuring
) -> _Judged:
    """The second picture as a probe, against the first as somebody enrolled."""
    if first is None or second is None:
        return _Judged(pair=pair)
    template = Template(face_id="first", person_id="first", level=first.level, vector=first.vector)
    kind = GalleryKind(subject.gallery or GalleryKind.SENT)
    scored = make_scorer(kind, [template], measuring.rules).score(second.vector, second.strength)
    return _Judged(
        pair=pair,
        score=scored.ranked[0].score,
        matched=scored.named is not None,
        threshold=scored.threshold,
    )


def _trace(genuine: Sequence[float], impostor: Sequence[float]) -> Curve | None:
    if not genuine or not impostor:
        return None
    same, other = np.asarray(genuine, dtype=np.float64), np.asarray(impostor, dtype=np.float64)
    fmr, fnmr = error_curves(same, other, np.ones((1, len(same))), np.ones((1, len(other))))
    # What lies below every genuine score is left out: nothing more is missed there.
    return Curve(false=np.append(fmr[0][::-1], 1.0), missed=np.append(fnmr[0][::-1], 0.0))
