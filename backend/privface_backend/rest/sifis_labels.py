"""What a request of the ancestor's routes gathers over its frames, and the two shapes that it is answered in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from privface_backend.pipeline.identification import JudgedFace
from privface_backend.pipeline.intake import Seen
from privface_backend.protocol import Outcome, Privacy, Requestor

_NO_SLASHES: Final = str.maketrans("/\\", "__")


@dataclass(slots=True, kw_only=True)
class Sightings:
    """The labels by frame, each person once; with ``detailed``, all frames that have a face too.

    ``database_path``: the folder that the labels' paths are said to lie in.
    """

    file: str
    database_path: str
    detailed: bool
    frames_total: int = 0
    frames_with_faces: int = 0
    _labels: dict[int, str] = field(default_factory=dict, repr=False)
    _people: set[str] = field(default_factory=set, repr=False)
    _stranger: bool = False
    _frames: list[dict[str, object]] = field(default_factory=list, repr=False)

    def take(self, seen: Seen) -> tuple[JudgedFace, ...]:
        """Take a frame in; the faces in it that are news: a person's first, the first stranger's."""
        judgement = seen.timed.judgement
        self.frames_total += 1
        if not judgement.faces:
            return ()
        self.frames_with_faces += 1
        if self.detailed:
            shown = judgement.to_identification(self.file, seen.frame, seen.timed.latency_ms)
            self._frames.append(shown.to_dict())
        return tuple(face for face in judgement.faces if self._is_news(face, seen.frame))

    def _is_news(self, face: JudgedFace, frame: int) -> bool:
        result = face.result
        if result.outcome is Outcome.UNKNOWN:
            first, self._stranger = not self._stranger, True
            return first
        if result.outcome is not Outcome.KNOWN or result.person_id is None or result.person_id in self._people:
            return False
        self._people.add(result.person_id)
        # One frame holds one label in this shape: a second person of the same frame takes the next free number.
        while frame in self._labels:
            frame += 1
        self._labels[frame] = self._path(face)
        return True

    def _path(self, face: JudgedFace) -> str:
        picture = face.source or f"{(face.result.person or '').translate(_NO_SLASHES)}.jpg"
        return f"{self.database_path.rstrip('/')}/{picture}"

    def labels(self) -> dict[str, str]:
        """The ancestor's answer: the path of the matched picture by the frame where the person was first seen."""
        return {str(frame): self._labels[frame] for frame in sorted(self._labels)}

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
