"""What a question gathers over its frames, and the shapes that it is answered in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from privface_backend.domain.decision import Ranked
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.recording import Seen
from privface_backend.protocol import Outcome, Privacy, Requestor

_NO_SLASHES: Final = str.maketrans("/\\", "__")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """Who a visit is of, and the path of the picture that they were enrolled with."""

    frame: int
    person_id: str
    path: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Sightings:
    """The labels by frame, each person once; with ``detailed``, all frames that have a face too.

    ``database_path``: the folder that the labels' paths are said to lie in.
    """

    file: str
    database_path: str
    detailed: bool
    snapshot: GallerySnapshot = field(repr=False)
    frames_total: int = 0
    frames_with_faces: int = 0
    _unknown: set[str] = field(default_factory=set, repr=False)
    _since_told: dict[str, None] = field(default_factory=dict, repr=False)
    _labels: dict[str, _Label] = field(default_factory=dict, repr=False)
    _frames: list[dict[str, object]] = field(default_factory=list, repr=False)

    def take(self, seen: Seen) -> None:
        """Take a frame in, and what it made of visits."""
        judgement = seen.timed.judgement
        self.frames_total += 1
        self.frames_with_faces += bool(judgement.faces)
        if judgement.faces and self.detailed:
            shown = judgement.to_identification(self.file, seen.frame, seen.timed.latency_ms)
            self._frames.append(shown.to_dict())
        self.follow(seen.updates)
        for update in seen.updates:
            # Time that passed makes updates too, of visits without a face in this frame.
            if update.live.last_seen == seen.card.captured_at:
                self._since_told[update.visit_id] = None

    def follow(self, updates: Sequence[VisitUpdate]) -> None:
        """Take what is said of visits: a name, another one, or that it was none."""
        for update in updates:
            if update.statement is None:
                continue
            self._labels.pop(update.visit_id, None)
            self._unknown.discard(update.visit_id)
            if update.statement.outcome is Outcome.UNKNOWN:
                self._unknown.add(update.visit_id)
            if (person_id := update.statement.person_id) is not None:
                path = self._path(person_id, update.decision.candidate)
                frame = update.live.first_frame
                self._labels[update.visit_id] = _Label(frame=frame, person_id=person_id, path=path)

    def _path(self, person_id: str, nearest: Ranked | None) -> str:
        picture = None if nearest is None else self.snapshot.sources.get(nearest.face_id)
        name = self.snapshot.names.get(person_id, "").translate(_NO_SLASHES)
        return f"{self.database_path.rstrip('/')}/{picture or f'{name}.jpg'}"

    def labels(self) -> dict[str, str]:
        """The ancestor's answer: the path of the matched picture by the frame where the person was first seen."""
        found: dict[int, str] = {}
        people: set[str] = set()
        for label in sorted(self._labels.values(), key=lambda label: label.frame):
            if label.person_id in people:
                continue
            people.add(label.person_id)
            # One frame holds one label in this shape: a second person of the same frame takes the next free number.
            frame = label.frame
            while frame in found:
                frame += 1
            found[frame] = label.path
        return {str(frame): found[frame] for frame in sorted(found)}

    def people(self) -> frozenset[str]:
        """The ids of those whom the labels name."""
        return frozenset(label.person_id for label in self._labels.values())

    @property
    def unknown(self) -> int:
        """How many visits there were of people whom nobody enrolled."""
        return len(self._unknown)

    def take_recent_labels(self) -> list[str]:
        """The paths of those, each once, whose faces were seen since this was last asked."""
        found = [self._labels[visit].path for visit in self._since_told if visit in self._labels]
        self._since_told.clear()
        return list(dict.fromkeys(found))

    def detail(self, *, request_id: str, requestor: Requestor, privacy: Privacy) -> dict[str, object]:
        """The answer to ``?detail=1``."""
        return {
            "labels": self.labels(),
            "frames": self._frames,
            "request_id": request_id,
            "requestor": requestor.to_dict(),
            "privacy": privacy.to_dict(),
            "frames_total": self.frames_total,
            "frames_with_faces": self.frames_with_faces,
        }
