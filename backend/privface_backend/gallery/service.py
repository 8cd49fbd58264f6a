"""The people as the rest of PrivFace sees them: the index answers, the store keeps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import numpy as np

from privface_backend.audit.acts import note_subject
from privface_backend.domain.consent import Consent, check_consent
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.people import EnrolledFace, Person, clean_name, same_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.changes import Changes
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.forgetting import Forgetting
from privface_backend.gallery.held_back import pictures_of
from privface_backend.gallery.index import GallerySnapshot
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import StorageThread
from privface_backend.storage.erasures import Erasures, Receipt
from privface_backend.storage.events import EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryStatistics:
    """How much is enrolled. ``stale_faces`` have no templates of a contract in use: they must be enrolled again.
    ``contract``: of the backend's own engines, where it has some, else of user sides."""

    people: int
    faces: int
    templates: int
    stale_faces: int
    contract: str | None
    contracts: Mapping[str, int]

    def to_dict(self) -> dict[str, object]:
        return {
            "people": self.people,
            "faces": self.faces,
            "templates": self.templates,
            "stale_faces": self.stale_faces,
            "contract": self.contract,
            "contracts": dict(self.contracts),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentRules:
    """``require_consent``: nobody is enrolled without one on record; ``folder``: the directory that is watched."""

    require_consent: bool = False
    folder: Path | None = None


class GalleryService:
    """Changes the gallery and tells who listens. Questions are answered from the index, without the disk."""

    def __init__(
        self,
        *,
        store: GalleryStore,
        storage: StorageThread,
        indexes: GalleryIndexes,
        clock: Callable[[], datetime],
        events: EventLog | None = None,
        erasures: Erasures | None = None,
        clear_caches: Callable[[], int] = lambda: 0,
        rules: EnrollmentRules | None = None,
    ) -> None:
        self._store: Final = store
        self._storage: Final = storage
        self.indexes: Final = indexes
        self._clock: Final = clock
        self._erasures: Final = erasures
        self.rules: Final = rules or EnrollmentRules()
        self._forgetting: Final = Forgetting(
            store=store, events=events, erasures=erasures, clear_caches=clear_caches, clock=clock
        )
        self.changes: Final = Changes(indexes)

    @property
    def snapshot(self) -> GallerySnapshot:
        """The gallery now, with the templates of the main index."""
        return self.indexes.main.snapshot

    async def use_contract(self, contract: Contract) -> None:
        """Answer from the templates of ``contract`` from now on: the engines in use, or user sides, make these."""
        await self._storage.call(self.indexes.of(contract.key).use_contract, self._store, contract)
        self._tell()

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on the event loop after each change; it must return at once. Returns how to stop it."""
        return self.changes.on_people(callback)

    async def poll(self) -> bool:
        """Take in what other processes changed. Whether there was something.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        changed = await self._storage.call(self._refresh)
        self._tell()
        return changed

    async def _load(self) -> None:
        if not self.snapshot.is_loaded:
            await self.poll()

    async def people(self) -> tuple[Person, ...]:
        """All, oldest first."""
        await self._load()
        return self.snapshot.people

    async def person(self, id_or_name: str) -> Person:
        """The person of that id or, case and the form of accents apart, that name.

        Raises:
            PrivFaceError: ``person_not_found``; ``conflict``: several have that name.
        """
        for person in await self.people():
            if person.id == id_or_name:
                return person
        named = self.people_named(id_or_name)
        if len(named) > 1:
            raise PrivFaceError(
                ErrorCode.CONFLICT,
                "Several people have that name: give an id.",
                details={"person_ids": [person.id for person in named]},
            )
        if not named:
            raise no_person()
        return named[0]

    def people_named(self, name: str) -> tuple[Person, ...]:
        """Everybody of that name, oldest first."""
        wanted = " ".join(name.split())
        return tuple(person for person in self.snapshot.people if same_name(person.name, wanted))

    async def create_person(self, name: str, *, allow_duplicate: bool = False) -> Person:
        """Add a person without faces.

        Raises:
            PrivFaceError: ``bad_name``, ``person_exists``, ``storage_full``, ``storage_failed``.
        """
        person = self._new_person(name)
        added = await self._storage.call(self._add_person, person, allow_duplicate)
        self._tell()
        if not added:
            raise person_exists(self.people_named(person.name))
        note_subject(person.id)
        return person

    async def ensure_person(self, name: str) -> Person:
        """The (oldest) person of that name, added if there is none.

        Raises:
            PrivFaceError: ``bad_name``, ``storage_full``, ``storage_failed``.
        """
        await self._load()
        person = self._new_person(name)
        if not (named := self.people_named(person.name)):
            added = await self._storage.call(self._add_person, person, False)
            self._tell()
            named = (person,) if added else self.people_named(person.name)
        note_subject(named[0].id)
        return named[0]

    async def rename(self, person_id: str, name: str, *, allow_duplicate: bool = False) -> Person:
        """Give a person another name.

        Raises:
            PrivFaceError: ``bad_name``, ``person_not_found``, ``person_exists``, ``storage_full``, ``storage_failed``.
        """
        await self._load()
        note_subject(person_id)
        cleaned = clean_name(name)
        others = tuple(person for person in self.people_named(cleaned) if person.id != person_id)
        if others and not allow_duplicate:
            raise person_exists(others)
        renamed = await self._storage.call(self._rename, person_id, cleaned)
        self._tell()
        if not renamed:
            raise no_person()
        return await self.person(person_id)

    async def forget(self, person_id: str) -> Receipt:
        """Remove a person, all that names them or is about them, and overwrite what that held on the disk.

        Their pictures in directories are held back: they are not enrolled from there again.

        Raises:
            PrivFaceError: ``person_not_found``, ``storage_full``, ``storage_failed``.
        """
        await self._load()
        name, folder = self.snapshot.names.get(person_id), self.rules.folder
        lying = frozenset() if name is None or folder is None else await asyncio.to_thread(pictures_of, folder, name)
        receipt = await self._storage.call(self._forget, person_id, lying)
        self._tell()
        if receipt is None:
            raise no_person()
        note_subject(person_id)
        return receipt

    async def held_back(self) -> frozenset[str]:
        """The pictures, by their files' sha256, that are not to be enrolled from a directory."""
        return frozenset() if self._erasures is None else await self._storage.call(self._erasures.held_back)

    def names_now(self) -> Mapping[str, str]:
        """Who is enrolled now, by id; asked on the storage's thread."""
        self.indexes.refresh_if_changed(self._store)
        return self.snapshot.names

    def today(self) -> date:
        """The day that it is here."""
        return self._clock().astimezone().date()

    async def set_consent(self, person_id: str, consent: Consent) -> Person:
        """Put a consent on record, in the place of an older one.

        Raises:
            PrivFaceError: ``person_not_found``, ``storage_full``, ``storage_failed``.
        """
        put = await self._storage.call(self._set_consent, person_id, consent)
        self._tell()
        if not put:
            raise no_person()
        note_subject(person_id)
        return await self.person(person_id)

    def check_consent(self, name: str) -> None:
        """Refuse to enroll a face under a name where the one of that name didn't agree, or nobody has it yet and the
        settings ask for a consent.

        Raises:
            PrivFaceError: ``consent_missing``.
        """
        named = self.people_named(name)
        check_consent(named[0].consent if named else None, required=self.rules.require_consent)

    async def faces(self, person_id: str) -> tuple[EnrolledFace, ...]:
        """A person's faces, oldest first.

        Raises:
            PrivFaceError: ``person_not_found``.
        """
        await self._load()
        self._require(person_id)
        note_subject(person_id)
        return tuple(face for face in self.snapshot.faces if face.person_id == person_id)

    @property
    def sealed_faces(self) -> frozenset[str]:
        """The ids of the faces that have templates of a user side's contract in use."""
        return self.indexes.sealed_faces

    def is_enrolled(self, person_id: str, picture_digest: str) -> bool:
        """Whether the person has a face from this picture, with templates of the contract in use."""
        return bool(picture_digest) and (person_id, picture_digest) in self.snapshot.pictures

    async def add_face(
        self,
        person_id: str,
        represented: RepresentedFace,
        *,
        source: str = "",
        picture_digest: str = "",
        folder: str = "",
    ) -> EnrolledFace:
        """Enroll a face. A picture that is enrolled under another contract gets this one's templates as well.

        Raises:
            PrivFaceError: ``person_not_found``, ``consent_missing``, ``contract_mismatch``, ``conflict`` (the picture
                is enrolled already), ``engine_failed`` (not usable as templates), ``storage_full``, ``storage_failed``.
        """
        await self._load()
        self._check(represented)
        check_consent(self._require(person_id).consent, required=self.rules.require_consent)
        note_subject(person_id)
        draft = EnrolledFace(
            id=str(uuid.uuid4()),
            person_id=person_id,
            created_at=self._clock(),
            # The name of an uploaded file may hold what no UTF-8 can.
            source=source.encode("utf-8", "replace").decode("utf-8"),
            picture_digest=picture_digest,
            folder=folder,
        )
        face = await self._storage.call(self._add_face, draft, represented)
        self._tell()
        return face

    async def remove_face(self, face_id: str) -> None:
        """Remove a face and its templates.

        Raises:
            PrivFaceError: ``face_not_found``, ``storage_full``, ``storage_failed``.
        """
        note_subject(next((face.person_id for face in self.snapshot.faces if face.id == face_id), None))
        removed = await self._storage.call(self._remove_face, face_id)
        self._tell()
        if not removed:
            raise PrivFaceError(ErrorCode.FACE_NOT_FOUND, "There is no such face.")

    async def statistics(self) -> GalleryStatistics:
        """How much is enrolled, and for which contracts."""
        await self._load()
        now, usable, contract = self.snapshot, self.indexes.usable_faces, self.indexes.main.contract
        return GalleryStatistics(
            people=len(now.people),
            faces=len(now.faces),
            templates=self.indexes.templates,
            stale_faces=sum(face.id not in usable for face in now.faces),
            contract=None if contract is None else contract.key,
            contracts=now.contracts,
        )

    # What follows up to _tell runs on the storage's thread, store and index in one go: a caller that is cancelled
    # can't leave one without the other.

    def _add_person(self, person: Person, allow_duplicate: bool) -> bool:
        added = self._store.add_person(person, allow_duplicate=allow_duplicate)
        self._refresh()
        return added

    def _rename(self, person_id: str, name: str) -> bool:
        renamed = self._store.rename_person(person_id, name)
        self._refresh()
        return renamed

    def _forget(self, person_id: str, lying: frozenset[str]) -> Receipt | None:
        receipt = self._forgetting.forget(person_id, lying)
        self._refresh()
        return receipt

    def _set_consent(self, person_id: str, consent: Consent) -> bool:
        put = self._store.set_consent(person_id, consent)
        self._refresh()
        return put

    def _add_face(self, draft: EnrolledFace, represented: RepresentedFace) -> EnrolledFace:
        self._refresh()
        picture = (draft.person_id, draft.picture_digest)
        known = (known for known in self.snapshot.faces if (known.person_id, known.picture_digest) == picture)
        face = next(known, draft) if draft.picture_digest else draft
        vectors = dict(reversed(represented.vectors))
        templates = tuple(
            Template(face_id=face.id, person_id=face.person_id, level=level, vector=vectors[level])
            for level in sorted(vectors, key=lambda level: level.relative)
        )
        self.indexes.add_face(self._store, face, represented.contract, templates)
        return face

    def _remove_face(self, face_id: str) -> bool:
        removed = self._store.remove_face(face_id)
        self._refresh()
        return removed

    def _refresh(self) -> bool:
        if self._erasures is not None:
            self._erasures.finish_others(self._clock())
        return self.indexes.refresh_if_changed(self._store)

    def _tell(self) -> None:
        self.changes.tell()

    def _new_person(self, name: str) -> Person:
        return Person(id=str(uuid.uuid4()), name=clean_name(name), created_at=self._clock())

    def _require(self, person_id: str) -> Person:
        for person in self.snapshot.people:
            if person.id == person_id:
                return person
        raise no_person()

    def _check(self, represented: RepresentedFace) -> None:
        contract = self.indexes.of(represented.contract.key).contract
        if contract is None or represented.contract != contract:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "The face was represented by other engines than the gallery's.",
                allowed=None if contract is None else contract.key,
            )
        shapes = {vector.shape for _, vector in represented.vectors}
        if shapes != {(contract.dimension,)} or not all(np.isfinite(vector).all() for _, vector in represented.vectors):
            raise PrivFaceError(ErrorCode.ENGINE_FAILED, "The recognizer gave no usable template.")


def no_person() -> PrivFaceError:
    """The error ``person_not_found``."""
    return PrivFaceError(ErrorCode.PERSON_NOT_FOUND, "There is no such person.")


def person_exists(people: tuple[Person, ...]) -> PrivFaceError:
    """The error of that code, which names the id of the first of ``people``."""
    details = {"person_id": people[0].id} if people else {}
    return PrivFaceError(ErrorCode.PERSON_EXISTS, "There is a person of that name already.", details=details)
