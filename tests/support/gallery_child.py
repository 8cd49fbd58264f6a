"""A process of its own that works on a gallery, to be killed, to run out of disk or to meet another one."""

from __future__ import annotations

import asyncio
import itertools
import resource
import signal
import sys
from pathlib import Path

from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import KeyFolder
from privface_backend.storage.database import Database
from support.gallery import (
    CONTRACT,
    make_face,
    make_person,
    make_represented,
    make_stranger,
    make_templates,
    make_visit,
    open_gallery,
)
from support.keys import KEYS


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def enroll_forever(path: Path) -> None:
    """Enroll a person with a face, print the face's id, and so on."""
    store = SqliteGalleryStore(Database(path, KEYS))
    for seed in itertools.count(100_000):
        person = make_person(f"Person {seed}")
        store.add_person(person)
        face = make_face(person, picture=person.id)
        store.add_face(face, CONTRACT, make_templates(face, seed))
        say(face.id)


def name_strangers_forever(path: Path) -> None:
    """Remember a stranger of one visit, print the number, make a person of them, print the number again, and so on."""

    async def work() -> None:
        async with open_gallery(path) as gallery:
            while True:
                stranger = make_stranger(await gallery.memory.next_stranger_number())
                await gallery.memory.put_stranger(stranger, new=True)
                await gallery.memory.keep_visit(make_visit(stranger.number, stranger_id=stranger.id))
                say(f"met {stranger.number}")
                await gallery.memory.name_stranger(stranger.id, name=f"Person {stranger.number}")
                say(f"named {stranger.number}")

    asyncio.run(work())


def enroll_until_full(path: Path, limit: int) -> None:
    """Enroll under a limit on the size of files until the disk takes no more; print the code of what came."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SqliteGalleryStore(Database(path, KEYS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    person = make_person()
    store.add_person(person)
    for seed in range(10_000):
        face = make_face(person, picture=str(seed))
        try:
            store.add_face(face, CONTRACT, make_templates(face, seed))
        except PrivFaceError as error:
            say(error.code.value)
            break
        say(face.id)


async def enroll_some(path: Path, name: str, count: int) -> None:
    """Enroll pictures of one person, one after the other, as `privface enroll` does."""
    async with open_gallery(path) as gallery:
        for seed in range(count):
            person = await gallery.service.ensure_person(name)
            await gallery.service.add_face(person.id, make_represented(seed), picture_digest=f"{name} {seed}")


def rotate_forever(path: Path, keys: Path) -> None:
    """Change the key again and again, and print its id each time."""
    store = KeyFolder(keys)
    database = Database(path, store)
    say("open")
    while True:
        database.rotate_key(store)
        say(database.seals.protection.key_id)


if __name__ == "__main__":
    task, database, *arguments = sys.argv[1:]
    if task == "forever":
        enroll_forever(Path(database))
    elif task == "strangers":
        name_strangers_forever(Path(database))
    elif task == "full":
        enroll_until_full(Path(database), int(arguments[0]))
    elif task == "rotate":
        rotate_forever(Path(database), Path(arguments[0]))
    elif task == "some":
        asyncio.run(enroll_some(Path(database), arguments[0], int(arguments[1])))
