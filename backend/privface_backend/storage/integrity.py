"""Whether a database file is whole, found out without writing to it."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.failures import DAMAGED, damaged, from_os, to_error
from privface_backend.storage.schema import APPLICATION_ID, SEALED_ROWS, row_digest

_HEADER_SIZE: Final = 100
_MAGIC: Final = b"SQLite format 3\x00"
_TABLES: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def log_path(path: Path) -> Path:
    """SQLite's write-ahead log of the database at ``path``."""
    return path.with_name(path.name + "-wal")


def is_new(path: Path) -> bool:
    """Whether there is no database yet: no file, or one of 0 bytes, as SQLite itself leaves before the first write.

    Raises:
        PrivFaceError: ``gallery_corrupt``: the file is missing or empty, but its write-ahead log is not; SQLite
            would write that log into whatever database stands there next.
    """
    if path.exists() and path.stat().st_size > 0:
        return False
    log = log_path(path)
    if log.exists() and log.stat().st_size > 0:
        raise damaged(path, f"the file is missing or empty, but its log {log.name} is not")
    return True


def inspect_file(path: Path, migrations: Sequence[str]) -> Mapping[str, str]:
    """Check the header, the structure, the tables, the references and each row's digest. Nothing is written. Gives the
    single values that are no secrets.

    Raises:
        PrivFaceError: ``gallery_corrupt``, ``gallery_too_new``, or ``storage_failed``: it can't be read at all.
    """
    _inspect_header(path, len(migrations))
    # While there is a log, another process may be writing, or one was killed that had: SQLite has to look into it.
    mode = "mode=ro" if log_path(path).exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=5)) as connection:
            connection.text_factory = bytes
            return _inspect_content(connection, path, migrations)
    except UnicodeError as error:
        raise damaged(path, "SQLite can't read it") from error
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in (*DAMAGED, sqlite3.SQLITE_ERROR):
            raise damaged(path, "SQLite can't read it") from error
        raise to_error(error, path) from error


def _inspect_header(path: Path, known_version: int) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_SIZE)
    except OSError as error:
        raise from_os(error, f"The database {path} can't be read") from error
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise damaged(path, "it is no SQLite file")
    version, application_id = struct.unpack_from(">i4xi", header, 60)
    if application_id != APPLICATION_ID:
        raise damaged(path, "it is not PrivFace's")
    _refuse_newer(path, version, known_version)


def _expected_tables(migrations: Sequence[str]) -> list[tuple[bytes, ...]]:
    """The tables as the migrations make them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.text_factory = bytes
        for script in migrations:
            connection.executescript(script)
        return connection.execute(_TABLES).fetchall()


def _refuse_newer(path: Path, version: int, known_version: int) -> None:
    if version > known_version:
        raise PrivFaceError(
            ErrorCode.GALLERY_TOO_NEW,
            f"The database {path} was made by a newer PrivFace (version {version}, this one knows {known_version}). "
            "Nothing was written to it. Install the newer PrivFace, or restore a backup from before.",
            details={"file": str(path)},
        )
    if version < 1:
        raise damaged(path, "it has no version")


def _inspect_content(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> Mapping[str, str]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    _refuse_newer(path, version, len(migrations))
    connection.execute("PRAGMA cell_size_check=ON")
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != (b"ok",):
        raise damaged(path, "its structure is broken")
    expected = _expected_tables(migrations[:version])
    if connection.execute(_TABLES).fetchall() != expected:
        raise damaged(path, "its tables are not PrivFace's")
    # An older version lacks the later tables.
    tables = {name.decode() for kind, name, *_ in expected if kind == b"table"}
    for table, query in SEALED_ROWS.items():
        if table not in tables:
            continue
        for *values, digest in connection.execute(query):
            if row_digest(table, values) != digest:
                raise damaged(path, f"a row of its table {table} was changed from outside")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise damaged(path, "rows are missing")
    single = connection.execute("SELECT key, value FROM meta WHERE typeof(value) = 'text'")
    return {key.decode(): value.decode() for key, value in single}
