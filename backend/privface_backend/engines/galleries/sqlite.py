"""The gallery in the database: what is enrolled stays enrolled, what is removed is overwritten."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, Final

from privface_backend.domain.consent import Consent
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.people import EnrolledFace, Person, same_name
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.engines.galleries.rows import count_up, to_text
from privface_backend.engines.galleries.sqlite_visits import SqliteVisitMemory
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import Database
from privface_backend.storage.schema import SqlValue, sealed

_REVISION: Final = "gallery_revision"
_PEOPLE: Final = """
    SELECT people.id, name, people.created_at, count(faces.id), ignored.person_id IS NOT NULL,
    consents.given_on, consents.note, consents.withdrawn_at FROM people
    LEFT JOIN faces ON faces.person_id = people.id LEFT JOIN ignored ON ignored.person_id = people.id
    LEFT JOIN consents ON consents.person_id = people.id
    GROUP BY people.id ORDER BY people.created_at, people.rowid
"""
_PUT_CONSENT: Final = """
    INSERT INTO consents (person_id, given_on, note, withdrawn_at, digest) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (person_id) DO UPDATE SET given_on = excluded.given_on, note = excluded.note,
    withdrawn_at = excluded.withdrawn_at, digest = excluded.digest
"""
_FACES: Final = """
    SELECT id, person_id, created_at, source, folder, picture_digest FROM faces
    WHERE :person_id IS NULL OR person_id = :person_id ORDER BY created_at, rowid
"""
_TEMPLATES: Final = """
    SELECT face_id, person_id, method, relative, vector FROM templates JOIN faces ON faces.id = face_id
    WHERE contract = ? ORDER BY templates.rowid
