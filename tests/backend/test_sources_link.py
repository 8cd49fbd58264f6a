"""Camera links: RTSP, MJPEG, snapshots; and what a camera can do wrong."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from aiohttp import encode_basic_auth, web

from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.link import LinkSource, LinkTimes
from privface_backend.engines.sources.stream import stream_options
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, Source
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until
from support.http_camera import Handler, Mjpeg, camera, jpeg, snapshot
from support.ports import free_port
from support.rtsp import rtsp_server
from support.videos import encode, scene

START = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
CARD = FrameCard(camera="porch", captured_at=START)
SECRET = "s3cret-word"


def link(address: str, **options: float | str) -> LinkSource:
    peer = str(options.pop("peer", ""))
    times = LinkTimes(**{"connect": 2.0, "read": 2.0, "total": 20.0, "snapshot": 0.01, **options})  # type: ignore[arg-type]  # numbers all
    ticks = count(1)
    return LinkSource(
        address=address, card=CARD, peer=peer, times=times, clock=lambda: START + timedelta(seconds=next(ticks))
    )


async def take(source: LinkSource, number: int) -> list[Frame]:
    found: list[Frame] = []
    async with aclosing(source.frames()) as frames:
        async for frame in frames:
            found.append(frame)
            if len(found) == number:
                break
    return found


async def refusal(source: LinkSource) -> PrivFaceError:
    with pytest.raises(PrivFaceError) as caught:
        await take(source, 1)
    return caught.value


def reading_threads() -> int:
    return sum(thread.name.startswith("privface-link") for thread in threading.enumerate())


async def test_snapshots_are_fetched_again_and_again() -> None:
    async with camera(snap=snapshot(scene(1))) as address:
        frames = await take(link(f"{address}/snap"), 3)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.card.captured_at - START for frame in frames] == [timedelta(seconds=tick) for tick in (1, 2, 3)]
    assert frames[0].pixels.shape == (240, 320, 3)
    assert frames[0].pixels.flags.c_contiguous
    assert np.abs(frames[0].pixels.astype(int) - scene(1)).mean() < 3


async def test_a_stream_over_http_is_read_and_released() -> None:
    stream = Mjpeg()
    async with camera(stream=stream) as address:
        frames = await take(link(f"{address}/stream"), 5)
        await until(lambda: stream.open == 0 and reading_threads() == 0)
    brightness = [int(frame.pixels.mean()) for frame in frames]
    assert brightness == sorted(brightness)
    assert frames[0].pixels.shape == (120, 160, 3)


async def test_a_slow_consumer_gets_the_newest_frame() -> None:
    stream = Mjpeg()
    async with camera(stream=stream) as address, aclosing(link(f"{address}/stream").frames()) as frames:
        first = int((await anext(frames)).pixels.mean())
        await until(lambda: stream.sent > first + 60)
        await anext(frames)
        behind = stream.sent
        third = int((await anext(frames)).pixels.mean())
    assert third > first + 40
    assert third > behind - 30


async def test_rtsp_is_read_over_tcp_and_released() -> None:
    async with rtsp_server(encode([scene(1)] * 20, kind="mpegts")) as server:
        frames = await take(link(f"rtsp://127.0.0.1:{server.port}/live"), 3)
        await until(lambda: server.open_connections == 0 and reading_threads() == 0)
    assert np.abs(frames[-1].pixels.astype(int) - scene(1)).mean() < 6
    setup = next(request for request in server.requests if request.startswith("SETUP"))
    assert "RTP/AVP/TCP" in setup


async def test_rtsp_goes_to_the_checked_peer() -> None:
    async with rtsp_server(encode([scene(1)] * 20, kind="mpegts")) as server:
        source = link(f"rtsp://camera.invalid:{server.port}/live", peer="127.0.0.1")
        assert len(await take(source, 1)) == 1


@pytest.mark.parametrize("path", ["snap", "stream"])
async def test_http_goes_to_the_checked_peer_with_the_hosts_name(path: str) -> None:
    hosts = []

    def noting(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            hosts.append(request.host)
            return await handler(request)

        return handle

    async with camera(snap=noting(snapshot(scene(1))), stream=noting(Mjpeg())) as address:
        named = address.replace("127.0.0.1", "camera.invalid")
        assert len(await take(link(f"{named}/{path}", peer="127.0.0.1"), 1)) == 1
    assert set(hosts) == {named.removeprefix("http://")}


@pytest.mark.parametrize("path", ["snap", "stream"])
async def test_basic_login(path: str) -> None:
    def guarded(handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != encode_basic_auth("user", "p@ss"):
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})
            return await handler(request)

        return handle

    async with camera(snap=guarded(snapshot(scene(1))), stream=guarded(Mjpeg())) as address:
        login = address.replace("http://", "http://user:p%40ss@")
        assert len(await take(link(f"{login}/{path}"), 2)) == 2
        error = await refusal(link(f"{address}/{path}"))
    assert (error.code, error.details) == (ErrorCode.LINK_UNREACHABLE, {"status": 401})


async def test_digest_login() -> None:
    seen = []

    async def handle(request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "")
        seen.append(header)
        if not header.startswith("Digest "):
            challenge = 'Digest realm="camera", nonce="abc", qop="auth", algorithm=MD5'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return web.Response(body=jpeg(scene(1)), content_type="image/jpeg")

    async with camera(snap=handle) as address:
        login = address.replace("http://", f"http://user:{SECRET}@")
        assert len(await take(link(f"{login}/snap"), 1)) == 1
    assert not any(header.startswith("Basic") for header in seen)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/inside", "/inside", "file:///etc/hostname"])
async def test_redirects_are_not_followed(target: str) -> None:
    asked = []

    async def inside(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=jpeg(scene(1)), content_type="image/jpeg")

    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target.format(port=request.url.port)})

    async with camera(snap=moved, inside=inside) as address:
        assert (await refusal(link(f"{address}/snap"))).code is ErrorCode.LINK_UNREACHABLE
    assert asked == []


async def test_a_redirect_when_the_stream_is_opened_is_not_followed() -> None:
    asked, visits = [], count()

    async def inside(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await Mjpeg()(request)

    async def stream(request: web.Request) -> web.StreamResponse:
        if next(visits) == 0:
            return web.Response(body=b"", content_type="multipart/x-mixed-replace")
        return web.Response(status=302, headers={"Location": "/inside"})

    async with camera(stream=stream, inside=inside) as address:
        assert (await refusal(link(f"{address}/stream"))).code is ErrorCode.LINK_UNREACHABLE
    assert next(visits) > 1
    assert asked == []


@pytest.mark.parametrize("kind", ["application/vnd.apple.mpegurl", "video/mp4", "text/plain"])
async def test_a_playlist_is_not_played(kind: str, tmp_path: Path) -> None:
    asked = []

    async def segment(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=encode([scene(1)] * 5, kind="mpegts"), content_type="video/mp2t")

    async def playlist(request: web.Request) -> web.Response:
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/segment\n#EXT-X-ENDLIST\n"
        return web.Response(text=text, content_type=kind)

    async with camera(live=playlist, segment=segment) as address:
        assert (await refusal(link(f"{address}/live"))).code is ErrorCode.LINK_UNREACHABLE
    assert asked == []


async def test_a_broken_link_keeps_what_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    async with camera(stream=Mjpeg(most=5)) as address:
        login = address.replace("http://", f"http://user:{SECRET}@")
        frames = await take(link(f"{login}/stream"), 100)
    assert 1 <= len(frames) <= 5
    assert SECRET not in caplog.text


async def test_a_camera_that_stalls_ends_with_the_read_time() -> None:
    stream = Mjpeg(most=8, then_stall=True)
    async with camera(stream=stream) as address:
        async with asyncio.timeout(10):
            frames = await take(link(f"{address}/stream", read=0.5), 100)
        await until(lambda: stream.open == 0 and reading_threads() == 0)
    assert 1 <= len(frames) <= 8


async def test_the_overall_time_ends_a_stream() -> None:
    stream = Mjpeg()
    loop = asyncio.get_running_loop()
    async with camera(stream=stream, snap=snapshot(scene(1))) as address:
        for path in ("stream", "snap"):
            start = loop.time()
            frames = await take(link(f"{address}/{path}", total=1.5), 100_000)
            assert len(frames) > 3
            assert 1.3 < loop.time() - start < 5
        await until(lambda: stream.open == 0)


async def test_a_camera_that_never_sends_a_frame_is_unreachable() -> None:
    async with rtsp_server(b"") as server:
        error = await refusal(link(f"rtsp://127.0.0.1:{server.port}/live", total=1.0, read=0.5))
        await until(lambda: server.open_connections == 0)
    assert error.code is ErrorCode.LINK_UNREACHABLE


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https"])
async def test_nobody_there_is_unreachable_and_tells_no_password(
    scheme: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    source = link(f"{scheme}://user:{SECRET}@127.0.0.1:{free_port()}/live?password={SECRET}")
    error = await refusal(source)
    assert error.code is ErrorCode.LINK_UNREACHABLE
    told: list[str] = [caplog.text, *capfd.readouterr(), repr(source)]
    cause: BaseException | None = error
    while cause is not None:
        told += [str(cause), repr(cause)]
        cause = cause.__cause__ or cause.__context__
    assert not any(SECRET in text for text in told)


async def test_no_picture_behind_a_snapshot_is_unreachable() -> None:
    async def text(request: web.Request) -> web.Response:
        return web.Response(body=b"no picture", content_type="image/jpeg")

    async with camera(snap=text) as address:
        assert (await refusal(link(f"{address}/snap"))).code is ErrorCode.LINK_UNREACHABLE


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with camera(stream=Mjpeg(), snap=snapshot(scene(1))) as address:
        for path in ("stream", "snap"):
            assert len(await take(link(f"{address}/{path}"), 1)) == 1


def test_what_ffmpeg_is_given() -> None:
    address, options = stream_options("rtsp://u:p@cam.lan:8554/live?x=1", "192.168.1.20", 5)
    assert address == "rtsp://u:p@192.168.1.20:8554/live?x=1"
    assert options["rtsp_transport"] == "tcp"
    address, options = stream_options("http://cam.lan/live", "fd12::20", 5)
    assert (address, options["headers"]) == ("http://[fd12::20]/live", "Host: cam.lan\r\n")
    address, options = stream_options("https://cam.lan/live", "192.168.1.20", 5)
    assert (address, options["tls_verify"]) == ("https://cam.lan/live", "1")
    for scheme in ("rtsp", "rtsps", "http", "https"):
        _, options = stream_options(f"{scheme}://cam.lan/", "", 5)
        assert not {"file", "concat", "subfile", "data", "pipe"} & set(options["protocol_whitelist"].split(","))
        assert not {"hls", "concat", "sdp", "dash", "lavfi"} & set(options["format_whitelist"].split(","))


def test_the_registry_makes_it_from_its_options(tmp_path: Path) -> None:
    options = {"address": f"rtsp://u:{SECRET}@cam.lan/", "card": CARD, "seconds": 7}
    made = Registry().create(EngineKind.SOURCE, "link", EngineContext(weights=WeightsStore(tmp_path), options=options))
    assert isinstance(made, Source)
    assert isinstance(made, LinkSource)
    assert (made.name, made.times.total, SECRET in repr(made)) == ("link", 7.0, False)
