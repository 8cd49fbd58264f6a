"""SQLite's errors, in the codes that callers know."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# SQLite says "full" for ENOSPC alone: a quota, a file size limit or a FAT volume's end comes as a failed write.
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def damaged(path: Path, what: str) -> PrivFaceError:
    """The error of a file that can't be used as it is, and that nothing was written to."""
    return PrivFaceError(
        ErrorCode.GALLERY_CORRUPT,
        f"The database {path} is damaged ({what}). Nothing was written to it. Restore a backup of it, or move "
        f"{path.name} and the files beside it that start with {path.name} away to start empty.",
        details={"file": str(path)},
    )


def to_error(error: sqlite3.Error, path: Path) -> PrivFaceError:
    """The error that goes out for one of SQLite's, met while the database was in use."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = extended & 0xFF
    if extended in _FULL:
        return PrivFaceError(
            ErrorCode.STORAGE_FULL,
            f"The disk takes no more, and nothing of this was saved. Make room on the disk of {path.parent}.",
        )
    if primary in DAMAGED:
        return PrivFaceError(
            ErrorCode.GALLERY_CORRUPT,
            f"The database {path} was damaged while PrivFace ran. Stop PrivFace and restore a backup of it.",
            details={"file": str(path)},
        )
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return PrivFaceError(ErrorCode.CONFLICT, "It is there already, or what it belongs to is gone.")
    if primary in _BUSY:
        return PrivFaceError(ErrorCode.STORAGE_FAILED, f"Another program keeps the database {path} locked.")
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    return PrivFaceError(ErrorCode.STORAGE_FAILED, f"The database {path} can't be read or written ({reason}).")


def from_os(error: OSError, what: str) -> PrivFaceError:
    """The error that goes out for one of the operating system's. ``what`` begins the sentence."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    return PrivFaceError(ErrorCode.STORAGE_FULL if full else ErrorCode.STORAGE_FAILED, f"{what}: {error.strerror}.")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise a ``PrivFaceError`` for each of SQLite's inside the block."""
    try:
        yield
    except sqlite3.Error as error:
        raise to_error(error, path) from error