"""


class SqliteGalleryStore:
    """The port's store on a ``Database``, which its owner opens and closes."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._memory: Final = SqliteVisitMemory(database)

    @property
    def memory(self) -> SqliteVisitMemory:
        return self._memory

    def close(self) -> None:
        """Nothing to do: the database is its owner's."""

    def transaction(self) -> AbstractContextManager[object]:
        return self._database.transaction(durable=True)

    def people(self) -> Sequence[Person]:
        return tuple(
            Person(
                id=person_id,
                name=self._name(person_id, name),
                created_at=datetime.fromisoformat(created_at),
                faces=faces,
                ignored=bool(ignored),
                consent=self._consent(person_id, *consent),
            )
            for person_id, name, created_at, faces, ignored, *consent in self._database.rows(_PEOPLE)
        )

    def _consent(self, person_id: str, given_on: str | None, note: Any, withdrawn_at: str | None) -> Consent | None:
        if given_on is None:
            return None
        return Consent(
            given_on=date.fromisoformat(given_on),
            note=self._database.seals.open(note, "consents", "note", person_id),
            withdrawn_at=None if withdrawn_at is None else datetime.fromisoformat(withdrawn_at),
        )

    def add_person(self, person: Person, *, allow_duplicate: bool = True) -> bool:
        with self._database.transaction(durable=True) as connection:
            if not allow_duplicate and any(
                same_name(self._name(*row), person.name) for row in connection.execute("SELECT id, name FROM people")
            ):
                return False
            connection.execute(
                "INSERT INTO people (id, name, created_at, digest) VALUES (?, ?, ?, ?)",
                sealed("people", person.id, self._sealed_name(person.id, person.name), to_text(person.created_at)),
            )
            count_up(connection, _REVISION)
        return True

    def rename_person(self, person_id: str, name: str) -> bool:
        with self._database.transaction(durable=True) as connection:
            found = connection.execute("SELECT created_at FROM people WHERE id = ?", (person_id,)).fetchone()
            if found is None:
                return False
            _, sealed_name, _, digest = sealed("people", person_id, self._sealed_name(person_id, name), found[0])
            connection.execute("UPDATE people SET name = ?, digest = ? WHERE id = ?", (sealed_name, digest, person_id))
            count_up(connection, _REVISION)
        self._database.scrub()
        return True

    def remove_person(self, person_id: str) -> bool:
        return self._remove("DELETE FROM people WHERE id = ?", person_id)

    def set_ignored(self, person_id: str, ignored: bool) -> bool:
        with self._database.transaction(durable=True) as connection:
            if connection.execute("SELECT 1 FROM people WHERE id = ?", (person_id,)).fetchone() is None:
                return False
            changed = connection.execute("DELETE FROM ignored WHERE person_id = ?", (person_id,)).rowcount
            if ignored:
                connection.execute(
                    "INSERT INTO ignored (person_id, digest) VALUES (?, ?)", sealed("ignored", person_id)
                )
            if ignored != bool(changed):
                count_up(connection, _REVISION)
        return True

    def set_consent(self, person_id: str, consent: Consent) -> bool:
        until = None if consent.withdrawn_at is None else to_text(consent.withdrawn_at)
        with self._database.transaction(durable=True) as connection:
            if connection.execute("SELECT 1 FROM people WHERE id = ?", (person_id,)).fetchone() is None:
                return False
            if connection.execute("SELECT 1 FROM consents WHERE person_id = ?", (person_id,)).fetchone():
                # The note that is replaced may have said something about them.
                self._database.scrub()
            connection.execute(
                _PUT_CONSENT,
                sealed(
                    "consents",
                    person_id,
                    consent.given_on.isoformat(),
                    self._database.seals.seal(consent.note, "consents", "note", person_id),
                    until,
                ),
            )
            count_up(connection, _REVISION)
        return True

    def faces(self, person_id: str | None = None) -> Sequence[EnrolledFace]:
        return tuple(
            EnrolledFace(
                id=face_id,
                person_id=owner,
                created_at=datetime.fromisoformat(created_at),
                source=self._database.seals.open(source, "faces", "source", face_id),
                folder=self._database.seals.open(folder, "faces", "folder", face_id),
                picture_digest=self._database.seals.open(picture_digest, "faces", "picture_digest", face_id),
            )
            for face_id, owner, created_at, source, folder, picture_digest in self._database.rows(
                _FACES, {"person_id": person_id}
            )
        )

    def add_face(self, face: EnrolledFace, contract: Contract, templates: Sequence[Template]) -> None:
        with self._database.transaction(durable=True) as connection:
            if connection.execute("SELECT 1 FROM people WHERE id = ?", (face.person_id,)).fetchone() is None:
                raise PrivFaceError(ErrorCode.PERSON_NOT_FOUND, "There is no such person.")
            self._insert_face(connection, face)
            connection.executemany(
                "INSERT INTO templates (face_id, contract, method, relative, vector, digest) VALUES (?, ?, ?, ?, ?, ?)",
                [self._template_row(face.id, contract.key, template) for template in templates],
            )
            count_up(connection, _REVISION)

    def remove_face(self, face_id: str) -> bool:
        return self._remove("DELETE FROM faces WHERE id = ?", face_id)

    def templates(self, contract: Contract) -> Sequence[Template]:
        levels: dict[tuple[str, float], PrivacyLevel] = {}
        seals, key, dimension = self._database.seals, contract.key, contract.dimension
        return tuple(
            Template(
                face_id=face_id,
                person_id=person_id,
                level=levels.setdefault((method, relative), PrivacyLevel(method, relative)),
                vector=seals.open_vector(vector, dimension, "templates", "vector", face_id, key, method, relative),
            )
            for face_id, person_id, method, relative, vector in self._database.rows(_TEMPLATES, (key,))
        )

    def contracts(self) -> Mapping[str, int]:
        return dict(self._database.rows("SELECT contract, count(*) FROM templates GROUP BY contract"))

    def revision(self) -> int:
        # It is asked every few seconds: the occasion to overwrite what could not be at once.
        self._database.scrub_if_due()
        return int(self._database.get_meta(_REVISION) or 0)

    def _name(self, person_id: str, stored: bytes | str) -> str:
        return self._database.seals.open(stored, "people", "name", person_id)

    def _sealed_name(self, person_id: str, name: str) -> bytes | str:
        return self._database.seals.seal(name, "people", "name", person_id)

    def _template_row(self, face_id: str, contract: str, template: Template) -> tuple[SqlValue, ...]:
        keys = (face_id, contract, template.level.method, float(template.level.relative))
        vector = self._database.seals.seal_vector(template.vector, "templates", "vector", *keys)
        return sealed("templates", *keys, vector)

    def _insert_face(self, connection: sqlite3.Connection, face: EnrolledFace) -> None:
        """Add the face's own row where it isn't there already.

        Raises:
            PrivFaceError: ``conflict``: the person has another face from the same picture.
        """
        if connection.execute("SELECT 1 FROM faces WHERE id = ?", (face.id,)).fetchone() is not None:
            return
        seals = self._database.seals
        others = connection.execute("SELECT id, picture_digest FROM faces WHERE person_id = ?", (face.person_id,))
        if face.picture_digest and any(
            seals.open(stored, "faces", "picture_digest", other) == face.picture_digest for other, stored in others
        ):
            raise PrivFaceError(ErrorCode.CONFLICT, "The person has a face from that picture already.")
        connection.execute(
            "INSERT INTO faces (id, person_id, created_at, source, folder, picture_digest, digest) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            sealed(
                "faces",
                face.id,
                face.person_id,
                to_text(face.created_at),
                seals.seal(face.source, "faces", "source", face.id),
                seals.seal(face.folder, "faces", "folder", face.id),
                seals.seal(face.picture_digest, "faces", "picture_digest", face.id),
            ),
        )

    def _remove(self, statement: str, row_id: str) -> bool:
        with self._database.transaction(durable=True) as connection:
            if connection.execute(statement, (row_id,)).rowcount == 0:
                return False
            count_up(connection, _REVISION)
        self._database.scrub()
        return True


def create(context: EngineContext) -> SqliteGalleryStore:
    """The store on ``options["database"]``, a ``Database``."""
    database = context.options.get("database")
    if not isinstance(database, Database):
        raise TypeError("the option database must be a Database")
    return SqliteGalleryStore(database)
