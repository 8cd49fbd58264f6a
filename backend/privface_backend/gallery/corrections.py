"""What becomes of visits and strangers when somebody says who they were."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from privface_backend.domain.consent import check_consent
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.memory import KeptVisit, NegativeExample, RememberedFace, Stranger
from privface_backend.domain.people import EnrolledFace, Person, same_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.gallery.service import no_person, person_exists
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import ErrorCode

_NEGATIVES: Final = uuid.UUID("7f0a1d3e-52c4-4b0e-9a55-3f5d0a9c6e21")
"""The namespace of negative examples' ids: a visit says of each person at most once that it isn't they."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What became of a visit. ``denied``: the people that it has been made a negative example of; ``face_id``: the
    face of ``person_id`` that was made of it."""

    visit_id: str
    denied: tuple[str, ...]
    person_id: str | None
    face_id: str | None

    def to_dict(self) -> dict[str, object]:
        return {
            "visit_id": self.visit_id,
            "denied": list(self.denied),
            "person_id": self.person_id,
            "face_id": self.face_id,
        }


class Corrections:
    """Changes the store, each time whole or not at all. On the storage's thread, with the indexes as the store is."""

    def __init__(
        self,
        store: GalleryStore,
        indexes: GalleryIndexes,
        clock: Callable[[], datetime],
        *,
        require_consent: bool = False,
    ) -> None:
        self._store: Final = store
        self._memory: Final = store.memory
        self._indexes: Final = indexes
        # Who is enrolled, which is the same in all of them.
        self._index: Final = indexes.main
        self._clock: Final = clock
        self._require_consent: Final = require_consent

    def find_stranger(self, id_or_number: str) -> Stranger:
        """The stranger of that id or number.

        Raises:
            PrivFaceError: ``stranger_not_found``.
        """
        for stranger in self._memory.strangers():
            if id_or_number in {stranger.id, str(stranger.number)}:
                return stranger
        raise PrivFaceError(ErrorCode.STRANGER_NOT_FOUND, "There is no such stranger, or no longer.")

    def name_stranger(self, id_or_number: str, name: str | None, person_id: str | None) -> str:
        """Make a stranger a new person of that name, or the one of that id; the person's id.

        Raises:
            PrivFaceError: ``stranger_not_found``, ``person_not_found``, ``person_exists``, ``contract_mismatch``,
                ``consent_missing``.
        """
        stranger = self.find_stranger(id_or_number)
        with self._store.transaction():
            if name is not None:
                person_id = self._add_person(name)
            return self._adopt(stranger, person_id)

    def ignore_stranger(self, id_or_number: str) -> str:
        """Make a stranger an ignored person; the person's id.

        Raises:
            PrivFaceError: ``stranger_not_found``, ``contract_mismatch``, ``consent_missing``.
        """
        stranger = self.find_stranger(id_or_number)
        with self._store.transaction():
            person_id = self._add_person(f"Ignored {stranger.number}", allow_duplicate=True)
            self._store.set_ignored(person_id, True)
            return self._adopt(stranger, person_id)

    def forget_stranger(self, id_or_number: str) -> None:
        """Remove a stranger and their visits.

        Raises:
            PrivFaceError: ``stranger_not_found``.
        """
        self._memory.remove_stranger(self.find_stranger(id_or_number).id)

    def correct(self, visit_id: str, person_id: str | None, named: AbstractSet[str]) -> Correction:
        """Make a visit's faces a negative example of who was named, and a face of who it was (None: not known).

        Raises:
            PrivFaceError: ``visit_not_found``, ``person_not_found``, ``contract_mismatch``, ``consent_missing``.
        """
        visit = self._memory.visit(visit_id)
        if visit is None:
            raise PrivFaceError(ErrorCode.VISIT_NOT_FOUND, "The visit's faces are not kept, or no longer.")
        self._check_contract(visit.contract)
        if person_id is not None:
            self._require(person_id)
        wrong = (named | {visit.person_id} if visit.person_id is not None else named) - {person_id}
        with self._store.transaction():
            self._take_back(visit_id, person_id)
            denied = tuple(sorted(other for other in wrong if self._deny(visit, other)))
            face_id = None if person_id is None else self._enroll(person_id, visit.contract, visit.faces, visit_id)
            self._settle(visit, person_id)
        return Correction(visit_id=visit_id, denied=denied, person_id=person_id, face_id=face_id)

    def _add_person(self, name: str, *, allow_duplicate: bool = False) -> str:
        person = Person(id=str(uuid.uuid4()), name=name, created_at=self._clock())
        if not self._store.add_person(person, allow_duplicate=allow_duplicate):
            raise person_exists(tuple(one for one in self._index.snapshot.people if same_name(one.name, name)))
        return person.id

    def _adopt(self, stranger: Stranger, person_id: str | None) -> str:
        """Give a stranger's faces and visits to a person."""
        self._check_contract(stranger.contract)
        if person_id is None or all(person.id != person_id for person in self._store.people()):
            raise no_person()
        self._enroll(person_id, stranger.contract, stranger.faces, stranger.id)
        self._memory.remove_stranger(stranger.id, heir=person_id)
        return person_id

    def _take_back(self, visit_id: str, person_id: str | None) -> None:
        """Undo what was said of a visit before, where it is otherwise now."""
        origin = _digest(visit_id)
        for face in self._index.snapshot.faces:
            if face.picture_digest == origin and face.person_id != person_id:
                self._store.remove_face(face.id)
        if person_id is not None:
            self._memory.remove_negative(_negative_id(visit_id, person_id))

    def _deny(self, visit: KeptVisit, person_id: str) -> bool:
        return self._memory.add_negative(
            NegativeExample(
                id=_negative_id(visit.id, person_id),
                person_id=person_id,
                contract=visit.contract,
                created_at=self._clock(),
                faces=visit.faces,
            )
        )

    def _enroll(self, person_id: str, contract: str, faces: Sequence[RememberedFace], origin: str) -> str | None:
        """Make remembered faces one enrolled face, unless they are already; its id. ``origin``: whose they were."""
        digest = _digest(origin)
        for known in self._index.snapshot.faces:
            if (known.person_id, known.picture_digest) == (person_id, digest):
                return known.id
        if not faces:
            return None
        known_people = {person.id: person for person in self._index.snapshot.people}
        consent = known_people[person_id].consent if person_id in known_people else None
        check_consent(consent, required=self._require_consent)
        face = EnrolledFace(
            id=str(uuid.uuid4()), person_id=person_id, created_at=self._clock(), source="", picture_digest=digest
        )
        templates = [
            Template(face_id=face.id, person_id=person_id, level=one.level, vector=one.vector)
            for one in sorted(faces, key=lambda one: one.level.relative)
        ]
        self._store.add_face(face, Contract.from_key(contract), templates)
        return face.id

    def _settle(self, visit: KeptVisit, person_id: str | None) -> None:
        """Let the visit be the person's; a stranger who was seen in this visit only is no stranger any more."""
        if person_id is None:
            self._memory.keep_visit(replace(visit, person_id=None))
            return
        self._memory.keep_visit(replace(visit, person_id=person_id, stranger_id=None))
        for stranger in self._memory.strangers():
            if stranger.id == visit.stranger_id and stranger.visits == 1:
                self._memory.remove_stranger(stranger.id)

    def _require(self, person_id: str) -> None:
        if person_id not in self._index.snapshot.names:
            raise no_person()

    def _check_contract(self, contract: str) -> None:
        """Refuse faces of other engines or user sides than those in use; where none are, as on the command line, all
        are fine."""
        now = self._indexes.of(contract).contract
        if now is not None and now.key != contract:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "These faces were represented by other engines than the gallery's.",
                allowed=now.key,
            )


def _negative_id(visit_id: str, person_id: str) -> str:
    return str(uuid.uuid5(_NEGATIVES, f"{visit_id} {person_id}"))


def _digest(origin: str) -> str:
    """What stands for the picture's digest of a face that came from no picture."""
    return hashlib.sha256(f"remembered {origin}".encode("utf-8", "replace")).hexdigest()
