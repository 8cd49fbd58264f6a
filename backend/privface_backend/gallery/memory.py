"""What is remembered of visits, as the rest of PrivFace sees it: strangers who come back, and who a visit was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, ParamSpec, TypeVar

from privface_backend.audit.acts import note_subject
from privface_backend.domain.memory import KeptVisit, Stranger
from privface_backend.domain.people import Person, clean_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.corrections import Correction, Corrections
from privface_backend.gallery.service import GalleryService, no_person
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import StorageThread
from privface_backend.storage.events import EventLog

P = ParamSpec("P")
T = TypeVar("T")


class MemoryService:
    """Keeps visits and strangers for ``keeping`` (0: not at all), and makes people, faces and negative examples of
    them. What it changes is in the index's snapshot when a method returns."""

    def __init__(
        self,
        *,
        gallery: GalleryService,
        store: GalleryStore,
        storage: StorageThread,
        events: EventLog,
        clock: Callable[[], datetime],
        keeping: timedelta,
    ) -> None:
        self._gallery: Final = gallery
        self._changes: Final = gallery.changes
        self._store: Final = store
        self._memory: Final = store.memory
        self._storage: Final = storage
        self._indexes: Final = gallery.indexes
        self._events: Final = events
        self._clock: Final = clock
        self._keeping: Final = keeping
        self._corrections: Final = Corrections(
            store, gallery.indexes, clock, require_consent=gallery.rules.require_consent
        )

    @property
    def keeps(self) -> bool:
        """Whether anything is kept of a visit."""
        return self._keeping > timedelta(0)

    @property
    def hours(self) -> float:
        """For how long that is."""
        return self._keeping / timedelta(hours=1)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on the event loop after each change of strangers or negative examples; it must return at
        once. Returns how to stop it."""
        return self._changes.on_memory(callback)

    async def keep_visit(self, visit: KeptVisit) -> bool:
        """Keep a visit, in the place of an older one of its id. False: it was not, since nothing is to be kept, or the
        person or stranger it names is gone.

        Raises:
            PrivFaceError: ``engine_failed``, ``storage_full``, ``storage_failed``.
        """
        return self.keeps and await self._storage.call(self._memory.keep_visit, visit)

    async def next_stranger_number(self) -> int:
        """A number that no stranger has had, or will be given again.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        return await self._storage.call(self._memory.next_stranger_number)

    async def last_stranger_number(self) -> int:
        """The highest number that was given to a stranger, or taken for one; 0: none was.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        return await self._storage.call(self._memory.last_stranger_number)

    async def put_stranger(self, stranger: Stranger, *, new: bool = False) -> bool:
        """Put a stranger in the place of an older one of the id, or with ``new`` there where there is none. False:
        nothing is to be kept, or they are not new and have been named, forgotten or purged meanwhile.

        Raises:
            PrivFaceError: ``conflict``, ``engine_failed``, ``storage_full``, ``storage_failed``.
        """
        put = self.keeps and await self._storage.call(self._indexes.put_stranger, self._store, stranger, new=new)
        self._changes.tell()
        return put

    def remembered(self, contract: str) -> tuple[Stranger, ...]:
        """Those of a contract in use, by its key, without the disk."""
        strangers = self._indexes.of(contract).snapshot.strangers
        return tuple(stranger for stranger in strangers if stranger.contract == contract)

    async def strangers(self) -> tuple[Stranger, ...]:
        """All, of whatever contract, the lowest number first."""
        return tuple(await self._storage.call(self._memory.strangers))

    async def stranger(self, id_or_number: str) -> Stranger:
        """The stranger of that id or number.

        Raises:
            PrivFaceError: ``stranger_not_found``.
        """
        return await self._storage.call(self._corrections.find_stranger, id_or_number)

    async def name_stranger(self, stranger_id: str, *, name: str | None = None, person_id: str | None = None) -> Person:
        """Make a stranger a person: a new one of that name, or the one of that id, who gets their faces and visits.

        Raises:
            PrivFaceError: ``bad_request`` (both, or neither), ``stranger_not_found``, ``person_not_found``,
                ``person_exists``, ``bad_name``, ``contract_mismatch``, ``storage_full``, ``storage_failed``.
        """
        if (name is None) == (person_id is None):
            raise PrivFaceError(
                ErrorCode.BAD_REQUEST, "Say who the stranger is.", allowed="either a name or a person's id"
            )
        cleaned = None if name is None else clean_name(name)
        adopted = await self._change(self._corrections.name_stranger, stranger_id, cleaned, person_id)
        note_subject(adopted)
        return await self._gallery.person(adopted)

    async def ignore_stranger(self, stranger_id: str) -> Person:
        """Make a stranger a person whom nobody is told of.

        Raises:
            PrivFaceError: ``stranger_not_found``, ``contract_mismatch``, ``storage_full``, ``storage_failed``.
        """
        ignored = await self._change(self._corrections.ignore_stranger, stranger_id)
        note_subject(ignored)
        return await self._gallery.person(ignored)

    async def forget_stranger(self, stranger_id: str) -> None:
        """Remove a stranger and their visits, and overwrite what they held on the disk.

        Raises:
            PrivFaceError: ``stranger_not_found``, ``storage_full``, ``storage_failed``.
        """
        await self._change(self._corrections.forget_stranger, stranger_id)

    async def set_ignored(self, person_id: str, ignored: bool) -> Person:
        """Tell nobody of a person any more, or do again.

        Raises:
            PrivFaceError: ``person_not_found``, ``storage_full``, ``storage_failed``.
        """
        if not await self._change(self._store.set_ignored, person_id, ignored):
            raise no_person()
        note_subject(person_id)
        return await self._gallery.person(person_id)

    async def correct(self, visit_id: str, person_id: str | None, *, named: Iterable[str | None] = ()) -> Correction:
        """Say who a visit really was; None: only that it was not who was named (``named``: and not these either).

        Its faces become a negative example of those who were named, and a face of the person who it was. Said again,
        it takes the place of what was said before.

        Raises:
            PrivFaceError: ``visit_not_found``: it is not kept, or no longer; ``person_not_found``,
                ``contract_mismatch``, ``storage_full``, ``storage_failed``.
        """
        others = frozenset(other for other in named if other is not None)
        correction = await self._change(self._corrections.correct, visit_id, person_id, others)
        for subject in (person_id, *others):
            note_subject(subject)
        return correction

    async def correct_event(self, event_id: str, person_id: str | None) -> Correction:
        """Say who an event's visit really was.

        Raises:
            PrivFaceError: ``event_not_found``, or as ``correct``.
        """
        event = await self._storage.call(self._events.get, event_id)
        if event is None:
            raise PrivFaceError(ErrorCode.EVENT_NOT_FOUND, "There is no such event, or no longer.")
        return await self.correct(event.visit_id, person_id, named=(event.person_id,))

    async def forget_negatives(self, person_id: str) -> int:
        """Remove all negative examples of a person. How many there were.

        Raises:
            PrivFaceError: ``person_not_found``, ``storage_full``, ``storage_failed``.
        """
        if all(person.id != person_id for person in await self._gallery.people()):
            raise no_person()
        return await self._change(self._memory.remove_negatives, person_id)

    async def purge(self) -> int:
        """Remove the visits and strangers whose time is over. How many there were.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        return await self._change(self._memory.purge, self._clock() - self._keeping)

    def count_outdated(self) -> int:
        """How many visits and strangers have been kept for too long. On the storage's thread."""
        before = self._clock() - self._keeping
        seen = [visit.last_seen for visit in self._memory.visits()]
        seen += [stranger.last_seen for stranger in self._memory.strangers()]
        return sum(moment < before for moment in seen)

    async def _change(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        done = await self._storage.call(self._run, partial(function, *args, **kwargs))
        self._changes.tell()
        return done

    def _run(self, function: Callable[[], T]) -> T:
        # On the storage's thread, store and indexes in one go: a caller that is cancelled can't leave one without the
        # other.
        self._indexes.refresh_if_changed(self._store)
        done = function()
        self._indexes.refresh_if_changed(self._store)
        return done
