"""Videos held in memory: every frame, upright, within limits."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import threading
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.video import VideoLimits, VideoSource
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, Source, VideoLength
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until
from support.faces import require_data
from support.videos import CLOCKWISE, COUNTERCLOCKWISE, decode, encode, scene, turn

START = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
CARD = FrameCard(camera="porch", captured_at=START)


def source(data: bytes, **limits: int) -> VideoSource:
    return VideoSource(data=data, card=CARD, limits=VideoLimits(**limits))


async def read(data: bytes, **limits: int) -> list[Frame]:
    return [frame async for frame in source(data, **limits).frames()]


async def refusal(data: bytes, **limits: int) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as caught:
        await read(data, **limits)
    return caught.value


def threads() -> int:
    return sum(thread.name.startswith("privface-video") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264")],
)
async def test_every_frame_comes_in_order_with_its_time(kind: str, codec: str) -> None:
    data = encode([scene(number) for number in range(7)], kind=kind, codec=codec, rate=10)
    frames = await read(data)
    assert [frame.index for frame in frames] == list(range(7))
    for frame, expected in zip(frames, decode(data), strict=True):
        np.testing.assert_array_equal(frame.pixels, expected)
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.flags.c_contiguous
    times = [frame.card.captured_at - START for frame in frames]
    assert times == pytest.approx(
        [timedelta(seconds=number / 10) for number in range(7)], abs=timedelta(milliseconds=2)
    )


@pytest.mark.parametrize(("matrix", "turns"), [(CLOCKWISE, -1), (COUNTERCLOCKWISE, 1)])
async def test_a_turned_video_is_put_upright(matrix: tuple[int, ...], turns: int) -> None:
    data = encode([scene(1)] * 2)
    frames = await read(turn(data, matrix))
    np.testing.assert_array_equal(frames[0].pixels, np.rot90(decode(data)[0], turns))
    assert frames[0].pixels.flags.c_contiguous


@pytest.mark.faces
async def test_the_clips_have_the_frames_that_they_should() -> None:
    folder = require_data() / "video"
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        clips = {row["file"]: row for row in csv.DictReader(file)}
    for name in ("single_face_door.mp4", "noface_then_face.mov", "classroom.mp4"):
        count, size = 0, clips[name]["size"]
        async for frame in source((folder / name).read_bytes()).frames():
            assert f"{frame.size.width}x{frame.size.height}" == size
            count += 1
        assert count == int(clips[name]["frames"])


async def test_a_slow_consumer_holds_the_decoder_back(monkeypatch: pytest.MonkeyPatch) -> None:
    data, decoded = encode([scene(1)] * 30), 0
    original = VideoSource._frame

    def counting(self: VideoSource, *arguments: object) -> Frame:
        nonlocal decoded
        decoded += 1
        return original(self, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(VideoSource, "_frame", counting)
    async with aclosing(source(data).frames()) as frames:
        for taken in range(1, 6):
            await anext(frames)
            await until(lambda ahead=taken + 1: decoded == ahead)  # type: ignore[misc]  # a default binds the number
            assert decoded == taken + 1


async def test_closing_early_ends_the_thread() -> None:
    frames = source(encode([scene(1)] * 50)).frames()
    await anext(frames)
    assert threads() == 1
    await frames.aclose()
    await until(lambda: threads() == 0)


async def test_cancelling_the_consumer_ends_the_thread() -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async with aclosing(source(encode([scene(1)] * 50)).frames()) as frames:
            async for _ in frames:
                started.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: threads() == 0)


async def test_nothing_lies_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(await read(encode([scene(1)] * 5))) == 5
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # an async test may not use pathlib's


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"only text, called a video" * 100,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5000 RTP/AVP 96\r\n",
    ],
    ids=["empty", "text", "playlist of files", "playlist of addresses", "concat", "sdp"],
)
async def test_what_is_no_video_is_unreadable(data: bytes) -> None:
    assert (await refusal(data)).code is ErrorCode.VIDEO_UNREADABLE


async def test_half_a_video_is_unreadable_or_ends_early() -> None:
    mp4 = encode([scene(1)] * 20)
    assert (await refusal(mp4[: len(mp4) // 2])).code is ErrorCode.VIDEO_UNREADABLE
    stream = encode([scene(number) for number in range(20)], kind="mpegts")
    assert 0 < len(await read(stream[: len(stream) // 2])) < 20


async def test_sound_alone_has_no_frames() -> None:
    assert (await refusal(sound())).code is ErrorCode.VIDEO_WITHOUT_FRAMES


def sound() -> bytes:
    out = io.BytesIO()
    with av.open(out, mode="w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


async def test_too_many_bytes_are_refused() -> None:
    data = encode([scene(1)] * 2)
    error = await refusal(data, bytes=len(data) - 1)
    assert (error.code, error.allowed) == (ErrorCode.BODY_TOO_LARGE, f"at most {len(data) - 1} bytes")
    assert len(await read(data, bytes=len(data))) == 2


async def test_a_long_video_is_refused_by_its_header_before_a_frame_is_decoded() -> None:
    data = encode([scene(1)] * 30, rate=10)
    frames = source(data, seconds=2).frames()
    with pytest.raises(PrivFaceError) as caught:
        await anext(frames)
    assert (caught.value.code, caught.value.allowed) == (ErrorCode.BODY_TOO_LARGE, "at most 2 seconds")


async def test_a_long_video_without_a_length_in_its_header_is_refused_on_the_way() -> None:
    data = encode([scene(1)] * 30, rate=10, kind="h264")
    frames = source(data, seconds=1).frames()
    for number in range(20):
        assert (await anext(frames)).index == number
    with pytest.raises(PrivFaceError) as caught:
        [frame async for frame in frames]
    assert caught.value.code is ErrorCode.BODY_TOO_LARGE


async def test_large_frames_are_refused() -> None:
    error = await refusal(encode([scene(1)] * 2), pixels=320 * 240 - 1)
    assert (error.code, error.details) == (ErrorCode.PICTURE_TOO_LARGE, {"width": 320, "height": 240})


def test_the_registry_makes_it_from_its_options(tmp_path: Path) -> None:
    store = WeightsStore(tmp_path)
    context = EngineContext(weights=store, options={"data": b"secret", "card": CARD, "max_bytes": 7})
    made = Registry().create(EngineKind.SOURCE, "video", context)
    assert isinstance(made, Source)
    assert isinstance(made, VideoSource)
    assert (made.name, made.limits.bytes, "secret" in repr(made)) == ("video", 7, False)
    with pytest.raises(TypeError, match="data"):
        Registry().create(EngineKind.SOURCE, "video", EngineContext(weights=store))


async def test_a_file_is_read_as_it_goes_along(tmp_path: Path) -> None:
    data = encode([scene(number) for number in range(7)], rate=10)
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    lengths: list[VideoLength] = []
    film = VideoSource(data=path, card=CARD, limits=VideoLimits(bytes=None, seconds=None), on_length=lengths.append)
    frames = [frame async for frame in film.frames()]
    for frame, expected in zip(frames, await read(data), strict=True):
        assert frame.pixels.tobytes() == expected.pixels.tobytes()
        assert frame.card.captured_at == expected.card.captured_at
    assert [(length.frames, round(length.seconds or 0.0, 3)) for length in lengths] == [(7, 0.7)]


async def test_a_film_that_is_longer_than_memory_should_hold(tmp_path: Path) -> None:
    """Only what is looked at is read: the file's end is a hole of many gigabytes."""
    path = tmp_path / "film.ts"
    path.write_bytes(encode([scene(1)] * 30, kind="mpegts"))
    os.truncate(path, 64 << 30)
    film = VideoSource(data=path, card=CARD, limits=VideoLimits(bytes=None, seconds=None))
    async with aclosing(film.frames()) as frames:
        assert [(await anext(frames)).index for _ in range(3)] == [0, 1, 2]
    await until(lambda: threads() == 0)


