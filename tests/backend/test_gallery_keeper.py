"""Keeping what visits come to, without waiting for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from privface_backend.gallery.keeper import MemoryKeeper
from support.backend import until
from support.gallery import CONTRACT, OpenGallery, make_stranger, make_visit, open_gallery


@contextlib.asynccontextmanager
async def keeping(gallery: OpenGallery) -> AsyncIterator[MemoryKeeper]:
    """A keeper that writes until the block ends, and what is left then."""
    keeper = MemoryKeeper(gallery.memory)
    await keeper.load()
    task = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_put_is_known_at_once_and_written_in_order(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery, keeping(gallery) as keeper:
        stranger = make_stranger(keeper.next_number())
        keeper.put_stranger(stranger, new=True)
        keeper.keep_visit(make_visit(1, stranger_id=stranger.id))
        keeper.put_stranger(replace(stranger, visits=2))
        assert [(known.number, known.visits) for known in keeper.known(CONTRACT.key)] == [(1, 2)]
        assert gallery.service.snapshot.strangers == ()
        await until(lambda: [one.visits for one in gallery.service.snapshot.strangers] == [2])
        assert gallery.store.memory.visit("visit-1") is not None
        assert keeper.next_number() == 2
        keeper.put_stranger(make_stranger(2), new=True)
    async with open_gallery(path) as gallery, keeping(gallery) as keeper:
        assert [known.number for known in keeper.known(CONTRACT.key)] == [1, 2]
        assert keeper.next_number() == 3


async def test_who_was_forgotten_meanwhile_stays_forgotten(tmp_path: Path) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery, keeping(gallery) as keeper:
        stranger = make_stranger(keeper.next_number())
        keeper.put_stranger(stranger, new=True)
        await until(lambda: len(gallery.service.snapshot.strangers) == 1)
        await gallery.memory.forget_stranger("1")
        keeper.put_stranger(replace(stranger, visits=2))
        assert keeper.known(CONTRACT.key) == ()
        other = make_stranger(keeper.next_number())
        keeper.put_stranger(other, new=True)
        await until(lambda: [one.number for one in gallery.service.snapshot.strangers] == [2])


async def test_one_that_can_t_be_kept_holds_up_no_other(tmp_path: Path) -> None:
    async with open_gallery(tmp_path / "privface.db") as gallery, keeping(gallery) as keeper:
        keeper.put_stranger(make_stranger(1), new=True)
        keeper.put_stranger(make_stranger(1), new=True)
        keeper.put_stranger(make_stranger(2), new=True)
        await until(lambda: [one.number for one in gallery.service.snapshot.strangers] == [1, 2])


async def test_what_the_disk_does_not_take_is_not_known_any_more(tmp_path: Path) -> None:
    path = tmp_path / "privface.db"
    async with open_gallery(path) as gallery, keeping(gallery) as keeper:
        other = sqlite3.connect(path, isolation_level=None)
        gallery.database._connection.execute("PRAGMA busy_timeout=10")
        other.execute("BEGIN IMMEDIATE")
        for number in (1, 2):
            keeper.put_stranger(make_stranger(number), new=True)
        await until(lambda: keeper.known(CONTRACT.key) == ())
        other.execute("ROLLBACK")
        other.close()
        keeper.put_stranger(make_stranger(3), new=True)
        await until(lambda: [one.number for one in gallery.service.snapshot.strangers] == [3])


async def test_nothing_is_kept_where_nothing_is_to_be(tmp_path: Path) -> None:
    async with (
        open_gallery(tmp_path / "privface.db", keeping=timedelta(0)) as gallery,
        keeping(gallery) as keeper,
    ):
        keeper.put_stranger(make_stranger(keeper.next_number()), new=True)
        keeper.keep_visit(make_visit(1))
        assert keeper.known(CONTRACT.key) == ()
    async with open_gallery(tmp_path / "privface.db") as gallery:
        assert await gallery.memory.strangers() == ()
