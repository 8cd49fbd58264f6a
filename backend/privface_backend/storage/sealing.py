"""Which values of the database are sealed, where each stands, and sealing all of them anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.errors import PrivFaceError
from privface_backend.protection.protection import Protection
from privface_backend.protection.sealing import SealBrokenError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.schema import SEALED_ROWS, row_digest

_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTable:
    """``keys``: what a value's place is told by; ``texts`` and ``vectors``: the columns that are sealed. An empty text
    stays as it is."""

    keys: tuple[str, ...]
    texts: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()


SEALED_TABLES: Final[Mapping[str, SealedTable]] = {
    "people": SealedTable(keys=("id",), texts=("name",)),
    "faces": SealedTable(keys=("id",), texts=("source", "folder", "picture_digest")),
    "templates": SealedTable(keys=("face_id", "contract", "method", "relative"), vectors=("vector",)),
    "events": SealedTable(keys=("event_id",), texts=("body",)),
    "explanations": SealedTable(keys=("event_id",), texts=("body",)),
    "strangers": SealedTable(keys=("id",), texts=("camera",)),
    "consents": SealedTable(keys=("person_id",), texts=("note",)),
    "visits": SealedTable(keys=("id",), texts=("camera",)),
    "remembered": SealedTable(
        keys=("visit_id", "stranger_id", "negative_id", "method", "relative"), vectors=("vector",)
    ),
}
"""What is sealed. Of ``meta``, values that are bytes are; of ``events``, ``camera`` is a stand-in."""


def place(table: str, column: str, *keys: object) -> tuple[str, ...]:
    """Where a value stands, as it is sealed."""
    return (table, column, *("" if key is None else str(key) for key in keys))


class Seals:
    """Seals the values of the database at ``path``, and opens them."""

    def __init__(self, path: Path, protection: Protection) -> None:
        self._path: Final = path
        self.protection: Final = protection

    def seal(self, text: str, table: str, column: str, *keys: object) -> bytes | str:
        """What is stored for a text; an empty one says nothing and stays empty."""
        return self.protection.seal_text(text, *place(table, column, *keys)) if text else ""

    def open(self, stored: bytes | str, table: str, column: str, *keys: object) -> str:
        """The text.

        Raises:
            PrivFaceError: ``gallery_corrupt``.
        """
        if stored == "":
            return ""
        try:
            return self.protection.open_text(_as_bytes(stored), *place(table, column, *keys))
        except SealBrokenError:
            raise self._broken() from None

    def seal_vector(self, vector: Vector, table: str, column: str, *keys: object) -> bytes:
        """What is stored for a vector."""
        return self.protection.seal_vector(vector, *place(table, column, *keys))

    def open_vector(self, stored: bytes, dimension: int, table: str, column: str, *keys: object) -> Vector:
        """The vector, float32 (dimension,), read-only.

        Raises:
            PrivFaceError: ``gallery_corrupt``.
        """
        try:
            vector = self.protection.open_vector(_as_bytes(stored), *place(table, column, *keys))
        except SealBrokenError:
            raise self._broken() from None
        if len(vector) != dimension:
            raise PrivFaceError(ErrorCode.GALLERY_CORRUPT, "A stored template has the wrong length.")
        return vector

    def _broken(self) -> PrivFaceError:
        return PrivFaceError(
            ErrorCode.GALLERY_CORRUPT,
            f"The database {self._path} holds a value that its key doesn't open: it was changed from outside, or "
            "another process changed the key while this one ran. Start PrivFace again; if that doesn't help, restore a "
            "backup of the database.",
            details={"file": str(self._path)},
        )


def _as_bytes(stored: bytes | str) -> bytes:
    return stored if isinstance(stored, bytes) else stored.encode("utf-8", "surrogatepass")


def reseal(connection: sqlite3.Connection, old: Protection | None, new: Protection) -> None:
    """Seal every value anew; ``old`` None: they aren't sealed yet. Inside a transaction.

    Raises:
        SealBrokenError: a value isn't what was sealed with ``old``.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, sealed in SEALED_TABLES.items():
        if table in tables:
            _rewrite(connection, table, _resealer(table, sealed, old, new))
    _reseal_single_values(connection, old, new)


def _columns(table: str) -> tuple[str, ...]:
    names = SEALED_ROWS[table].removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
    return tuple(names[:-1])


def _resealer(
    table: str, sealed: SealedTable, old: Protection | None, new: Protection
) -> Callable[[dict[str, Any]], None]:
    """What makes a row's values the new ones."""

    def change(row: dict[str, Any]) -> None:
        keys = [row[key] for key in sealed.keys]
        if table == "events":
            body = row["body"] if old is None else old.open_text(row["body"], *place(table, "body", *keys))
            row["camera"] = new.lookup(json.loads(body)["camera"])
        for column in sealed.texts:
            if row[column] == "":
                continue
            where = place(table, column, *keys)
            row[column] = new.seal_text(row[column] if old is None else old.open_text(row[column], *where), *where)
        for column in sealed.vectors:
            where = place(table, column, *keys)
            row[column] = new.seal_vector(
                _read_plain(row[column]) if old is None else old.open_vector(row[column], *where), *where
            )

    return change


def _read_plain(data: bytes) -> Vector:
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _rewrite(connection: sqlite3.Connection, table: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Write each row of a table as ``change`` makes it."""
    columns = _columns(table)
    # The names are this module's own.
    read = f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}"  # noqa: S608
    write = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)}, digest = ? WHERE rowid = ?"  # noqa: S608
    last = -1
    while rows := connection.execute(read, (last,)).fetchall():
        changed = []
        for last, *values in rows:  # the last one is where the next batch begins
            row = dict(zip(columns, values, strict=True))
            change(row)
            new_values = tuple(row.values())
            changed.append((*new_values, row_digest(table, new_values), last))
        connection.executemany(write, changed)


def _reseal_single_values(connection: sqlite3.Connection, old: Protection | None, new: Protection) -> None:
    if old is None:
        return
    rows = connection.execute("SELECT key, value FROM meta WHERE typeof(value) = 'blob'").fetchall()
    for key, value in rows:
        where = place("meta", "value", key)
        sealed = new.seal_text(old.open_text(value, *where), *where)
        connection.execute(
            "UPDATE meta SET value = ?, digest = ? WHERE key = ?", (sealed, row_digest("meta", (key, sealed)), key)
        )
