"""The frames of a clip as the engines see them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from privface_backend.domain.geometry import Size
from privface_backend.domain.quality import FaceQuality, QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.sightings import Looker, Sighting, pack_sightings, to_sighting, unpack_sightings
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Look, ObservedFace, Stopwatch
from privface_backend.plugins.ports import EngineContext, Source
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard, Privacy, Reason

START: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""When every clip begins."""
CAMERA: Final = "clip"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipLook:
    """What was seen in one frame. ``seconds``: since the first."""

    frame: int
    seconds: float
    look: Look

    @property
    def captured_at(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


def look_at_clip(path: Path, looker: Looker, privacy: Privacy, bar: QualityBar) -> list[ClipLook]:
    """Every frame, anonymized as ``privacy`` says. Faces under ``bar`` have no vector.

    Raises:
        PrivFaceError: ``picture_unreadable``: the file can't be read; what the source of videos raises.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, f"A file can't be read: {error.strerror}.") from None
    key = looker.key("clip", f"{privacy.method}:{privacy.parameter}", sha256(data).hexdigest())
    entry = looker.cache.get(key)
    if entry is None:
        frames, at, sightings = asyncio.run(_look_through(data, looker, privacy))
        entry = pack_sightings(sightings, {"frames": frames, "at": at})
        looker.cache.put(key, entry)
    faces: list[list[ObservedFace]] = [[] for _ in entry.notes["frames"]]
    for place, sighting in zip(entry.notes["at"], unpack_sightings(entry), strict=True):
        faces[place].append(_observed(sighting, bar))
    return [
        ClipLook(frame=place, seconds=seconds, look=Look(faces=tuple(found), size=Size(*size), privacy=privacy))
        for place, ((seconds, *size), found) in enumerate(zip(entry.notes["frames"], faces, strict=True))
    ]


def _observed(sighting: Sighting, bar: QualityBar) -> ObservedFace:
    if sighting.face is None:
        raise ValueError("a frame's sighting has a face")
    reason = sighting.judge(bar)
    return ObservedFace(
        face=sighting.face,
        level=sighting.level,
        reason=reason,
        quality=sighting.quality or FaceQuality(width=sighting.face.width, detection=sighting.face.score, turn=0.0),
        vector=sighting.vector if reason is Reason.OK else None,
    )


async def _look_through(
    data: bytes, looker: Looker, privacy: Privacy
) -> tuple[list[tuple[float, int, int]], list[int], list[Sighting]]:
    """Of each frame its second, width and height; of each face the frame and what was seen."""
    options = {"data": data, "card": FrameCard(camera=CAMERA, captured_at=START), "max_bytes": len(data)}
    context = EngineContext(weights=WeightsStore(Path()))
    source: Source = Registry().create(EngineKind.SOURCE, "video", context, options)
    frames: list[tuple[float, int, int]] = []
    at: list[int] = []
    sightings: list[Sighting] = []
    async with aclosing(source.frames()) as stream:
        async for frame in stream:
            watch = Stopwatch()
            look = looker.process.look(looker.process.anonymize(frame.pixels, None, privacy, watch), watch)
            found = [to_sighting(face) for face in look.faces if face.vector is not None]
            at += [len(frames)] * len(found)
            sightings += found
            seconds = (frame.card.captured_at - START).total_seconds()
            frames.append((round(seconds, 6), look.size.width, look.size.height))
    return frames, at, sightings
