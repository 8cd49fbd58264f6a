"""The pictures of one camera that wait: the newest one of each object that a sender follows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privface_backend.bridge.pictures import AnyPicture

MOST_OBJECTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A picture, and when it came."""

    picture: AnyPicture
    arrived: float


class WaitingRoom:
    """Pictures without a source event count as of one object, so that of most cameras one picture waits at most."""

    def __init__(self) -> None:
        self._pictures: Final[dict[str | None, Waiting]] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    def __iter__(self) -> Iterator[Waiting]:
        """Those that wait, the object first whose turn it is."""
        return iter(tuple(self._pictures.values()))

    def put(self, picture: AnyPicture, arrived: float) -> bool:
        """Let a picture wait, in the place of an older one of its object, or of the object that waits for longest
        where there are too many. Whether one had to go."""
        key = picture.source_event_id
        replaced = key in self._pictures
        if not replaced and len(self._pictures) >= MOST_OBJECTS:
            del self._pictures[next(iter(self._pictures))]
            replaced = True
        # An object keeps its turn when it gets a newer picture.
        self._pictures[key] = Waiting(picture=picture, arrived=arrived)
        return replaced

    def has_newer(self, source_event_id: str | None) -> bool:
        """Whether a picture of that object waits."""
        return source_event_id in self._pictures

    def take(self, waiting: Waiting) -> None:
        """Its turn has come, or it goes."""
        del self._pictures[waiting.picture.source_event_id]

    def clear(self) -> int:
        """Let all go; how many there were."""
        count = len(self._pictures)
        self._pictures.clear()
        return count
