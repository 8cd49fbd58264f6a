"""Writes events to the log behind whoever tells them, and none about people who have been forgotten meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from privface_backend.domain.explanations import only_people
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.service import GalleryService
from privface_backend.protocol import Event
from privface_backend.storage.database import StorageThread
from privface_backend.storage.events import EventLog
from privface_backend.tasks import Told, Writer


class EventWriter:
    """Called with events and their reasons by event id; ``wake`` is called each time."""

    def __init__(
        self,
        *,
        gallery: GalleryService,
        index: GalleryIndex,
        storage: StorageThread,
        log: EventLog,
        wake: Callable[[], None],
    ) -> None:
        self._gallery: Final = gallery
        self._index: Final = index
        self._storage: Final = storage
        self._log: Final = log
        self._wake: Final = wake
        self._writer: Final[Writer[Told]] = Writer("events", self._write)

    def __call__(self, events: tuple[Event, ...], reasons: Mapping[str, dict[str, Any]]) -> None:
        self._writer.put(tuple((event, reasons.get(event.event_id)) for event in events))
        self._wake()

    def run(self) -> Coroutine[Any, Any, None]:
        """Write what comes, until cancelled."""
        return self._writer.run()

    async def _write(self, told: Sequence[Told]) -> None:
        await self._gallery.poll()
        await self._storage.call(self._append, told)

    def _append(self, told: Sequence[Told]) -> None:
        # A frame that was looked at while a person was forgotten must not bring them back.
        with self._log.writing():
            # Not before: another process may forget somebody between the look and the writing.
            people = self._gallery.names_now()
            kept = [(event, why) for event, why in told if event.person_id is None or event.person_id in people]
            reasons = {event.event_id: only_people(why, people) for event, why in kept if why is not None}
            self._log.extend((event for event, _ in kept), reasons)
