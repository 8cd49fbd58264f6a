"""How wide faces are before each camera, from the explanations in the event log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

from privface_backend.storage.database import StorageThread
from privface_backend.storage.events import EventLog

_EVENTS: Final = 50
_LEAST: Final = 3


class LoggedFaceWidths:
    """The median over the faces of a camera's last 50 events; none where fewer than three faces are told of."""

    def __init__(self, events: EventLog, storage: StorageThread) -> None:
        self._events: Final = events
        self._storage: Final = storage
        self._known: Final[dict[str, tuple[str, float | None]]] = {}

    async def typical(self, camera: str) -> float | None:
        """The usual width of a face before a camera, in pixels of a frame at working size.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        return await self._storage.call(self._look, camera)

    def _look(self, camera: str) -> float | None:
        newest = self._events.list(camera=camera, limit=1)
        if not newest:
            self._known.pop(camera, None)
            return None
        event_id, known = newest[0].event_id, self._known.get(camera)
        if known is None or known[0] != event_id:
            widths = [
                width
                for event in self._events.list(camera=camera, limit=_EVENTS)
                for width in _widths(self._events.explanation(event.event_id) or {})
            ]
            known = self._known[camera] = (event_id, median(widths) if len(widths) >= _LEAST else None)
        return known[1]


def _widths(explanation: Mapping[str, Any]) -> Iterator[float]:
    for face in explanation.get("faces", ()):
        width = face.get("quality", {}).get("width")
        if isinstance(width, int | float) and math.isfinite(width) and width > 0:
            yield float(width)