@pytest.mark.parametrize(("name", "code"), [("none.mp4", ErrorCode.NOT_FOUND), (".", ErrorCode.VIDEO_UNREADABLE)])
async def test_a_file_that_cannot_be_opened(tmp_path: Path, name: str, code: ErrorCode) -> None:
    film = VideoSource(data=tmp_path / name, card=CARD, limits=VideoLimits())
    with pytest.raises(PrivFaceError) as caught:
        await anext(film.frames())
    assert caught.value.code is code
    assert str(tmp_path) not in str(caught.value)


async def test_a_pipe_is_no_film(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    end = os.open(tmp_path / "film.mp4", os.O_RDWR | os.O_NONBLOCK)
    try:
        film = VideoSource(data=tmp_path / "film.mp4", card=CARD, limits=VideoLimits())
        with pytest.raises(PrivFaceError) as caught:
            await anext(film.frames())
    finally:
        os.close(end)
    assert caught.value.code is ErrorCode.VIDEO_UNREADABLE


@pytest.mark.parametrize(("kind", "frames"), [("mp4", 7), ("matroska", 7), ("avi", 7), ("h264", None)])
async def test_how_long_a_video_is(kind: str, frames: int | None) -> None:
    lengths: list[VideoLength] = []
    data = encode([scene(1)] * 7, kind=kind, codec="mpeg4" if kind == "avi" else "libx264")
    film = VideoSource(data=data, card=CARD, limits=VideoLimits(), on_length=lengths.append)
    assert len([frame async for frame in film.frames()]) == 7
    assert lengths[0].frames == frames


async def test_a_video_in_a_format_that_nobody_knows() -> None:
    data = encode([scene(1)] * 3).replace(b"avc1", b"zzzz")
    assert (await refusal(data)).code in {ErrorCode.VIDEO_UNREADABLE, ErrorCode.VIDEO_WITHOUT_FRAMES}
