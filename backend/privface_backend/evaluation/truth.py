"""What a clip really shows, and what was said about it, visit by visit. Pure.

A decision belongs to the visits of its frame. A name that fits one of them is right; another is the fault of one
visit: of a stranger's first, of somebody's else who has no right name in that frame, or of nobody's where nobody is
there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from privface_backend.evaluation.manifests import read_rows
from privface_backend.protocol import Outcome, Phase

_STRANGER: Final = "STRANGER:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody in a clip, from frame ``start_frame`` to ``end_frame`` (both counted), from second ``start_s`` on."""

    identity: str = field(repr=False)
    stranger: bool
    start_frame: int
    end_frame: int
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipDecision:
    """Something that was said while a clip played.

    ``frame``: the last one that it is about; ``seconds``: when it was said; ``box``: fractions of the frame; ``faces``:
    how many usable faces it stands on.
    """

    frame: int
    seconds: float
    outcome: Outcome
    phase: Phase = Phase.CONFIRMED
    person: str | None = field(default=None, repr=False)
    box: tuple[float, float, float, float] | None = None
    faces: int = 1


@dataclass(slots=True, kw_only=True)
class VisitScore:
    """What was said during one visit. ``seconds``, ``faces``: until the first right name."""

    visit: Visit
    seconds: float | None = None
    faces: int | None = None
    wrong: int = 0
    unknown: int = 0

    @property
    def right(self) -> bool:
        """Named, and never as somebody else."""
        return self.seconds is not None and not self.wrong

    @property
    def missed(self) -> bool:
        return self.seconds is None and not self.wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScore:
    """All visits, and the names that were said while nobody was there."""

    visits: tuple[VisitScore, ...]
    names_of_nobody: int

    def to_dict(self) -> dict[str, Any]:
        """Counts of visits; medians over those with a right name."""
        enrolled = [one for one in self.visits if not one.visit.stranger]
        strangers = [one for one in self.visits if one.visit.stranger]
        seconds = [one.seconds for one in enrolled if one.seconds is not None]
        faces = [one.faces for one in enrolled if one.faces is not None]
        return {
            "visits": len(enrolled),
            "right": sum(one.right for one in enrolled),
            "wrong": sum(bool(one.wrong) for one in enrolled),
            "missed": sum(one.missed for one in enrolled),
            "strangers": len(strangers),
            "strangers_named": sum(bool(one.wrong) for one in strangers),
            "names_of_nobody": self.names_of_nobody,
            "false_names": self.names_of_nobody + sum(one.wrong for one in self.visits),
            "unknown": sum(one.unknown for one in self.visits),
            "seconds_to_name": round(median(seconds), 3) if seconds else None,
            "faces_to_name": median(faces) if faces else None,
        }


def read_truth(path: Path) -> tuple[Visit, ...]:
    """A truth file: ``start_frame``, ``end_frame``, ``start_s``, ``identity`` (a stranger's with ``STRANGER:`` before).

    Raises:
        PrivFaceError: what ``read_rows`` raises; ``bad_request``: a cell can't be used.
    """
    visits = []
    for row in read_rows(path, ("start_frame", "end_frame", "start_s", "identity")):
        start, end = int(row.number("start_frame")), int(row.number("end_frame"))
        if end < start:
            row.refuse("end_frame", "a frame not before start_frame")
        identity = row.text("identity")
        visits.append(
            Visit(
                identity=identity.removeprefix(_STRANGER),
                stranger=identity.startswith(_STRANGER),
                start_frame=start,
                end_frame=end,
                start_s=row.number("start_s"),
            )
        )
    return tuple(visits)


def score_clip(
    visits: Sequence[Visit],
    decisions: Sequence[ClipDecision],
    *,
    phases: Collection[Phase] = (Phase.CONFIRMED,),
    grace: int = 0,
) -> ClipScore:
    """Hold what was said against the truth. ``phases``: what counts as said; ``grace``: frames after a visit that are
    still of it where no other has begun."""
    scores = [VisitScore(visit=visit) for visit in visits]
    by_frame: dict[int, list[ClipDecision]] = defaultdict(list)
    for decision in decisions:
        if decision.phase in phases:
            by_frame[decision.frame].append(decision)
    nobody = 0
    for frame, said in sorted(by_frame.items()):
        nobody += _score_frame(_present(scores, frame, grace), said)
    return ClipScore(visits=tuple(scores), names_of_nobody=nobody)


def _present(scores: Sequence[VisitScore], frame: int, grace: int) -> list[VisitScore]:
    now = [one for one in scores if one.visit.start_frame <= frame <= one.visit.end_frame]
    return now or [one for one in scores if one.visit.end_frame < frame <= one.visit.end_frame + grace]


def _score_frame(present: Sequence[VisitScore], said: Sequence[ClipDecision]) -> int:
    """Give each decision of a frame to a visit; how many names are left that are nobody's."""
    right: list[VisitScore] = []
    wrong = 0
    for decision in sorted(said, key=lambda one: one.seconds):
        if decision.outcome is Outcome.KNOWN:
            meant = [one for one in present if one.visit.identity == decision.person and not one.visit.stranger]
            wrong += not meant
            right += meant
            for one in meant:
                if one.seconds is None:
                    one.seconds, one.faces = max(0.0, decision.seconds - one.visit.start_s), decision.faces
    blamed = sorted((one for one in present if one not in right), key=lambda one: not one.visit.stranger)
    blamed = blamed or list(present[:1])
    for place in range(wrong if blamed else 0):
        blamed[place % len(blamed)].wrong += 1
    unknown = sum(decision.outcome is Outcome.UNKNOWN for decision in said)
    unnamed = [one for one in present if one not in right] or list(present)
    for place in range(unknown if unnamed else 0):
        unnamed[place % len(unnamed)].unknown += 1
    return 0 if blamed else wrong
