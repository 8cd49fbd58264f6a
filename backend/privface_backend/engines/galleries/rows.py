"""What the tables of the gallery and of its memory have in common."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from privface_backend.storage.file import put_meta


def to_text(moment: datetime) -> str:
    """A time as it is stored: texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def count_up(connection: sqlite3.Connection, key: str) -> int:
    """Raise a number among the single values by one, from 0, where other processes see it; the number it has then."""
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    number = int(found[0]) + 1 if found else 1
    put_meta(connection, key, str(number))
    return number


def exists(connection: sqlite3.Connection, query: str, row_id: str | None) -> bool:
    """Whether ``query`` finds something for an id; none is no reference that could be broken."""
    return row_id is None or connection.execute(query, (row_id,)).fetchone() is not None
