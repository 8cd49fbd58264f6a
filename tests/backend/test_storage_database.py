"""The database file: made, opened by several, changed whole or not at all, and rid of what was deleted."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import Database, StorageThread
from privface_backend.storage.integrity import inspect_file
from privface_backend.storage.schema import MIGRATIONS, row_digest, sealed
from support.gallery import CONTRACT, START, fill, make_face, make_person, make_templates
from support.keys import KEYS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "privface.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(path, KEYS)
    yield opened
    opened.close()


def files_of(path: Path) -> bytes:
    """All that SQLite keeps on the disk."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def test_a_new_database_is_private_and_has_an_identity(path: Path, database: Database) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    identity = database.instance_id()
    assert uuid.UUID(identity).version == 4
    database.close()
    again = Database(path, KEYS)
    assert again.instance_id() == identity
    again.close()
    assert [file.name for file in path.parent.iterdir() if file.suffix != ".lock"] == [path.name]


def test_the_settings_of_the_connection(database: Database) -> None:
    pragmas = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "secure_delete": 1, "temp_store": 2}
    for pragma, value in pragmas.items():
        assert database.rows(f"PRAGMA {pragma}") == [(value,)]


def test_the_log_has_the_mode_of_the_database(path: Path, database: Database) -> None:
    database.set_meta("key", "value")
    log = path.with_name(path.name + "-wal")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_single_values(database: Database) -> None:
    assert database.get_meta("color") is None
    database.set_meta("color", "red")
    database.set_meta("color", "blue")
    assert database.get_meta("color") == "blue"


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    database = Database(path, KEYS)
    assert database.instance_id()
    database.close()


def test_closing_twice_is_no_error_and_using_it_then_is_one(database: Database) -> None:
    database.close()
    database.close()
    with pytest.raises(PrivFaceError) as error:
        database.set_meta("key", "value")
    assert error.value.code is ErrorCode.STORAGE_FAILED


def test_a_transaction_holds_whole_or_not_at_all(database: Database) -> None:
    def change() -> None:
        with database.transaction(durable=True) as connection:
            connection.execute("INSERT INTO meta VALUES ('key', 'value', x'00')")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        change()
    assert database.get_meta("key") is None
    assert database.rows("PRAGMA synchronous") == [(1,)]
    database.set_meta("key", "value")


def test_one_transaction_inside_another_ends_with_the_outer_one(path: Path, database: Database) -> None:
    def interrupted() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('inner', 'value', x'00')")
            raise InterruptedError

    def change(*, fail: bool) -> None:
        with database.transaction(durable=True):
            database.set_meta("outer", "value")
            with pytest.raises(InterruptedError):
                interrupted()
            with database.transaction(durable=True):
                database.set_meta("other", "value")
            if fail:
                raise KeyError

    with pytest.raises(KeyError):
        change(fail=True)
    assert [database.get_meta(key) for key in ("outer", "inner", "other")] == [None] * 3
    change(fail=False)
    assert [database.get_meta(key) for key in ("outer", "inner", "other")] == ["value", None, "value"]
    assert database.rows("PRAGMA synchronous") == [(1,)]
    database.close()
    Database(path, KEYS).close()


def test_scrubbing_inside_a_transaction_waits_for_its_end(path: Path, database: Database) -> None:
    store = SqliteGalleryStore(database)
    ada, rumpelstiltskin = make_person("Ada"), make_person("Rumpelstiltskin")
    store.add_person(ada), store.add_person(rumpelstiltskin)
    with database.transaction():
        store.remove_person(rumpelstiltskin.id)
        store.rename_person(ada.id, "Ada L.")
    assert b"Rumpelstiltskin" not in files_of(path)
    assert [person.name for person in store.people()] == ["Ada L."]


def test_a_database_of_the_first_version_keeps_what_it_holds(path: Path) -> None:
    database = Database(path, KEYS, migrations=MIGRATIONS[:1])
    with database.transaction() as connection:
        connection.execute("INSERT INTO people VALUES (?, ?, ?, ?)", sealed("people", "id", "Ada", START.isoformat()))
        connection.execute("DELETE FROM meta WHERE key = 'key_id'")
    database.close()
    database = Database(path, KEYS)
    assert b"Ada" not in files_of(path)
    store = SqliteGalleryStore(database)
    assert [(person.id, person.name, person.ignored) for person in store.people()] == [("id", "Ada", False)]
    assert store.memory.next_stranger_number() == 1
    database.close()
    with pytest.raises(PrivFaceError) as error:
        Database(path, KEYS, migrations=MIGRATIONS[:1])
    assert error.value.code is ErrorCode.GALLERY_TOO_NEW


