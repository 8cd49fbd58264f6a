"""A database and its key: the wrong one, none, another one, and a change of keys that is cut off."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import GivenKeys, KeyFolder
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import Database
from privface_backend.storage.events import EventLog
from support.gallery import CONTRACT, fill, make_face, make_person, make_templates, make_visit, plain
from support.mqtt import make_event
from support.remembered import explain

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def path(tmp_path: Path, keys: KeyFolder) -> Path:
    """A database with something in each sealed table."""
    path = tmp_path / "data" / "privface.db"
    database = Database(path, keys)
    store = SqliteGalleryStore(database)
    fill(store, 4, 2)
    store.memory.keep_visit(make_visit(11, person_id=store.people()[0].id))
    EventLog(database).extend((make_event(number) for number in range(20)), {"event-3": explain("somebody")})
    database.set_meta("cameras", "the front door", secret=True)
    database.close()
    return path


def contents(database: Database) -> list[object]:
    store, events = SqliteGalleryStore(database), EventLog(database)
    visit = store.memory.visit("visit-11")
    assert visit is not None
    return [
        store.people(),
        store.faces(),
        [(template.face_id, template.level, template.vector.tobytes()) for template in store.templates(CONTRACT)],
        events.list(limit=1000),
        events.list(camera=events.list(limit=1)[0].camera, limit=1000),
        events.explanation("event-3"),
        plain(visit),
        database.get_meta("cameras"),
    ]


def files(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix != ".lock"}


def key_files(tmp_path: Path) -> list[str]:
    return sorted(path.stem for path in (tmp_path / "keys").iterdir())


def test_without_its_key_nothing_is_read_or_written(tmp_path: Path, path: Path) -> None:
    before = files(path.parent)
    for wrong in (KeyFolder(tmp_path / "others"), GivenKeys([MasterKey.generate()], "the test")):
        with pytest.raises(PrivFaceError) as error:
            Database(path, wrong)
        assert error.value.code is ErrorCode.KEY_MISSING
        assert wrong.place in error.value.message
        assert error.value.details["key"] == key_files(tmp_path)[0]
    assert files(path.parent) == before
    assert not (tmp_path / "others").exists()


def test_a_key_file_that_was_cut_off(tmp_path: Path, path: Path, keys: KeyFolder) -> None:
    (file,) = (tmp_path / "keys").iterdir()
    file.write_text(file.read_text()[:-10])
    before = files(path.parent)
    with pytest.raises(PrivFaceError) as error:
        Database(path, keys)
    assert error.value.code is ErrorCode.KEY_MISSING
    assert files(path.parent) == before


def test_another_key_opens_the_same_and_the_old_one_is_gone(tmp_path: Path, path: Path, keys: KeyFolder) -> None:
    database = Database(path, keys)
    before, (old,) = contents(database), key_files(tmp_path)
    held = {value for (value,) in database.rows("SELECT vector FROM templates")}
    assert database.rotate_key(keys)
    assert contents(database) == before
    (new,) = key_files(tmp_path)
    assert new != old
    on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not any(value in on_disk for value in held)
    SqliteGalleryStore(database).add_person(make_person("Zoe"))
    database.close()
    again = Database(path, keys)
    assert contents(again)[1:] == before[1:]
    again.close()


def test_a_copy_from_before_opens_where_the_old_key_is_kept(tmp_path: Path, path: Path, keys: KeyFolder) -> None:
    copy = tmp_path / "copy" / "privface.db"
    copy.parent.mkdir()
    shutil.copyfile(path, copy)
    database = Database(path, keys)
    before = contents(database)
    assert not database.rotate_key(keys, keep_old=True)
    database.close()
    assert len(key_files(tmp_path)) == 2
    old = Database(copy, keys)
    assert contents(old) == before
    old.close()


def test_who_still_has_the_old_key_writes_nothing(path: Path, keys: KeyFolder) -> None:
    late, database = Database(path, keys), Database(path, keys)
    database.rotate_key(keys)
    with pytest.raises(PrivFaceError) as error:
        SqliteGalleryStore(late).add_person(make_person("Zoe"))
    assert error.value.code is ErrorCode.KEY_MISSING
    with pytest.raises(PrivFaceError):
        SqliteGalleryStore(late).people()
    late.close()
    assert len(SqliteGalleryStore(database).people()) == 4
    database.close()


def test_given_keys_go_from_one_to_the_other(tmp_path: Path) -> None:
    one, other = MasterKey.generate(), MasterKey.generate()
    path = tmp_path / "privface.db"
    database = Database(path, GivenKeys([one], "the test"))
    fill(SqliteGalleryStore(database), 2, 1)
    with pytest.raises(PrivFaceError) as error:
        database.rotate_key(GivenKeys([one], "the test"))
    assert error.value.code is ErrorCode.KEY_MISSING
    assert not database.rotate_key(GivenKeys([one, other], "the test"))
    database.close()
    database = Database(path, GivenKeys([other], "the test"))
    assert len(SqliteGalleryStore(database).templates(CONTRACT)) > 0
    database.close()
    with pytest.raises(PrivFaceError):
        Database(path, GivenKeys([one], "the test"))


def test_one_changed_value_stops_the_change_and_nothing_is_lost(tmp_path: Path, path: Path, keys: KeyFolder) -> None:
    database = Database(path, keys)
    other = sqlite3.connect(path)
    other.execute("UPDATE events SET body = zeroblob(100) WHERE event_id = 'event-7'")
    other.commit()
    other.close()
    before, old = database.rows("SELECT name FROM people"), key_files(tmp_path)
    with pytest.raises(PrivFaceError) as error:
        database.rotate_key(keys)
    assert error.value.code is ErrorCode.GALLERY_CORRUPT
    assert database.rows("SELECT name FROM people") == before
    assert len(SqliteGalleryStore(database).people()) == 4
    assert set(old) <= set(key_files(tmp_path))
    database.close()


def test_killed_at_any_point_the_database_opens_whole(tmp_path: Path, path: Path, keys: KeyFolder) -> None:
    database = Database(path, keys)
    before = contents(database)
    database.close()
    chance = random.Random(6)  # noqa: S311  # when to kill, no secret
    for _ in range(12):
        child = subprocess.Popen(
            [sys.executable, "-m", "support.gallery_child", "rotate", str(path), str(tmp_path / "keys")],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        child.wait()
        child.stdout.close()
        database = Database(path, keys)
        assert contents(database) == before
        assert database.get_meta("key_retired") is None
        database.close()


def test_ten_thousand_templates_change_their_key(tmp_path: Path, keys: KeyFolder) -> None:
    database = Database(tmp_path / "data" / "privface.db", keys)
    store = SqliteGalleryStore(database)
    person = make_person("Ada")
    store.add_person(person)
    with store.transaction():
        for number in range(910):
            face = make_face(person, picture=str(number))
            store.add_face(face, CONTRACT, make_templates(face, number))
    before = store.templates(CONTRACT)
    assert len(before) >= 10_000
    database.rotate_key(keys)
    after = SqliteGalleryStore(database).templates(CONTRACT)
    assert all(np.array_equal(one.vector, other.vector) for one, other in zip(before, after, strict=True))
    database.close()
