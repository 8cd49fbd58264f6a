"""What a person may ask for: to see their data, to agree or not any more; and the receipts of who was forgotten."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from privface_backend.audit.acts import note_subject
from privface_backend.domain.consent import Consent
from privface_backend.domain.people import Person
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.export import PersonExport
from privface_backend.gallery.service import GalleryService, no_person
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import StorageThread
from privface_backend.storage.erasures import Erasures, Receipt
from privface_backend.storage.events import EventLog


class Records:
    """Exports, consents and receipts."""

    def __init__(
        self,
        *,
        gallery: GalleryService,
        store: GalleryStore,
        storage: StorageThread,
        events: EventLog,
        erasures: Erasures,
        clock: Callable[[], datetime],
    ) -> None:
        self._gallery: Final = gallery
        self._storage: Final = storage
        self._erasures: Final = erasures
        self._clock: Final = clock
        self._export: Final = PersonExport(store, events, clock)

    async def export(self, person_id: str, *, vectors: bool = False) -> dict[str, Any]:
        """All that is kept of a person, as plain JSON; ``vectors``: the templates' numbers, too.

        Raises:
            PrivFaceError: ``person_not_found``.
        """
        document = await self._storage.call(self._export.gather, person_id, vectors=vectors)
        if document is None:
            raise no_person()
        note_subject(person_id)
        return document

    async def set_consent(self, person_id: str, given_on: date, note: str = "") -> Person:
        """Put on record that a person agreed, in the place of an older consent, or of one that was taken back.

        Raises:
            PrivFaceError: ``person_not_found``, ``storage_full``, ``storage_failed``.
        """
        return await self._gallery.set_consent(person_id, Consent(given_on=given_on, note=note))

    async def withdraw_consent(self, person_id: str) -> Person:
        """Put on record that a person agrees no more: no face of theirs is enrolled from then on.

        Raises:
            PrivFaceError: ``person_not_found``; ``consent_missing``: none was on record; ``storage_full``,
                ``storage_failed``.
        """
        person = await self._gallery.person(person_id)
        if person.consent is None:
            raise PrivFaceError(
                ErrorCode.CONSENT_MISSING,
                "No consent of this person is on record that could be taken back.",
                allowed="forgetting them: privface people forget",
            )
        if not person.consent.holds:
            return person
        consent = replace(person.consent, withdrawn_at=self._clock())
        return await self._gallery.set_consent(person.id, consent)

    async def receipt(self, person_id: str) -> Receipt | None:
        """The receipt of somebody who was forgotten."""
        return await self._storage.call(self._erasures.get, person_id)

    async def receipts(self) -> tuple[Receipt, ...]:
        """Everybody's who was forgotten, oldest first."""
        return await self._storage.call(self._erasures.list)

    async def release(self, picture_digests: Collection[str]) -> int:
        """Let pictures be enrolled from a directory again. How many were held back.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        return await self._storage.call(self._erasures.release, picture_digests)

    async def uncleared(self) -> tuple[str, ...]:
        """The ids of people whom the service has still to take out of its memory and off the broker."""
        return await self._storage.call(self._erasures.uncleared)

    async def clear(self, person_id: str, *, retained: int = 0, waiting: int = 0) -> None:
        """Note that this was done. ``retained``: how many retained messages were cleared; ``waiting``: how many that
        waited to be sent were dropped.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        counts = {"retained": retained, "waiting": waiting}
        await self._storage.call(self._erasures.clear, person_id, counts, self._clock())
