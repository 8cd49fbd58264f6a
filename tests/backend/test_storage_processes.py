"""Processes that are killed, that run out of disk, and that share one database."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import Database
from support.gallery import CONTRACT, LEVELS, make_face, make_person, make_templates, open_gallery
from support.keys import KEYS
from support.mqtt import make_event

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent.parent


def start_child(task: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "support.gallery_child", task, str(path), *arguments],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_whole(path: Path) -> set[str]:
    """Open it, which checks everything; each face must have all of its templates. The faces' ids."""
    database = Database(path, KEYS)
    store = SqliteGalleryStore(database)
    templates = Counter(template.face_id for template in store.templates(CONTRACT))
    faces = {face.id for face in store.faces()}
    assert set(templates) == faces
    assert set(templates.values()) <= {len(LEVELS)}
    database.close()
    return faces


def test_killed_while_enrolling_ten_times_the_store_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    told: set[str] = set()
    chance = random.Random(7)  # noqa: S311  # when to kill
    for _ in range(10):
        child = start_child("forever", path)
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 12)):
            told.add(child.stdout.readline().strip())
        # Somewhere in the middle of what comes next.
        for _ in range(chance.randrange(20_000)):
            pass
        child.send_signal(signal.SIGKILL)
        told.update(line.strip() for line in child.stdout if line.endswith("\n"))
        child.wait()
        child.stdout.close()
        # What was told to be enrolled is; of what was under way, everything or nothing.
        assert told <= check_whole(path)
    assert len(told) >= 10


def test_killed_while_strangers_become_people_each_is_one_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    told: set[str] = set()
    chance = random.Random(11)  # noqa: S311  # when to kill
    for _ in range(6):
        child = start_child("strangers", path)
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 12)):
            told.add(child.stdout.readline().strip())
        for _ in range(chance.randrange(20_000)):
            pass
        child.send_signal(signal.SIGKILL)
        told.update(line.strip() for line in child.stdout if line.endswith("\n"))
        child.wait()
        child.stdout.close()
        database = Database(path, KEYS)
        store = SqliteGalleryStore(database)
        people = {int(person.name.split()[1]): person for person in store.people()}
        strangers = {stranger.number for stranger in store.memory.strangers()}
        assert not strangers & set(people)
        assert {int(line.split()[1]) for line in told if line.startswith("met")} <= strangers | set(people)
        assert {int(line.split()[1]) for line in told if line.startswith("named")} <= set(people)
        for number, person in people.items():
            visit = store.memory.visit(f"visit-{number}")
            assert visit is not None
            assert (person.faces, visit.person_id, visit.stranger_id) == (1, person.id, None)
        assert store.memory.next_stranger_number() > max(strangers | set(people), default=0)
        database.close()
    assert len(told) >= 6


def test_killed_at_its_very_first_start(tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / str(number) / "privface.db"
        child = start_child("forever", path)
        while child.poll() is None and not path.parent.exists():
            pass
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
        check_whole(path)


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    child = start_child("full", path, str(2 * 1024 * 1024))
    out, _ = child.communicate(timeout=120)
    *told, code = out.split()
    assert child.returncode == 0
    assert code == "storage_full"
    assert len(told) > 10
    assert check_whole(path) == set(told)

    database = Database(path, KEYS)
    store = SqliteGalleryStore(database)
    face = make_face(store.people()[0], picture="once there is room")
    store.add_face(face, CONTRACT, make_templates(face))
    database.close()
    assert check_whole(path) == {*told, face.id}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    path = small_disk / "privface.db"
    database = Database(path, KEYS)
    store = SqliteGalleryStore(database)
    person = make_person()
    store.add_person(person)
    told: set[str] = set()

    def enroll(seed: int) -> None:
        face = make_face(person, picture=str(seed))
        store.add_face(face, CONTRACT, make_templates(face, seed))
        told.add(face.id)

    def enroll_all() -> None:
        for seed in range(1000):
            enroll(seed)

    with pytest.raises(PrivFaceError) as error:
        enroll_all()
    assert error.value.code is ErrorCode.STORAGE_FULL
    assert len(told) > 10
    assert {face.id for face in store.faces()} == told
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    enroll(5000)
    database.close()
    assert check_whole(path) == told


def test_a_first_start_on_a_full_disk(small_disk: Path) -> None:
    (small_disk / "filling").write_bytes(b"x" * (1000 * 1024))
    with pytest.raises(PrivFaceError) as error:
        Database(small_disk / "privface.db", KEYS)
    assert error.value.code is ErrorCode.STORAGE_FULL
    (small_disk / "filling").unlink()
    database = Database(small_disk / "privface.db", KEYS)
    assert database.instance_id()
    database.close()


async def test_two_processes_enroll_while_a_third_serves(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery:
        service = gallery.service
        children = [start_child("some", path, name, "15") for name in ("Ada", "Ada", "Grace")]
        while any(child.poll() is None for child in children):
            await service.poll()
            snapshot = service.snapshot
            faces = Counter(template.face_id for template in snapshot.templates)
            assert set(faces.values()) <= {len(LEVELS)}
            assert {template.person_id for template in snapshot.templates} <= set(snapshot.names)
        for child in children:
            assert child.stdout is not None
            child.stdout.close()
        # The two that enroll the same pictures of Ada meet: one of them is refused, and nothing is there twice.
        codes = sorted(child.returncode for child in children)
        assert codes[0] == 0
        assert children[2].returncode == 0
        await service.poll()
        people = {person.name: person for person in await service.people()}
        assert sorted(people) == ["Ada", "Grace"]
        assert (people["Ada"].faces, people["Grace"].faces) == (15, 15)


async def test_a_change_of_the_command_line_reaches_the_server(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as server, open_gallery(path) as command:
        person = await command.service.create_person("Ada")
        assert await server.service.poll()
        assert [found.id for found in await server.service.people()] == [person.id]
        assert not await server.service.poll()
        await command.service.forget(person.id)
        assert await server.service.poll()
        assert await server.service.people() == ()
        # An event is no change of the gallery.
        await server.storage.call(server.events.append, make_event(1))
        assert not await command.service.poll()
