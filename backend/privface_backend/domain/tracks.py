"""Which faces of one camera's frames are one person's: tracks, from place and embedding together.

A face goes to the track that it fits best. Where embeddings are sure, they decide, so that two people who cross keep
their tracks; where they are not (strong blur, a turned head, no embedding at all), the place decides; across a gap in
time the place says little. Two faces of one frame never share a track.

Frames of a source event (pictures that a sender cut around one object that it follows) have each their own place: there
the event's id speaks instead, for a face that is the only one of its frame. Faces of different source events never
share a track: their places can't be compared, and an embedding alone is not enough to say that two are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.geometry import Box

RECENT: Final = 8
"""How many of a track's newest embeddings a face is compared with, as their mean."""

_ELSEWHERE: Final = -1.0
_SAME_PLACE: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedFace:
    """A face of a frame. ``box``: in pixels of the frame; ``relative``: its r; ``vector``: None if it is unusable;
    ``source_event``: the id of the source event that the frame is of; ``alone``: no other face is in the frame."""

    box: Box
    relative: float = 0.0
    vector: Vector | None = field(default=None, repr=False)
    source_event: str | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRules:
    """How faces are tied together.

    ``gap``: how long a track may go without a face; ``event_gap``: without one of a source event of its own, which
    Frigate shows anew every few seconds; ``likeness``: from a cosine similarity and r to standard deviations
    above what strangers have with each other at that strength; ``alike``: how many of these speak for one person as
    much as against; ``different``: under so many it can't be one person; ``place_fades``: seconds in which the place
    loses most of its say; ``glance``: who appears elsewhere after a longer gap has come again.
    """

    gap: timedelta = timedelta(seconds=8)
    event_gap: timedelta = timedelta(seconds=60)
    likeness: Callable[[float, float], float]
    alike: float = 2.0
    different: float = 0.5
    place_fades: float = 2.0
    glance: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """A track so far. ``recent``: its newest embeddings, each with its r; ``first_at``, ``last_at``: when captured;
    ``source_event``: the one that all its frames are of."""

    id: str
    box: Box
    first_at: datetime
    last_at: datetime
    recent: tuple[tuple[Vector, float], ...] = field(default=(), repr=False)
    source_event: str | None = None

    def followed_by(self, face: PlacedFace, captured_at: datetime) -> Track:
        """The track with one more face, which may have been captured before the last one."""
        newest = captured_at >= self.last_at
        recent = self.recent
        if face.vector is not None:
            seen = (face.vector, face.relative)
            recent = (*recent, seen)[-RECENT:] if newest else (seen, *recent)[:RECENT]
        return Track(
            id=self.id,
            box=face.box if newest else self.box,
            first_at=min(self.first_at, captured_at),
            last_at=max(self.last_at, captured_at),
            recent=recent,
            source_event=self.source_event,
        )

    def apart(self, captured_at: datetime) -> timedelta:
        """How far a moment lies outside of the track's time."""
        return max(captured_at - self.last_at, self.first_at - captured_at, timedelta())


def assign_faces(
    tracks: Sequence[Track], faces: Sequence[PlacedFace], captured_at: datetime, rules: TrackRules
) -> Mapping[int, str]:
    """The track's id for each face (by its index) that belongs to one; each track gets at most one face."""
    fits = [
        (fit, place, track.id)
        for place, face in enumerate(faces)
        for track in tracks
        if (fit := measure_fit(track, face, captured_at, rules)) > 0
    ]
    assigned: dict[int, str] = {}
    for _, place, track_id in sorted(fits, key=lambda found: (-found[0], found[1], found[2])):
        if place not in assigned and track_id not in assigned.values():
            assigned[place] = track_id
    return assigned


def measure_fit(track: Track, face: PlacedFace, captured_at: datetime, rules: TrackRules) -> float:
    """How well a face continues a track: above 0 for one person, below for two; minus infinity: it can't be."""
    apart = track.apart(captured_at)
    gap = rules.gap if track.source_event is None else rules.event_gap
    if apart > gap or face.source_event != track.source_event:
        return float("-inf")
    place = _say_of_place(track, face, apart, rules)
    likeness = _likeness(track, face, rules)
    if likeness is None:
        # Only the place speaks: it must do so clearly.
        return place - 0.5
    if likeness < rules.different:
        return float("-inf")
    return place + min(4.0, likeness - rules.alike)


def _say_of_place(track: Track, face: PlacedFace, apart: timedelta, rules: TrackRules) -> float:
    """What the place says, or the source event in its stead: from -2 to 2; minus infinity where it can't be."""
    if track.source_event is not None and face.alone:
        return _SAME_PLACE
    seconds = apart.total_seconds()
    moved = _place(track.box, face.box, seconds)
    if apart >= rules.glance and moved < _ELSEWHERE:
        return float("-inf")
    return moved * float(np.exp(-seconds / rules.place_fades))


def _place(before: Box, now: Box, seconds: float) -> float:
    """From 2 (the same place) over 0 to -2 (farther than a person walks in that time, or of another size)."""
    width = max(1.0, min(before.width, now.width))
    across = (now.x + now.width / 2) - (before.x + before.width / 2)
    down = (now.y + now.height / 2) - (before.y + before.height / 2)
    reach = 0.5 + 3.0 * seconds
    moved = float(np.hypot(across, down)) / width / reach
    grown = abs(float(np.log(max(1.0, now.width) / max(1.0, before.width)))) / (0.3 + 0.5 * seconds)
    return max(-_SAME_PLACE, _SAME_PLACE - _SAME_PLACE * max(moved, grown))


def _likeness(track: Track, face: PlacedFace, rules: TrackRules) -> float | None:
    if face.vector is None or not track.recent:
        return None
    mean = normalized(np.mean([vector for vector, _ in track.recent], axis=0))
    strength = max(face.relative, float(np.mean([relative for _, relative in track.recent])))
    return rules.likeness(float(mean @ face.vector), strength)
