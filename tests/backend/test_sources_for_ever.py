"""Sources without an end: what is lost is connected again, what is skipped is counted, closing is quick."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from aiohttp import web

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Pixels
from privface_backend.engines.sources.decoding import Decoding
from privface_backend.engines.sources.link import LinkSource, LinkTimes
from privface_backend.engines.sources.upright import upright
from privface_backend.engines.sources.webcam import WebcamSource
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, SourceState
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until
from support.http_camera import Mjpeg, camera, jpeg, snapshot
from support.ports import free_port
from support.rtsp import MPEG_TS, rtsp_server
from support.videos import encode, scene

CARD = FrameCard(camera="porch", captured_at=datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC))
SECRET = "s3cret-word"
SOON = Backoff(first=0.05, ceiling=0.2, settled=60.0)


def link(address: str, told: list[SourceState] | None = None, **options: Any) -> LinkSource:
    times = {"connect": 5.0, "read": 5.0, "total": None, "snapshot": 0.01}
    return LinkSource(
        address=address,
        card=CARD,
        times=LinkTimes(**{name: options.pop(name, value) for name, value in times.items()}),
        clock=lambda: datetime.now(UTC),
        on_state=(told if told is not None else []).append,
        backoff=SOON,
        **options,
    )


def states(told: list[SourceState]) -> list[str]:
    """The states, without those that only counted."""
    found: list[str] = []
    for one in told:
        if not found or one.state != found[-1]:
            found.append(one.state)
    return found


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, list[int]]]:
    """A server that takes connections and never answers; gives its port, and how many are open."""
    is_open = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_open[0] += 1
        try:
            while await reader.read(4096):
                pass
        finally:
            is_open[0] -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], is_open
    finally:
        server.close()


async def test_a_stream_that_ends_is_opened_again() -> None:
    told: list[SourceState] = []
    visits = count()

    async def stream(request: web.Request) -> web.StreamResponse:
        next(visits)
        return await Mjpeg(most=5)(request)

    async with camera(stream=stream) as address, aclosing(link(f"{address}/stream", told).frames()) as frames:
        indexes = []
        async for frame in frames:
            indexes.append(frame.index)
            if told[-1].reconnects >= 2:
                break
    assert indexes == list(range(len(indexes)))
    assert states(told)[:6] == ["connecting", "connected", "lost", "connecting", "connected", "lost"]
    assert [one.reconnects for one in told if one.state == "lost"] == [0, 1]
    assert next(visits) >= 3


async def test_a_snapshot_that_fails_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    told: list[SourceState] = []
    failing = iter([False, False, False, True, True, False, False])

    async def handle(request: web.Request) -> web.StreamResponse:
        if next(failing, False):
            return web.Response(status=503)
        return await snapshot(scene(1))(request)

    caplog.set_level(logging.INFO)
    async with camera(snap=handle) as address, aclosing(link(f"{address}/snap", told).frames()) as frames:
        async for _ in frames:
            if told[-1].reconnects:
                break
    assert "The camera refused the request." in {one.reason for one in told}
    # However often it failed: one warning, and one word when it was over.
    shown = [record.levelno for record in caplog.records if "the link of" in record.message.lower()]
    assert shown == [logging.WARNING, logging.INFO]


async def test_a_camera_that_comes_later_is_found() -> None:
    told: list[SourceState] = []
    port = free_port()
    async with aclosing(link(f"http://127.0.0.1:{port}/stream", told).frames()) as frames:
        first = asyncio.ensure_future(anext(frames))
        await until(lambda: sum(one.state == "lost" for one in told) >= 2)
        async with camera(port, stream=Mjpeg()):
            async with asyncio.timeout(30):
                await first
    assert told[-1].reconnects == 0
    assert told[-1].state == "connected"


async def test_a_camera_whose_address_changes_is_found_again() -> None:
    told: list[SourceState] = []
    found = iter(["", "127.0.0.1"])

    async def find_peer() -> str:
        peer = next(found, "127.0.0.1")
        if not peer:
            raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera's host has no address.")
        return peer

    async with camera(stream=Mjpeg()) as address:
        named = address.replace("127.0.0.1", "camera.invalid")
        async with aclosing(link(f"{named}/stream", told, find_peer=find_peer).frames()) as frames:
            await anext(frames)
    assert [one.reason for one in told if one.state == "lost"] == ["The camera's host has no address."]


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
async def test_closing_is_quick_even_while_the_camera_hangs(scheme: str) -> None:
    loop = asyncio.get_running_loop()
    async with silent() as (port, is_open):
        source = link(f"{scheme}://user:{SECRET}@127.0.0.1:{port}/live", connect=8.0, read=8.0)
        frames = source.frames()
        waiting = asyncio.ensure_future(anext(frames))
        await until(lambda: is_open[0] > 0)
        began = loop.time()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await frames.aclose()
        assert loop.time() - began < 5
        # What the thread still holds is let go when its own time is over.
        await until(lambda: is_open[0] == 0, seconds=30)
    await until(lambda: not any(thread.name == "privface-link" for thread in threading.enumerate()), seconds=30)


async def test_closing_while_it_waits_for_the_next_try() -> None:
    told: list[SourceState] = []
    source = LinkSource(
        address=f"rtsp://127.0.0.1:{free_port()}/live",
        card=CARD,
        times=LinkTimes(total=None),
        clock=lambda: datetime.now(UTC),
        on_state=told.append,
        backoff=Backoff(first=1000.0, ceiling=1000.0, fraction=lambda: 1.0),
    )
    frames = source.frames()
    waiting = asyncio.ensure_future(anext(frames))
    await until(lambda: states(told) == ["connecting", "lost"])
    waiting.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(waiting, return_exceptions=True)
        await frames.aclose()


async def test_skipped_frames_are_counted() -> None:
    told: list[SourceState] = []
    stream = Mjpeg()
    async with camera(stream=stream) as address, aclosing(link(f"{address}/stream", told).frames()) as frames:
        taken = 0
        while not told or told[-1].skipped < 30:
            before = stream.sent
            await anext(frames)
            taken += 1
            await until(lambda sent=before: stream.sent > sent + 15)  # type: ignore[misc]  # a value of this turn
    assert told[-1].skipped + taken <= stream.sent
    skipped = [one.skipped for one in told]
    assert skipped == sorted(skipped)


async def test_a_stall_is_noticed() -> None:
    told: list[SourceState] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        return await Mjpeg(most=4, then_stall=True)(request)

    async with (
        camera(stream=stream) as address,
        aclosing(link(f"{address}/stream", told, read=0.5).frames()) as frames,
    ):
        async for _ in frames:
            if told[-1].reconnects:
                break
    assert states(told) == ["connecting", "connected", "lost", "connecting", "connected"]
    assert [one.reason for one in told if one.state == "lost"] == ["The camera's stream broke: nothing came in time."]


@pytest.mark.parametrize("garbage", [b"\x00", b"G", bytes(range(256))], ids=["zeros", "sync", "all"])
async def test_a_stream_of_garbage_is_survived(garbage: bytes) -> None:
    told: list[SourceState] = []
    async with (
        rtsp_server((garbage * (1316 * 8))[: 1316 * 8]) as server,
        aclosing(link(f"rtsp://127.0.0.1:{server.port}/live", told, connect=1.0, read=0.5).frames()) as frames,
    ):
        first = asyncio.ensure_future(anext(frames))
        await until(lambda: sum(one.state == "lost" for one in told) >= 2, seconds=60)
        server.stream = encode([scene(1)] * 20, kind="mpegts")
        async with asyncio.timeout(60):
            frame = await first
    assert frame.pixels.shape == (240, 320, 3)


async def test_a_stream_that_no_decoder_understands_is_lost() -> None:
    """Well-formed packets whose pictures are noise: they come, and yet nothing does."""
    rng = np.random.default_rng(0)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        body = jpeg(np.zeros((120, 160, 3), dtype=np.uint8))
        head, tail = body[:20], rng.bytes(600)
        for number in count():
            part = body if number < 3 else head + tail
            prefix = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
            await response.write(prefix.encode() + part + b"\r\n")
            await asyncio.sleep(0.02)
        return response

    told: list[SourceState] = []
    async with (
        camera(stream=stream) as address,
        aclosing(link(f"{address}/stream", told, read=0.5).frames()) as frames,
    ):
        async for _ in frames:
            if told[-1].reconnects:
                break
    assert {one.reason for one in told if one.state == "lost"} == {"The camera sends no picture that can be decoded."}


async def test_a_stream_in_a_format_that_nobody_knows_is_lost() -> None:
    told: list[SourceState] = []
    async with rtsp_server(b"\x00" * 1316) as server:
        server.described = MPEG_TS.replace("AVP 33", "AVP 96") + "a=rtpmap:96 X-UNHEARD-OF/90000\r\n"
        source = link(f"rtsp://127.0.0.1:{server.port}/live", told, connect=2.0, read=1.0)
        async with aclosing(source.frames()) as frames:
            waiting = asyncio.ensure_future(anext(frames))
            await until(lambda: waiting.done() or sum(one.state == "lost" for one in told) >= 2, seconds=60)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_another_resolution_midway_is_survived() -> None:
    sizes = [(120, 160), (240, 320), (60, 80)]

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        for number in count():
            body = jpeg(np.full((*sizes[number // 10 % 3], 3), 90, dtype=np.uint8))
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            await response.write(head.encode() + body + b"\r\n")
            await asyncio.sleep(0.01)
        return response

    seen: set[tuple[int, ...]] = set()
    told: list[SourceState] = []
    async with camera(stream=stream) as address, aclosing(link(f"{address}/stream", told).frames()) as frames:
        async for frame in frames:
            seen.add(frame.pixels.shape[:2])
            if len(seen) == 3:
                break
    assert seen == set(sizes)
    assert states(told) == ["connecting", "connected"]


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
async def test_no_state_and_no_log_tells_an_address_or_a_login(
    scheme: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[SourceState] = []
    port = free_port()
    frames = link(f"{scheme}://user:{SECRET}@127.0.0.1:{port}/path-{SECRET}?key={SECRET}", told).frames()
    waiting = asyncio.ensure_future(anext(frames))
    await until(lambda: sum(one.state == "lost" for one in told) >= 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await frames.aclose()
    shown = [caplog.text, *capfd.readouterr(), *(repr(one) for one in told)]
    assert not any(word in text for text in shown for word in (SECRET, str(port), "127.0.0.1"))


class Plugged:
    """A webcam that is pulled out after some frames, and is back when it is opened the third time."""

    def __init__(self) -> None:
        self.opened, self.released, self._left = 0, 0, 0

    def open(self, _index: int) -> cv2.VideoCapture:
        self.opened += 1
        self._left = 3
        return cast("cv2.VideoCapture", self)

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self.opened != 2

    def set(self, _setting: int, _value: float) -> bool:
        return True

    def read(self) -> tuple[bool, Pixels | None]:
        self._left -= 1
        if self._left < 0:
            return False, None
        return True, np.zeros((24, 32, 3), dtype=np.uint8)

    def release(self) -> None:
        self.released += 1


async def test_a_webcam_that_is_pulled_out_is_opened_again() -> None:
    told: list[SourceState] = []
    device = Plugged()
    source = WebcamSource(index=0, card=CARD, seconds=None, on_state=told.append, backoff=SOON, open_device=device.open)
    async with aclosing(source.frames()) as frames:
        async for _ in frames:
            if told[-1].reconnects:
                break
    assert states(told)[:5] == ["connecting", "connected", "lost", "connecting", "lost"]
    assert "The camera can't be opened." in {one.reason for one in told}
    await until(lambda: device.released == device.opened)


def make(tmp_path: Path, **options: object) -> object:
    context = EngineContext(weights=WeightsStore(tmp_path), options={"card": CARD, **options})
    return Registry().create(EngineKind.SOURCE, "link", context)


def test_the_registry_makes_one_without_an_end(tmp_path: Path) -> None:
    made = make(tmp_path, address="rtsp://cam.lan/", seconds=None, on_state=print, hardware="off")
    assert isinstance(made, LinkSource)
    assert (made.times.total, made.hardware, made.on_state) == (None, "off", print)


def test_hardware_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as caught:
        make(tmp_path, address="rtsp://cam.lan/", hardware="voodoo")
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert "auto, off, v4l2m2m" in (caught.value.allowed or "")


def decoded(data: bytes, hardware: str) -> tuple[list[bytes], int]:
    """All frames of a video as the decoder for it gives them, and how many streams were opened for that."""
    decoding, frames, opened = Decoding(hardware), [], 0
    for _ in range(2):
        with av.open(io.BytesIO(data), mode="r") as container:
            stream = container.streams.video[0]
            decoder = decoding.open(stream, 1_000_000)
            opened += 1
            for packet in container.demux(stream):
                frames += [upright(picture).tobytes() for picture in decoder.decode(packet)]
    return frames, opened


def test_automatic_hardware_falls_back_to_the_same_pictures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    data = encode([scene(number) for number in range(12)], kind="mpegts")
    software, _ = decoded(data, "off")
    assert "software" not in caplog.text
    automatic, opened = decoded(data, "auto")
    logged = [one.levelno for one in caplog.records if "decoded in software" in one.message]
    if not logged:
        pytest.skip("This computer has a device that decodes.")
    assert (opened, logged) == (2, [logging.DEBUG])
    assert len(software) == 24
    assert automatic == software


async def test_a_device_that_was_asked_for_and_does_not_work_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    """v4l2m2m has no decoder for what this stream is made of, on any computer."""
    caplog.set_level(logging.DEBUG)
    async with (
        camera(stream=Mjpeg()) as address,
        aclosing(link(f"{address}/stream", hardware="v4l2m2m").frames()) as frames,
    ):
        await anext(frames)
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == ["Video is decoded in software: v4l2m2m doesn't work here"]
