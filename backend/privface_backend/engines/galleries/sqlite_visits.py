"""What is remembered of visits, in the database."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import KeptVisit, NegativeExample, RememberedFace, Stranger, check_faces
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.engines.galleries.rows import count_up, exists, to_text
from privface_backend.storage.database import Database
from privface_backend.storage.file import put_meta
from privface_backend.storage.schema import SqlValue, sealed

_REVISION: Final = "memory_revision"
_NUMBER: Final = "stranger_number"
_PERSON: Final = "SELECT 1 FROM people WHERE id = ?"
_STRANGER: Final = "SELECT 1 FROM strangers WHERE id = ?"

_PUT_VISIT: Final = """
    INSERT INTO visits (id, camera, last_seen, contract, person_id, stranger_id, digest) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, last_seen = excluded.last_seen,
    contract = excluded.contract, person_id = excluded.person_id, stranger_id = excluded.stranger_id,
    digest = excluded.digest
"""
_PUT_STRANGER: Final = """
    INSERT INTO strangers (id, number, contract, first_seen, last_seen, camera, visits, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET number = excluded.number, contract = excluded.contract,
    first_seen = excluded.first_seen, last_seen = excluded.last_seen, camera = excluded.camera,
    visits = excluded.visits, digest = excluded.digest
"""
_PUT_NEGATIVE: Final = """
    INSERT INTO negatives (id, person_id, contract, created_at, digest) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, contract = excluded.contract,
    created_at = excluded.created_at, digest = excluded.digest
"""
_PUT_FACE: Final = """
    INSERT INTO remembered (visit_id, stranger_id, negative_id, method, relative, weight, vector, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_VISITS: Final = "SELECT id, camera, last_seen, contract, person_id, stranger_id FROM visits "
_STRANGERS: Final = """
    SELECT id, number, contract, first_seen, last_seen, camera, visits FROM strangers
    WHERE :contract IS NULL OR contract = :contract ORDER BY number
"""
_NEGATIVES: Final = """
    SELECT id, person_id, contract, created_at FROM negatives
    WHERE :contract IS NULL OR contract = :contract ORDER BY created_at, rowid
"""
_VISIT_FACES: Final = """
    SELECT visit_id, remembered.stranger_id, negative_id, contract, method, relative, weight, vector FROM remembered
    JOIN visits ON visits.id = visit_id WHERE :id IS NULL OR visit_id = :id ORDER BY remembered.rowid
"""
_STRANGER_FACES: Final = """
    SELECT visit_id, remembered.stranger_id, negative_id, contract, method, relative, weight, vector FROM remembered
    JOIN strangers ON strangers.id = stranger_id
    WHERE :contract IS NULL OR contract = :contract ORDER BY remembered.rowid
"""
_NEGATIVE_FACES: Final = """
    SELECT visit_id, remembered.stranger_id, negative_id, contract, method, relative, weight, vector FROM remembered
    JOIN negatives ON negatives.id = negative_id
    WHERE :contract IS NULL OR contract = :contract ORDER BY remembered.rowid
"""


class SqliteVisitMemory:
    """The port's memory on the gallery's ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    def keep_visit(self, visit: KeptVisit) -> bool:
        check_faces(visit.faces, visit.contract)
        camera = self._database.seals.seal(visit.camera, "visits", "camera", visit.id)
        row = (visit.id, camera, to_text(visit.last_seen), visit.contract, visit.person_id, visit.stranger_id)
        with self._database.transaction() as connection:
            known = exists(connection, _PERSON, visit.person_id) and exists(connection, _STRANGER, visit.stranger_id)
            if known:
                connection.execute(_PUT_VISIT, sealed("visits", *row))
                connection.execute("DELETE FROM remembered WHERE visit_id = ?", (visit.id,))
                self._put_faces(connection, (visit.id, None, None), visit.faces)
        return known

    def visit(self, visit_id: str) -> KeptVisit | None:
        return next(iter(self._kept(visit_id)), None)

    def visits(self) -> Sequence[KeptVisit]:
        return self._kept(None)

    def remove_visit(self, visit_id: str) -> bool:
        with self._database.transaction(durable=True) as connection:
            removed = connection.execute("DELETE FROM visits WHERE id = ?", (visit_id,)).rowcount
        if removed:
            self._database.scrub()
        return removed > 0

    def _kept(self, visit_id: str | None) -> tuple[KeptVisit, ...]:
        """The visit of an id, or all."""
        key = {"id": visit_id}
        rows = self._database.rows(_VISITS + "WHERE :id IS NULL OR id = :id ORDER BY last_seen, rowid", key)
        faces = self._faces(self._database.rows(_VISIT_FACES, key)) if rows else {}
        return tuple(
            KeptVisit(
                id=found,
                camera=self._database.seals.open(camera, "visits", "camera", found),
                last_seen=datetime.fromisoformat(last_seen),
                contract=contract,
                person_id=person_id,
                stranger_id=stranger_id,
                faces=faces.get(found, ()),
            )
            for found, camera, last_seen, contract, person_id, stranger_id in rows
        )

    def next_stranger_number(self) -> int:
        with self._database.transaction(durable=True) as connection:
            return count_up(connection, _NUMBER)

    def last_stranger_number(self) -> int:
        return int(self._database.get_meta(_NUMBER) or 0)

    def put_stranger(self, stranger: Stranger, *, new: bool = False) -> bool:
        check_faces(stranger.faces, stranger.contract)
        row = sealed(
            "strangers",
            stranger.id,
            int(stranger.number),
            stranger.contract,
            to_text(stranger.first_seen),
            to_text(stranger.last_seen),
            self._database.seals.seal(stranger.camera, "strangers", "camera", stranger.id),
            int(stranger.visits),
        )
        # A number that was told must not come back after a power cut.
        with self._database.transaction(durable=new) as connection:
            if not new and not exists(connection, _STRANGER, stranger.id):
                return False
            connection.execute(_PUT_STRANGER, row)
            if stranger.number > self.last_stranger_number():
                put_meta(connection, _NUMBER, str(int(stranger.number)))
            connection.execute("DELETE FROM remembered WHERE stranger_id = ?", (stranger.id,))
            self._put_faces(connection, (None, stranger.id, None), stranger.faces)
            count_up(connection, _REVISION)
        return True

    def strangers(self, contract: Contract | None = None) -> Sequence[Stranger]:
        key = {"contract": None if contract is None else contract.key}
        faces = self._faces(self._database.rows(_STRANGER_FACES, key))
        return tuple(
            Stranger(
                id=stranger_id,
                number=number,
                contract=kept_contract,
                first_seen=datetime.fromisoformat(first_seen),
                last_seen=datetime.fromisoformat(last_seen),
                camera=self._database.seals.open(camera, "strangers", "camera", stranger_id),
                visits=visits,
                faces=faces.get(stranger_id, ()),
            )
            for stranger_id, number, kept_contract, first_seen, last_seen, camera, visits in self._database.rows(
                _STRANGERS, key
            )
        )

    def remove_stranger(self, stranger_id: str, *, heir: str | None = None) -> bool:
        with self._database.transaction(durable=True) as connection:
            if heir is not None:
                self._bequeath(connection, stranger_id, heir)
            if connection.execute("DELETE FROM strangers WHERE id = ?", (stranger_id,)).rowcount == 0:
                return False
            count_up(connection, _REVISION)
        self._database.scrub()
        return True

    def add_negative(self, negative: NegativeExample) -> bool:
        check_faces(negative.faces, negative.contract)
        row = (negative.id, negative.person_id, negative.contract, to_text(negative.created_at))
        with self._database.transaction(durable=True) as connection:
            if not exists(connection, _PERSON, negative.person_id):
                return False
            connection.execute(_PUT_NEGATIVE, sealed("negatives", *row))
            connection.execute("DELETE FROM remembered WHERE negative_id = ?", (negative.id,))
            self._put_faces(connection, (None, None, negative.id), negative.faces)
            count_up(connection, _REVISION)
        return True

    def negatives(self, contract: Contract | None = None) -> Sequence[NegativeExample]:
        key = {"contract": None if contract is None else contract.key}
        faces = self._faces(self._database.rows(_NEGATIVE_FACES, key))
        return tuple(
            NegativeExample(
                id=negative_id,
                person_id=person_id,
                contract=kept_contract,
                created_at=datetime.fromisoformat(created_at),
                faces=faces.get(negative_id, ()),
            )
            for negative_id, person_id, kept_contract, created_at in self._database.rows(_NEGATIVES, key)
        )

    def remove_negative(self, negative_id: str) -> bool:
        return self._remove("DELETE FROM negatives WHERE id = ?", negative_id) > 0

    def remove_negatives(self, person_id: str) -> int:
        return self._remove("DELETE FROM negatives WHERE person_id = ?", person_id)

    def remove_visits(self, person_id: str) -> int:
        with self._database.transaction(durable=True) as connection:
            removed = connection.execute("DELETE FROM visits WHERE person_id = ?", (person_id,)).rowcount
        if removed:
            self._database.scrub()
        return removed

    def purge(self, older_than: datetime) -> int:
        moment = (to_text(older_than),)
        with self._database.transaction() as connection:
            visits = connection.execute("DELETE FROM visits WHERE last_seen < ?", moment).rowcount
            strangers = connection.execute("DELETE FROM strangers WHERE last_seen < ?", moment).rowcount
            if strangers:
                count_up(connection, _REVISION)
        if visits or strangers:
            self._database.scrub()
        return visits + strangers

    def revision(self) -> int:
        return int(self._database.get_meta(_REVISION) or 0)

    def _remove(self, statement: str, row_id: str) -> int:
        with self._database.transaction(durable=True) as connection:
            removed = connection.execute(statement, (row_id,)).rowcount
            if removed:
                count_up(connection, _REVISION)
        if removed:
            self._database.scrub()
        return removed

    def _bequeath(self, connection: sqlite3.Connection, stranger_id: str, heir: str) -> None:
        """Make a stranger's visits a person's."""
        rows = connection.execute(_VISITS + "WHERE stranger_id = ?", (stranger_id,)).fetchall()
        for visit_id, camera, last_seen, contract, _, _ in rows:
            row = sealed("visits", visit_id, camera, last_seen, contract, heir, None)
            connection.execute(_PUT_VISIT, row)

    def _put_faces(
        self,
        connection: sqlite3.Connection,
        owner: tuple[str | None, str | None, str | None],
        faces: Iterable[RememberedFace],
    ) -> None:
        connection.executemany(_PUT_FACE, [self._face_row(owner, face) for face in faces])

    def _face_row(self, owner: tuple[str | None, str | None, str | None], face: RememberedFace) -> tuple[SqlValue, ...]:
        keys = (*owner, face.level.method, float(face.level.relative))
        vector = self._database.seals.seal_vector(face.vector, "remembered", "vector", *keys)
        return sealed("remembered", *keys, float(face.weight), vector)

    def _faces(self, rows: Iterable[tuple[Any, ...]]) -> Mapping[str, tuple[RememberedFace, ...]]:
        """The faces by whose they are."""
        found: defaultdict[str, list[RememberedFace]] = defaultdict(list)
        for *owner, contract, method, relative, weight, vector in rows:
            keys = (*owner, method, relative)
            dimension = Contract.from_key(contract).dimension
            found[next(filter(None, owner))].append(
                RememberedFace(
                    level=PrivacyLevel(method, relative),
                    weight=weight,
                    vector=self._database.seals.open_vector(vector, dimension, "remembered", "vector", *keys),
                )
            )
        return {owner: tuple(faces) for owner, faces in found.items()}
