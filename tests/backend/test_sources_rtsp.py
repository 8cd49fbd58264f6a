"""Links to a real RTSP server with a real clip: logins, outages, and a consumer that is slower than the camera."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.link import LinkSource, LinkTimes
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import SourceState
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until
from support.faces import require_data
from support.gstreamer import GStreamerServer, NoGStreamerError, gstreamer_server, read_stamp

pytestmark = pytest.mark.faces

CARD = FrameCard(camera="porch", captured_at=datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC))
SECRET = "s3cret-word"
SIZE = ("--size", "640", "360")

Serve = Callable[..., GStreamerServer]


@pytest.fixture
def clip() -> Path:
    return require_data() / "video" / "webcam_man_near_far.mp4"


@pytest.fixture
def serve(clip: Path) -> Iterator[Serve]:
    """Starts servers, which end with the test."""
    with ExitStack() as servers:

        def start(*options: str, port: int = 0) -> GStreamerServer:
            try:
                return servers.enter_context(gstreamer_server(clip, *(options or SIZE), port=port))
            except NoGStreamerError as error:
                pytest.skip(f"GStreamer's RTSP server can't be run: {error}")

        yield start


def link(address: str, told: list[SourceState] | None = None, **times: float | None) -> LinkSource:
    return LinkSource(
        address=address,
        card=CARD,
        times=LinkTimes(**{"connect": 10.0, "read": 5.0, "total": None, **times}),  # type: ignore[arg-type]  # numbers all
        clock=lambda: datetime.now(UTC),
        on_state=(told if told is not None else []).append,
        backoff=Backoff(first=0.1, ceiling=0.5),
    )


async def test_a_digest_login_lets_in_and_is_told_to_nobody(
    serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(*SIZE, "--login", "viewer", SECRET)
    told: list[SourceState] = []
    login = server.address.replace("rtsp://", f"rtsp://viewer:{SECRET}@")
    async with aclosing(link(login, told).frames()) as frames:
        taken = [await anext(frames) for _ in range(5)]
        server.kill()
        waiting = asyncio.ensure_future(_until(frames, lambda: False))
        await until(lambda: told[-1].state == "lost", seconds=60)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert taken[0].pixels.shape == (360, 640, 3)
    assert "lost" in {one.state for one in told}
    shown = [caplog.text, *capfd.readouterr(), *map(repr, told), *map(repr, taken)]
    assert not any(SECRET in text or "viewer" in text for text in shown)


@pytest.mark.parametrize("login", ["", "viewer:wrong@", f"nobody:{SECRET}@"])
async def test_a_wrong_login_is_unreachable(serve: Serve, login: str) -> None:
    server = serve(*SIZE, "--login", "viewer", SECRET)
    with pytest.raises(PrivFaceError) as caught:
        await anext(link(server.address.replace("rtsp://", f"rtsp://{login}"), total=20.0).frames())
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
    assert "viewer" not in str(caught.value)


async def test_a_server_that_dies_and_is_back(serve: Serve) -> None:
    told: list[SourceState] = []
    server = serve()
    async with aclosing(link(server.address, told).frames()) as frames:
        for round_ in range(3):
            frame = await anext(frames)
            while told[-1].reconnects < round_:
                frame = await anext(frames)
            assert frame.pixels.shape == (360, 640, 3)
            server.kill()
            waiting = asyncio.ensure_future(anext(frames))
            # What had come already is handed out before the outage is noticed.
            while told[-1].state == "connected":
                await asyncio.wait([waiting], timeout=0.1)
                if waiting.done() and told[-1].state == "connected":
                    waiting = asyncio.ensure_future(anext(frames))
            server = serve(port=server.port)
            async with asyncio.timeout(60):
                await waiting
    assert told[-1].reconnects == 3


async def test_a_slow_consumer_falls_behind_no_further(serve: Serve) -> None:
    """0.3 s of work a frame, at 25 frames a second: what is handed out stays fresh, and the rest is counted."""
    told: list[SourceState] = []
    server = serve()
    ages: list[float] = []
    numbers: list[int] = []
    async with aclosing(link(server.address, told).frames()) as frames:
        async for frame in frames:
            number, age = read_stamp(frame.pixels)
            numbers.append(number)
            ages.append(age)
            if len(ages) == 40:
                break
            await asyncio.sleep(0.3)
    # The first ones tell of how long opening took.
    assert max(ages[10:]) < 1.5, ages
    assert numbers == sorted(numbers)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert missing > 100
    # Told once a second at most: the last second's may be missing.
    assert 0.5 * missing < told[-1].skipped <= missing + 1


async def test_a_stall_is_noticed_and_over(serve: Serve) -> None:
    told: list[SourceState] = []
    server = serve()
    async with aclosing(link(server.address, told, read=1.0).frames()) as frames:
        await anext(frames)
        server.tell("stall")
        waiting = asyncio.ensure_future(_until(frames, lambda: told[-1].reconnects > 0))
        await until(lambda: told[-1].state == "lost", seconds=60)
        server.tell("go")
        async with asyncio.timeout(60):
            await waiting
    assert told[-1].reconnects >= 1


async def _until(frames: AsyncGenerator[Frame, None], condition: Callable[[], bool]) -> None:
    """Take frames until something is true."""
    while not condition():
        await anext(frames)


async def test_another_resolution_midway_is_survived(serve: Serve) -> None:
    told: list[SourceState] = []
    server = serve()
    shapes = []
    async with asyncio.timeout(120), aclosing(link(server.address, told).frames()) as frames:
        async for frame in frames:
            if frame.pixels.shape not in shapes:
                shapes.append(frame.pixels.shape)
                server.tell("size 320 240" if len(shapes) == 1 else "size 480 270")
            if len(shapes) == 3:
                break
    assert shapes == [(360, 640, 3), (240, 320, 3), (270, 480, 3)]
