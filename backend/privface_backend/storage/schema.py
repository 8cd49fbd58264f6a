"""The tables of the database, how they came to be, and the digest that each row carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

APPLICATION_ID: Final = 0x50464163
"""In the file's header: this SQLite file is PrivFace's."""

SqlValue = str | bytes | int | float | None

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE TABLE people (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        created_at TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE TABLE faces (
        id TEXT PRIMARY KEY,
        person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        created_at TEXT NOT NULL,
        source TEXT NOT NULL,
        folder TEXT NOT NULL,
        picture_digest TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE UNIQUE INDEX faces_by_picture ON faces (person_id, picture_digest) WHERE picture_digest <> '';
    CREATE INDEX faces_by_person ON faces (person_id);
    CREATE TABLE templates (
        face_id TEXT NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
        contract TEXT NOT NULL,
        method TEXT NOT NULL,
        relative REAL NOT NULL,
        vector BLOB NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (face_id, contract, method, relative)
    );
    CREATE INDEX templates_by_contract ON templates (contract);
    CREATE TABLE events (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        ts INTEGER NOT NULL,
        camera TEXT NOT NULL,
        person_id TEXT,
        outcome TEXT NOT NULL,
        body TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE INDEX events_by_time ON events (ts);
    CREATE INDEX events_by_person ON events (person_id) WHERE person_id IS NOT NULL;
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        prefix TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE ignored (
        person_id TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
        digest BLOB NOT NULL
    );
    CREATE TABLE strangers (
        id TEXT PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE,
        contract TEXT NOT NULL,
        first_seen TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        camera TEXT NOT NULL,
        visits INTEGER NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE TABLE visits (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        contract TEXT NOT NULL,
        person_id TEXT REFERENCES people (id) ON DELETE CASCADE,
        stranger_id TEXT REFERENCES strangers (id) ON DELETE CASCADE,
        digest BLOB NOT NULL
    );
    CREATE INDEX visits_by_person ON visits (person_id);
    CREATE INDEX visits_by_stranger ON visits (stranger_id);
    CREATE TABLE negatives (
        id TEXT PRIMARY KEY,
        person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        contract TEXT NOT NULL,
        created_at TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    CREATE INDEX negatives_by_person ON negatives (person_id);
    CREATE TABLE remembered (
        visit_id TEXT REFERENCES visits (id) ON DELETE CASCADE,
        stranger_id TEXT REFERENCES strangers (id) ON DELETE CASCADE,
        negative_id TEXT REFERENCES negatives (id) ON DELETE CASCADE,
        method TEXT NOT NULL,
        relative REAL NOT NULL,
        weight REAL NOT NULL,
        vector BLOB NOT NULL,
        digest BLOB NOT NULL,
        CHECK ((visit_id IS NULL) + (stranger_id IS NULL) + (negative_id IS NULL) = 2)
    );
    CREATE UNIQUE INDEX remembered_by_visit ON remembered (visit_id, method, relative);
    CREATE UNIQUE INDEX remembered_by_stranger ON remembered (stranger_id, method, relative);
    CREATE UNIQUE INDEX remembered_by_negative ON remembered (negative_id, method, relative);
    CREATE TABLE explanations (
        event_id TEXT PRIMARY KEY REFERENCES events (event_id) ON DELETE CASCADE,
        body TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE consents (
        person_id TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
        given_on TEXT NOT NULL,
        note TEXT NOT NULL,
        withdrawn_at TEXT,
        digest BLOB NOT NULL
    );
    CREATE TABLE erasures (
        person_id TEXT PRIMARY KEY,
        forgotten_at TEXT NOT NULL,
        body TEXT NOT NULL,
        rewritten_at TEXT,
        cleared_at TEXT,
        digest BLOB NOT NULL
    );
    CREATE TABLE held_back (
        picture_digest TEXT PRIMARY KEY,
        forgotten_at TEXT NOT NULL,
        digest BLOB NOT NULL
    );
    """,
)
"""One script a version: the file's ``user_version`` counts how many were run. Never change one that was released."""

SEALED_ROWS: Final[Mapping[str, str]] = {
    "meta": "SELECT key, value, digest FROM meta",
    "people": "SELECT id, name, created_at, digest FROM people",
    "faces": "SELECT id, person_id, created_at, source, folder, picture_digest, digest FROM faces",
    "templates": "SELECT face_id, contract, method, relative, vector, digest FROM templates",
    "events": "SELECT event_id, ts, camera, person_id, outcome, body, digest FROM events",
    "tokens": "SELECT id, name, scopes, prefix, hash, created_at, digest FROM tokens",
    "ignored": "SELECT person_id, digest FROM ignored",
    "strangers": "SELECT id, number, contract, first_seen, last_seen, camera, visits, digest FROM strangers",
    "visits": "SELECT id, camera, last_seen, contract, person_id, stranger_id, digest FROM visits",
    "negatives": "SELECT id, person_id, contract, created_at, digest FROM negatives",
    "remembered": "SELECT visit_id, stranger_id, negative_id, method, relative, weight, vector, digest FROM remembered",
    "explanations": "SELECT event_id, body, digest FROM explanations",
    "consents": "SELECT person_id, given_on, note, withdrawn_at, digest FROM consents",
    "erasures": "SELECT person_id, forgotten_at, body, rewritten_at, cleared_at, digest FROM erasures",
    "held_back": "SELECT picture_digest, forgotten_at, digest FROM held_back",
}
"""Each table's columns in the order that its rows are sealed in, their digest last."""


def row_digest(table: str, values: Sequence[SqlValue]) -> bytes:
    """BLAKE2b, 16 bytes, over a row's values. It finds damage; it is no protection against a writer."""
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
            continue
        part = value if isinstance(value, bytes) else (value if isinstance(value, str) else repr(value)).encode()
        parts += (len(part).to_bytes(4, "big"), part)
    return blake2b(b"".join(parts), digest_size=16, person=table.encode()).digest()


def sealed(table: str, *values: SqlValue) -> tuple[SqlValue, ...]:
    """A row as it is stored: its values in the order of ``SEALED_ROWS``, and their digest."""
    return (*values, row_digest(table, values))
