"""The database's file: made whole, opened by one process at a time, brought to this version's tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import filelock

from privface_backend.errors import PrivFaceError
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import ErrorCode
from privface_backend.storage.failures import from_os
from privface_backend.storage.schema import APPLICATION_ID, sealed

BUSY_SECONDS: Final = 5.0
"""How long other processes' transactions are waited for."""
KEY_ID: Final = "key_id"
"""Among the single values: the id of the master key."""
_OPENING_SECONDS: Final = 30.0
_SIDE_FILES: Final = ("", "-wal", "-shm", "-journal")


def put_meta(connection: sqlite3.Connection, key: str, value: str | bytes) -> None:
    """Set a single value inside a transaction."""
    connection.execute(
        "INSERT INTO meta (key, value, digest) VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value, digest = excluded.digest",
        sealed("meta", key, value),
    )


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """One process at a time checks, makes or migrates the file.

    Raises:
        PrivFaceError: ``storage_failed``, ``storage_full``.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name(path.name + ".lock"), timeout=_OPENING_SECONDS)
        lock.acquire()
    except filelock.Timeout as error:
        raise PrivFaceError(
            ErrorCode.STORAGE_FAILED, f"Another process has been opening the database {path} for too long."
        ) from error
    except OSError as error:
        raise from_os(error, f"Nothing can be written to {path.parent}") from error
    try:
        yield
    finally:
        lock.release()


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that exists, set up as all of them are; transactions are the caller's.

    Raises:
        PrivFaceError: ``storage_failed``: the file system lacks what the log needs.
        sqlite3.Error: the file can't be opened.
    """
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _require_log(connection, path)
        for pragma in (
            "PRAGMA synchronous=NORMAL",
            "PRAGMA foreign_keys=ON",
            "PRAGMA secure_delete=ON",
            "PRAGMA trusted_schema=OFF",
            # No temporary file beside the database gets what a VACUUM or a sort holds.
            "PRAGMA temp_store=MEMORY",
            # Kibibytes: what is read often is in the index already.
            "PRAGMA cache_size=-512",
        ):
            connection.execute(pragma).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _require_log(connection: sqlite3.Connection, path: Path) -> None:
    (journal,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if journal != "wal":
        raise PrivFaceError(
            ErrorCode.STORAGE_FAILED,
            f"The file system of {path.parent} lacks what a database needs (shared memory); use a local disk.",
        )


def create(path: Path, migrations: Sequence[str], key: MasterKey) -> None:
    """Make the file under another name, whole, and then put it in its place."""
    draft = path.with_name(path.name + ".new")
    try:
        _remove(draft)
        # SQLite gives its log the mode of the database.
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(connect(draft)) as connection:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            migrate(connection, migrations)
            put_meta(connection, "instance_id", str(uuid.uuid4()))
            put_meta(connection, KEY_ID, key.id)
        draft.replace(path)
        flush_directory(path.parent)
    except OSError as error:
        raise from_os(error, f"{path} can't be made") from error
    finally:
        _remove(draft)


def _remove(draft: Path) -> None:
    for suffix in _SIDE_FILES:
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def flush_directory(directory: Path) -> None:
    """See to it that a power cut can't take back which files are in a directory."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the scripts that the file has not seen yet, each whole or not at all."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(migrations[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version={number};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if version < len(migrations):
        # The version in the file's own header counts where the file is checked.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