def test_a_broken_constraint_is_a_conflict_and_changes_nothing(database: Database) -> None:
    def change() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('one', 'value', x'00')")
            connection.execute("INSERT INTO meta VALUES ('one', 'value', x'00')")

    with pytest.raises(PrivFaceError) as error:
        change()
    assert error.value.code is ErrorCode.CONFLICT
    assert database.get_meta("one") is None


def test_a_directory_in_the_place_of_the_data_directory_s_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(PrivFaceError) as error:
        Database(tmp_path / "file" / "privface.db", KEYS)
    assert error.value.code is ErrorCode.STORAGE_FAILED


def test_a_directory_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(PrivFaceError) as error:
        Database(path, KEYS)
    assert error.value.code is ErrorCode.STORAGE_FAILED


def test_a_writer_that_does_not_end_is_reported(path: Path, database: Database) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database._connection.execute("PRAGMA busy_timeout=50")
    with pytest.raises(PrivFaceError) as error:
        database.set_meta("key", "value")
    assert error.value.code is ErrorCode.STORAGE_FAILED
    assert "locked" in error.value.message
    other.execute("ROLLBACK")
    other.close()
    database.set_meta("key", "value")


def test_migrations_run_once_and_in_order(path: Path) -> None:
    Database(path, KEYS).close()
    two = (*MIGRATIONS, "CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later VALUES (7)")
    database = Database(path, KEYS, migrations=two)
    assert database.rows("SELECT id FROM later") == [(7,)]
    assert database.rows("PRAGMA user_version") == [(len(two),)]
    database.close()
    again = Database(path, KEYS, migrations=two)
    assert again.rows("SELECT id FROM later") == [(7,)]
    again.close()


def test_a_migration_that_fails_leaves_the_version_before(path: Path) -> None:
    database = Database(path, KEYS)
    database.set_meta("key", "value")
    database.close()
    broken = (*MIGRATIONS, "CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (7)")
    with pytest.raises(PrivFaceError) as error:
        Database(path, KEYS, migrations=broken)
    assert error.value.code is ErrorCode.STORAGE_FAILED
    again = Database(path, KEYS)
    assert again.get_meta("key") == "value"
    assert again.rows("SELECT name FROM sqlite_master WHERE name = 'later'") == []
    again.close()


def test_what_a_killed_first_start_left_behind_does_not_matter(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + ".new").write_bytes(b"half a database")
    path.with_name(path.name + ".new-journal").write_bytes(b"half a journal")
    database = Database(path, KEYS)
    assert database.instance_id()
    database.close()


def test_many_threads_may_open_a_new_database_at_once(path: Path) -> None:
    identities: list[str] = []

    def open_it() -> None:
        database = Database(path, KEYS)
        identities.append(database.instance_id())
        database.close()

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(identities) == 6
    assert len(set(identities)) == 1


def sealed_values(database: Database, person_id: str) -> list[bytes]:
    """What stands on the disk for a person, as it stands there."""
    queries = (
        "SELECT name FROM people WHERE id = ?",
        "SELECT source FROM faces WHERE person_id = ?",
        "SELECT substr(vector, 1, 64) FROM templates JOIN faces ON faces.id = face_id WHERE person_id = ?",
    )
    return [value for query in queries for (value,) in database.rows(query, (person_id,))]


@pytest.mark.parametrize("others", [0, 30])
def test_nothing_of_a_forgotten_person_stays_on_the_disk(path: Path, database: Database, others: int) -> None:
    store = SqliteGalleryStore(database)
    fill(store, others, 1)
    person = make_person("Rumpelstiltskin the Forgotten")
    store.add_person(person)
    faces = [make_face(person, picture=f"secret-picture-{number}.jpg", after=number) for number in range(8)]
    templates = [template for seed, face in enumerate(faces) for template in make_templates(face, 5000 + seed)]
    for seed, face in enumerate(faces):
        store.add_face(face, CONTRACT, make_templates(face, 5000 + seed))
    store.rename_person(person.id, "Rumpelstiltskin the Second")
    never = [b"Rumpelstiltskin", b"secret-picture-"]
    never += [template.vector.tobytes()[at : at + 16] for template in templates for at in (0, 248, 496)]
    traces = [person.id.encode(), *(face.id.encode() for face in faces), *sealed_values(database, person.id)]
    held = files_of(path)
    assert [trace for trace in never if trace in held] == []
    assert all(trace in held for trace in traces)

    assert store.remove_person(person.id)
    held = files_of(path)
    assert [trace for trace in (*never, *traces) if trace in held] == []
    assert len(store.people()) == others


