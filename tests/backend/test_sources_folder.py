"""A camera's folder: what becomes a frame, what doesn't, and what an upload can do wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.folder import FolderSource
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, Source, SourceState
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until
from support.http_camera import jpeg

CARD = FrameCard(camera="porch", captured_at=datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC))
SECRET = "s3cret-word"


def shade(brightness: int, *, noise: bool = False) -> bytes:
    """A picture's file, known by its brightness; with noise a large one."""
    pixels = np.full((240, 320, 3), brightness, dtype=np.int16)
    if noise:
        pixels += np.random.default_rng(brightness).integers(-20, 20, pixels.shape, dtype=np.int16)
    return jpeg(pixels.clip(0, 255).astype(np.uint8))


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a picture's file at once, as a move into the folder does."""
    aside = folder.with_name("aside")
    aside.write_bytes(data)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    return aside.rename(folder / name)


class Watched:
    """A folder's source that is being followed, with what it gave and told."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.frames: list[Frame] = []
        self.told: list[SourceState] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.source = FolderSource(
            path=folder,
            card=CARD,
            on_state=self.told.append,
            backoff=Backoff(first=0.05, ceiling=0.2),
            **options,
        )

    async def follow(self) -> None:
        async for frame in self.source.frames():
            self.frames.append(frame)
            await self.go_on.wait()

    @property
    def shades(self) -> list[int]:
        return [round(float(frame.pixels.mean()) / 10) * 10 for frame in self.frames]

    async def shows(self, *shades: int) -> None:
        await until(lambda: self.shades == list(shades), seconds=30)


@asynccontextmanager
async def watched(folder: Path, **options: Any) -> AsyncIterator[Watched]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    seen = Watched(folder, **options)
    following = asyncio.create_task(seen.follow())
    try:
        await until(lambda: bool(seen.told) and seen.told[-1].state == "connected", seconds=30)
        yield seen
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_new_pictures_become_frames_and_old_ones_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "porch"
    folder.mkdir()
    put(folder, "old.jpg", shade(200))
    async with watched(folder) as seen:
        put(folder, "one.jpg", shade(50))
        await seen.shows(50)
        put(folder, "2026/11/28/two.JPG", shade(100))
        await seen.shows(50, 100)
    assert [frame.index for frame in seen.frames] == [0, 1]
    assert {frame.card.camera for frame in seen.frames} == {"porch"}
    assert sorted(path.name for path in folder.rglob("*.*")) == ["old.jpg", "one.jpg", "two.JPG"]


async def test_a_picture_that_comes_along_with_its_folders(tmp_path: Path) -> None:
    """Nobody could watch those folders before it was there."""
    made = tmp_path / "made"
    put(made, "11/28/one.jpg", shade(50))
    (made / "11" / "out").symlink_to(tmp_path / "outside")
    put(tmp_path / "outside", "secret.jpg", shade(100))
    async with watched(tmp_path / "porch") as seen:
        made.rename(seen.folder / "2026")
        await seen.shows(50)
        put(seen.folder, "last.jpg", shade(200))
        await seen.shows(50, 200)


async def test_a_picture_is_waited_for_until_it_is_whole(tmp_path: Path) -> None:
    data = shade(50, noise=True)
    async with watched(tmp_path / "porch") as seen:
        with (seen.folder / "one.jpg").open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            # One that comes whole meanwhile shows that the half one had its chance.
            put(seen.folder, "two.jpg", shade(100))
            await seen.shows(100)
            file.write(data[len(data) // 2 :])
        await seen.shows(100, 50)


async def test_a_picture_that_is_renamed_when_it_is_done(tmp_path: Path) -> None:
    async with watched(tmp_path / "porch") as seen:
        (seen.folder / "one.jpg.part").write_bytes(shade(50))
        (seen.folder / "one.jpg.part").rename(seen.folder / "one.jpg")
        await seen.shows(50)


async def test_one_file_that_is_written_again_and_again(tmp_path: Path) -> None:
    async with watched(tmp_path / "porch") as seen:
        for brightness in (50, 100, 150):
            (seen.folder / "latest.jpg").write_bytes(shade(brightness))
            await until(lambda wanted=brightness: seen.shades[-1:] == [wanted], seconds=30)  # type: ignore[misc]  # a value of this turn
        # The same picture with another time is nothing new.
        os.utime(seen.folder / "latest.jpg")
        put(seen.folder, "other.jpg", shade(200))
        await seen.shows(50, 100, 150, 200)


async def test_the_newest_wins_and_the_others_are_counted(tmp_path: Path) -> None:
    async with watched(tmp_path / "porch", remove=True) as seen:
        seen.go_on.clear()
        put(seen.folder, "first.jpg", shade(20))
        await seen.shows(20)
        for place, brightness in enumerate((50, 100, 150)):
            path = put(seen.folder, f"{brightness}.jpg", shade(brightness))
            os.utime(path, (path.stat().st_mtime + place, path.stat().st_mtime + place))
        seen.go_on.set()
        await until(lambda: seen.shades[-1] == 150, seconds=30)
        put(seen.folder, "last.jpg", shade(200))
        await until(lambda: seen.shades[-1] == 200, seconds=30)
        await until(lambda: not list(seen.folder.iterdir()), seconds=30)
        # What isn't a frame was counted; how many are which depends on when they were noticed.
        assert len(seen.frames) + seen.told[-1].skipped <= 5


async def test_nothing_is_removed_that_is_no_picture_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{SECRET}.jpg").write_bytes(shade(50))
    async with watched(tmp_path / "porch", remove=True) as seen:
        (seen.folder / "link.jpg").symlink_to(outside / f"{SECRET}.jpg")
        (seen.folder / "inner").symlink_to(outside)
        os.mkfifo(seen.folder / "pipe.jpg")
        (seen.folder / "folder.jpg").mkdir()
        (seen.folder / ".hidden.jpg").write_bytes(shade(50))
        (seen.folder / "text.jpg").write_text("no picture")
        (seen.folder / "film.mp4").write_bytes(b"no picture")
        (outside / "more.jpg").write_bytes(shade(60))
        put(seen.folder, "real.jpg", shade(100))
        await seen.shows(100)
        put(seen.folder, "real.jpg", shade(150))
        await seen.shows(100, 150)
    assert len(list(outside.iterdir())) == 2
    assert not (seen.folder / "real.jpg").exists()
    assert (seen.folder / "text.jpg").exists()


async def test_a_picture_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    large = shade(50, noise=True)
    async with watched(tmp_path / "porch", max_bytes=len(large) - 1, max_pixels=320 * 240) as seen:
        put(seen.folder, "bytes.jpg", large)
        put(seen.folder, "pixels.jpg", jpeg(np.zeros((241, 320, 3), dtype=np.uint8)))
        put(seen.folder, "good.jpg", shade(100))
        await seen.shows(100)


@pytest.mark.parametrize(("age", "plausible"), [(60, True), (-3600, False), (86400, False)])
async def test_the_files_time_counts_where_it_is_plausible(tmp_path: Path, age: int, plausible: bool) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    async with watched(tmp_path / "porch", clock=lambda: now) as seen:
        data, aside = shade(50), tmp_path / "aside"
        aside.write_bytes(data)
        written = now - timedelta(seconds=age)
        os.utime(aside, (written.timestamp(), written.timestamp()))
        aside.rename(seen.folder / "one.jpg")
        await seen.shows(50)
    assert seen.frames[0].card.captured_at == (written if plausible else now)


async def test_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    async with watched(tmp_path / f"porch-{SECRET}") as seen:
        put(seen.folder, "one.jpg", shade(50))
        await seen.shows(50)
        seen.folder.rename(tmp_path / "away")
        await until(lambda: sum(one.state == "lost" for one in seen.told) >= 2, seconds=30)
        seen.folder.mkdir()
        await until(lambda: seen.told[-1].reconnects == 1, seconds=30)
        put(seen.folder, "two.jpg", shade(100))
        await seen.shows(50, 100)
    assert not any(SECRET in repr(one) for one in seen.told)
    assert SECRET not in repr(seen.source)


async def test_with_a_time_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    options: dict[str, object] = {"path": tmp_path / SECRET, "card": CARD, "seconds": 5}
    context = EngineContext(weights=WeightsStore(tmp_path), options=options)
    made = Registry().create(EngineKind.SOURCE, "folder", context)
    assert isinstance(made, Source)
    with pytest.raises(PrivFaceError) as caught:
        await anext(made.frames())
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
    assert SECRET not in str(caught.value)


async def test_with_a_time_it_ends(tmp_path: Path) -> None:
    source = FolderSource(path=tmp_path, card=CARD, seconds=0.5)
    async with asyncio.timeout(30):
        assert [frame async for frame in source.frames()] == []
