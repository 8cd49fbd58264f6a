"""A damaged database is refused, with what to do, and not a byte of it is changed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.storage.database import Database
from privface_backend.storage.events import EventLog
from privface_backend.storage.schema import SEALED_ROWS, row_digest
from privface_backend.storage.tokens import TokenStore
from support.gallery import (
    CONTRACT,
    fill,
    make_negative,
    make_stranger,
    make_visit,
    plain,
)
from support.keys import KEYS
from support.mqtt import make_event
from support.remembered import explain

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent.parent


def make_database(path: Path) -> None:
    database = Database(path, KEYS)
    fill(SqliteGalleryStore(database), 3, 2)
    EventLog(database).extend((make_event(number) for number in range(20)), {"event-3": explain("somebody")})
    remember(SqliteGalleryStore(database))
    TokenStore(database).create("door", (Scope.IDENTIFY,))
    database.close()


def remember(store: SqliteGalleryStore) -> None:
    """A visit of each kind, two strangers, a negative example and an ignored person."""
    person = store.people()[0]
    strangers = [make_stranger(store.memory.next_stranger_number()) for _ in range(2)]
    for stranger in strangers:
        store.memory.put_stranger(stranger, new=True)
    store.memory.keep_visit(make_visit(11, person_id=person.id))
    store.memory.keep_visit(make_visit(12, stranger_id=strangers[0].id))
    store.memory.keep_visit(make_visit(13))
    store.memory.add_negative(make_negative(person, 14))
    store.set_ignored(store.people()[1].id, True)


def contents(path: Path) -> list[object]:
    """Everything that PrivFace reads from a database."""
    database = Database(path, KEYS)
    store = SqliteGalleryStore(database)
    templates = [
        (template.face_id, template.person_id, template.level, template.vector.tobytes())
        for template in store.templates(CONTRACT)
    ]
    events = EventLog(database).list(limit=1000)
    read: list[object] = [
        store.people(),
        store.faces(),
        templates,
        events,
        EventLog(database).explanation("event-3"),
        *(visit and plain(visit) for visit in map(store.memory.visit, ("visit-11", "visit-12", "visit-13"))),
        *map(plain, store.memory.strangers()),
        *map(plain, store.memory.negatives()),
        TokenStore(database).list(),
        database.instance_id(),
    ]
    database.close()
    return read


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def refuse(path: Path, code: ErrorCode = ErrorCode.GALLERY_CORRUPT) -> PrivFaceError:
    """Opening it must fail with ``code`` and leave every file as it is."""
    before = {file: digest(file) for file in (path, path.with_name(path.name + "-wal")) if file.exists()}
    status = path.stat() if path.exists() else None
    with pytest.raises(PrivFaceError) as error:
        Database(path, KEYS)
    assert error.value.code is code, error.value.message
    for file, was in before.items():
        assert digest(file) == was
    if status is not None:
        assert path.stat().st_mtime_ns == status.st_mtime_ns
    return error.value


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "privface.db"
    make_database(path)
    return path


@pytest.fixture(scope="module")
def whole(whole_file: Path) -> bytes:
    return whole_file.read_bytes()


@pytest.fixture
def path(tmp_path: Path, whole: bytes) -> Path:
    path = tmp_path / "privface.db"
    path.write_bytes(whole)
    return path


def test_the_whole_one_opens(path: Path) -> None:
    assert contents(path)


def test_garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))  # noqa: S311  # bytes to fill a file
    error = refuse(path)
    assert "Nothing was written to it" in error.message
    assert "backup" in error.message
    assert "away" in error.message


@pytest.mark.parametrize("data", [b"\0", b"SQLite format 3\x00", b"{}", b"\0" * 100, b"\0" * 4096])
def test_too_little_to_be_a_database(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    refuse(path)


@pytest.mark.parametrize("kept", [99, 100, 512, 4096, 4097, 40_000, -4096, -1])
def test_truncated(path: Path, whole: bytes, kept: int) -> None:
    path.write_bytes(whole[:kept])
    refuse(path)


def test_emptied_while_its_log_is_not(path: Path) -> None:
    path.write_bytes(b"")
    path.with_name(path.name + "-wal").write_bytes(b"what was committed last")
    refuse(path)
    path.unlink()
    refuse(path)


def test_another_program_s_database(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE people (id TEXT)")
    other.commit()
    other.close()
    refuse(path)


def test_a_newer_one(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    other.close()
    error = refuse(path, ErrorCode.GALLERY_TOO_NEW)
    assert "version 99" in error.message


def test_a_newer_one_whose_version_is_in_the_log_only(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=99")
    refuse(path, ErrorCode.GALLERY_TOO_NEW)
    other.close()


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def stored(path: Path, query: str) -> bytes:
    """A value as it stands in the file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        value = connection.execute(query).fetchone()[0]
        assert isinstance(value, bytes)
        return value


def test_one_bit_of_a_template(path: Path, whole: bytes) -> None:
    at = whole.index(stored(path, "SELECT vector FROM templates LIMIT 1 OFFSET 4"))
    flip(path, at + 200)
    error = refuse(path)
    assert "templates" in error.message