@pytest.mark.parametrize("seed", range(6))
def test_names_that_went_are_on_no_page(path: Path, database: Database, seed: int) -> None:
    # SQLite's own overwriting leaves copies of rows behind that were moved between pages: long histories show it.
    chance = random.Random(seed)  # noqa: S311  # a history to replay
    names: dict[str, str] = {}
    gone: list[str] = []
    with database.transaction() as connection:
        for _ in range(3000):
            draw, name = chance.random(), chance.randbytes(chance.randint(8, 60)).hex()
            if draw < 0.6 or not names:
                person_id = chance.randbytes(16).hex()
                connection.execute("INSERT INTO people VALUES (?, ?, ?, ?)", sealed("people", person_id, name, ""))
                names[person_id] = name
                continue
            person_id = chance.choice(list(names))
            gone.append(names.pop(person_id))
            if draw < 0.8:
                row = sealed("people", person_id, name, "")
                connection.execute("UPDATE people SET name = ?, digest = ? WHERE id = ?", (name, row[-1], person_id))
                names[person_id] = name
            else:
                gone.append(person_id)
                connection.execute("DELETE FROM people WHERE id = ?", (person_id,))
    assert database.scrub()
    held = files_of(path)
    assert [text for text in gone if text[:12].encode() in held or text[-12:].encode() in held] == []
    assert dict(database.rows("SELECT id, name FROM people")) == names


def test_scrubbing_is_put_off_while_another_reads_and_made_up_for(path: Path, database: Database) -> None:
    store = SqliteGalleryStore(database)
    person = make_person("Rumpelstiltskin")
    store.add_person(person)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    database._connection.execute("PRAGMA busy_timeout=50")
    (name,) = sealed_values(database, person.id)
    store.remove_person(person.id)
    assert name in files_of(path)
    store.revision()
    assert name in files_of(path)
    reader.execute("COMMIT")
    store.revision()
    assert name not in files_of(path)
    reader.close()


@given(
    st.lists(st.none() | st.text(max_size=5) | st.binary(max_size=5) | st.integers(), max_size=4),
    st.lists(st.none() | st.text(max_size=5) | st.binary(max_size=5) | st.integers(), max_size=4),
)
def test_rows_of_different_values_have_different_digests(
    one: list[str | bytes | int | None], other: list[str | bytes | int | None]
) -> None:
    def plain(values: list[str | bytes | int | None]) -> list[bytes | None]:
        return [
            value if value is None or isinstance(value, bytes) else str(value).encode("utf-8", "replace")
            for value in values
        ]

    assert (row_digest("people", plain(one)) == row_digest("people", plain(other))) == (plain(one) == plain(other))
    assert row_digest("people", plain(one)) != row_digest("faces", plain(one))


def test_checking_reads_only(path: Path, database: Database) -> None:
    fill(SqliteGalleryStore(database), 2, 2)
    database.close()
    before = files_of(path)
    mode = path.stat()
    inspect_file(path, MIGRATIONS)
    assert files_of(path) == before
    assert path.stat().st_mtime_ns == mode.st_mtime_ns


async def test_the_storage_thread_runs_calls_in_order_on_one_thread(database: Database) -> None:
    async with StorageThread() as storage:
        names = await asyncio.gather(*(storage.call(lambda: threading.current_thread().name) for _ in range(5)))
        assert len(set(names)) == 1
        assert names[0].startswith("privface-storage")
        order: list[int] = []
        await asyncio.gather(*(storage.call(order.append, number) for number in range(50)))
        assert order == list(range(50))
        with pytest.raises(ZeroDivisionError):
            await storage.call(lambda: 1 // 0)


async def test_a_closed_storage_thread_finishes_what_was_called_and_refuses_more() -> None:
    storage = StorageThread()
    entered, leave = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        entered.set()
        leave.wait(10)
        done.append("work")

    running = asyncio.create_task(storage.call(work))
    await asyncio.to_thread(entered.wait, 10)
    closing = asyncio.create_task(storage.aclose())
    await asyncio.sleep(0)
    leave.set()
    await closing
    await running
    assert done == ["work"]
    with pytest.raises(PrivFaceError) as error:
        await storage.call(os.getpid)
    assert error.value.code is ErrorCode.OVERLOADED