def test_one_bit_of_a_remembered_face(path: Path, whole: bytes) -> None:
    flip(path, whole.index(stored(path, "SELECT vector FROM remembered LIMIT 1 OFFSET 3")) + 100)
    error = refuse(path)
    assert "remembered" in error.message


@pytest.mark.parametrize("at", [0, 13, -1])
def test_one_bit_of_a_name(path: Path, whole: bytes, at: int) -> None:
    name = stored(path, "SELECT name FROM people LIMIT 1 OFFSET 1")
    flip(path, whole.index(name) + at % len(name))
    error = refuse(path)
    assert "Person" not in error.message


def test_a_text_that_is_no_utf_8_any_more(path: Path, whole: bytes) -> None:
    flip(path, whole.index(b"visit-13") + 2, bit=7)
    refuse(path)


@pytest.mark.parametrize(
    ("table", "column"),
    [("people", "name"), ("faces", "source"), ("templates", "vector"), ("events", "body"), ("remembered", "vector")],
)
def test_a_value_that_was_put_in_another_s_place(path: Path, table: str, column: str) -> None:
    """A writer who knows how rows are checked has no key."""
    columns = SEALED_ROWS[table].removeprefix("SELECT ").partition(" FROM ")[0].split(", ")[:-1]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f"UPDATE {table} SET {column} = (SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT 1) "  # noqa: S608  # names of ours
            f"WHERE rowid = (SELECT min(rowid) FROM {table})"
        )
        rowid, *values = connection.execute(
            f"SELECT rowid, {', '.join(columns)} FROM {table} ORDER BY rowid LIMIT 1"  # noqa: S608  # as above
        ).fetchone()
        connection.execute(
            f"UPDATE {table} SET digest = ? WHERE rowid = ?",  # noqa: S608  # as above
            (row_digest(table, values), rowid),
        )
        connection.commit()
    with pytest.raises(PrivFaceError) as error:
        contents(path)
    assert error.value.code is ErrorCode.GALLERY_CORRUPT
    assert "Person" not in error.value.message


def test_a_page_of_zeros(path: Path, whole: bytes) -> None:
    for page in range(1, len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + b"\0" * 4096 + whole[(page + 1) * 4096 :])
        refuse(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_found_or_harmless(whole_file: Path, data: st.DataObject) -> None:
    path = whole_file.with_name("flipped.db")
    shutil.copyfile(whole_file, path)
    flip(path, data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
    was = digest(path)
    code: ErrorCode | None = None
    found: list[object] = []
    try:
        found = contents(path)
    except PrivFaceError as error:
        code = error.code
    event("harmless" if code is None else code)
    if code is None:
        assert found == contents(whole_file)
    else:
        assert code in {ErrorCode.GALLERY_CORRUPT, ErrorCode.GALLERY_TOO_NEW}
        assert digest(path) == was


def change(statement: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        other = sqlite3.connect(path)
        other.execute(statement)
        other.commit()
        other.close()

    return apply


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE people SET name = 'Mallory' WHERE rowid = 1",
        "UPDATE templates SET relative = 0.5 WHERE relative = 0.1",
        "UPDATE tokens SET scopes = 'admin'",
        "UPDATE faces SET person_id = (SELECT id FROM people WHERE rowid = 3)",
        "DELETE FROM people WHERE rowid = 1",
        "UPDATE meta SET value = 'x'",
        "DELETE FROM strangers WHERE number = 1",
        "UPDATE strangers SET visits = 9 WHERE number = 2",
        "UPDATE visits SET person_id = NULL",
        "UPDATE negatives SET person_id = (SELECT id FROM people WHERE rowid = 3)",
        "UPDATE remembered SET weight = 7 WHERE negative_id IS NOT NULL",
        "UPDATE remembered SET relative = 0.5 WHERE visit_id = 'visit-13' AND relative > 0",
        "UPDATE ignored SET person_id = (SELECT id FROM people WHERE rowid = 3)",
        "UPDATE explanations SET body = '{}'",
        "UPDATE explanations SET event_id = 'event-4'",
        "DELETE FROM events WHERE event_id = 'event-3'",
        "DROP INDEX templates_by_contract",
        "CREATE TABLE extra (id TEXT)",
        "CREATE TRIGGER extra AFTER INSERT ON faces BEGIN DELETE FROM people; END",
    ],
)
def test_rows_that_another_program_has_changed(path: Path, statement: str) -> None:
    change(statement)(path)
    refuse(path)


def test_damage_behind_a_log_that_a_killed_process_left(path: Path) -> None:
    vector = stored(path, "SELECT vector FROM templates LIMIT 1 OFFSET 4")
    child = subprocess.Popen(
        [sys.executable, "-m", "support.gallery_child", "forever", str(path)],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(5):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    assert vector not in log.read_bytes()
    flip(path, path.read_bytes().index(vector) + 100)
    refuse(path)
    assert log.stat().st_size > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.chmod(0)
    with pytest.raises(PrivFaceError) as error:
        Database(path, KEYS)
    assert error.value.code is ErrorCode.STORAGE_FAILED
