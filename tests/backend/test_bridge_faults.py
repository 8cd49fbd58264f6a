"""What goes wrong around a bridge, with real parts: it goes on, within bounds, and says so in numbers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from privface_backend.bridge.settings import CameraFeed
from privface_backend.errors import SettingsError
from privface_backend.protocol import Scope
from support import backend
from support.backend import Api
from support.bridge import (
    bridging,
    clear_picture,
    crossed,
    identify_token,
    jpeg,
    line,
    make_settings,
    publisher,
    until,
)
from support.http_camera import camera
from support.mosquitto import Mosquitto, needs_mosquitto
from support.ports import free_port
from support.reverse_proxy import RecordingProxy

pytestmark = needs_mosquitto

DATA = jpeg(clear_picture())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with backend.running(tmp_path) as running:
        yield running


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_broker_that_was_restarted_is_listened_to_again(
    tmp_path: Path, broker: Mosquitto, api: Api, how: str
) -> None:
    settings = make_settings(tmp_path, api.url, port=broker.port, token=identify_token(api), topics=("shots/{camera}",))
    async with bridging(settings) as bridge:
        async with publisher(broker.port) as client:
            await client.publish("shots/a", DATA)
            await until(lambda: line(bridge, "a").counts.sent == 1)
        getattr(broker, how)()
        await until(lambda: not bridge.connected)
        broker.start()
        await until(lambda: bridge.connected)
        async with publisher(broker.port) as client:
            await client.publish("shots/a", DATA)
            await until(lambda: line(bridge, "a").counts.sent == 2)


async def test_what_cannot_be_looked_at_is_refused_and_counted(
    tmp_path: Path, broker: Mosquitto, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        DATA[: len(DATA) // 2],
        DATA[:40],
        jpeg(clear_picture(size=(800, 5000)).resize((8000, 5000))),
        b"\xff\xd8\xff",
        b"hello",
        b'{"image": "aGVsbG8="}',
        jpeg(clear_picture(size=(80, 80)).resize((8, 8))),
    ]
    settings = make_settings(
        tmp_path,
        api.url,
        port=broker.port,
        token=identify_token(api),
        cameras={"a": CameraFeed(topic="shots/a", interval=0.02)},
    )
    async with bridging(settings) as bridge, publisher(broker.port) as client:
        counts = line(bridge, "a").counts
        for number, payload in enumerate(bad, start=1):
            await client.publish("shots/a", payload)
            await until(lambda n=number: counts.refused == n)
        await client.publish("shots/a", DATA)
        await until(lambda: counts.sent == 1)
        assert (counts.received, counts.refused, counts.failed) == (len(bad) + 1, len(bad), 0)
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {"picture_truncated", "picture_too_large", "picture_format", "picture_unreadable"} == {
        code for record in warned for code in record.getMessage().split("(")[1:2] for code in [code.split(")")[0]]
    }
    assert len(warned) == 4, "each kind once"


async def test_a_flood_on_one_topic_is_bounded_and_harms_no_other(tmp_path: Path, broker: Mosquitto, api: Api) -> None:
    settings = make_settings(
        tmp_path,
        api.url,
        port=broker.port,
        token=identify_token(api),
        cameras={name: CameraFeed(topic=name, interval=0.2) for name in ("flood", "quiet")},
    )
    process = psutil.Process()
    async with bridging(settings) as bridge, publisher(broker.port) as client, publisher(broker.port) as flooder:
        flood, quiet = line(bridge, "flood").counts, line(bridge, "quiet").counts
        for name in ("flood", "quiet"):
            await client.publish(name, DATA)
        await until(lambda: flood.sent == quiet.sent == 1)
        before = process.memory_info().rss

        async def pour() -> None:
            loop, start = asyncio.get_running_loop(), asyncio.get_running_loop().time()
            for number in range(1000):
                await flooder.publish("flood", DATA)
                await asyncio.sleep(max(0.0, start + number / 200 - loop.time()))

        pouring = asyncio.create_task(pour())
        for number in range(2, 6):
            await client.publish("quiet", DATA)
            await until(lambda n=number: quiet.sent == n)
        await pouring
        await until(lambda: flood.received >= 100)
        grown = (process.memory_info().rss - before) / 2**20
        assert quiet.replaced == 0
        assert flood.replaced > 10 * flood.sent
        assert grown < 150, f"the thousand pictures are {1000 * len(DATA) / 2**20:.0f} MiB"


async def test_a_backend_that_was_away_gets_the_newest_and_nothing_old(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    settings = make_settings(
        tmp_path,
        f"http://127.0.0.1:{port}",
        port=broker.port,
        token="pf_whatever",
        cameras={"a": CameraFeed(topic="a", interval=0.02)},
        keep_seconds=0.5,
    )
    taken: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.json_response({"events": []})

    async def info(_request: web.Request) -> web.Response:
        return web.json_response({"api_version": 1, "min_api_version": 1})

    async with bridging(settings) as bridge, publisher(broker.port) as client:
        counts = line(bridge, "a").counts
        await client.publish("a", DATA)
        await until(lambda: counts.stale == 1)
        assert bridge.report()["backend"] == "away"
        for _ in range(5):
            await client.publish("a", DATA)
            await asyncio.sleep(0.02)
        await until(lambda: counts.received == 6)
        app = web.Application()
        app.router.add_post("/api/v1/cameras/a/frames", take)
        app.router.add_get("/api/v1/info", info)
        async with backend.serve(app, "127.0.0.1", port):
            await client.publish("a", DATA)
            await until(lambda: counts.sent >= 1)
            assert bridge.report()["backend"] == "reached"
        assert counts.sent == len(taken) <= 3
        await until(lambda: counts.received == counts.sent + counts.replaced + counts.stale)
    outages = [record.getMessage() for record in caplog.records if "can't be reached" in record.getMessage()]
    assert len(outages) <= 2, "an outage is one warning"
    assert "pf_whatever" not in caplog.text


@pytest.mark.parametrize("answer", ["{}", "[1]", "<html>", '{"status": "ok"}'])
@pytest.mark.parametrize("status", [200, 404])
async def test_a_server_that_is_not_privface_is_not_said_to_be_reached(
    tmp_path: Path, broker: Mosquitto, answer: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def say(_request: web.Request) -> web.Response:
        return web.Response(text=answer, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    async with backend.serve(app, "127.0.0.1", 0) as port:
        settings = make_settings(
            tmp_path, f"http://127.0.0.1:{port}", port=broker.port, token="pf_x", topics=("shots/{camera}",)
        )
        async with bridging(settings) as bridge, publisher(broker.port) as client:
            await until(lambda: bridge.report()["backend"] == "not_privface")
            await client.publish("shots/a", DATA)
            await until(lambda: line(bridge, "a").counts.failed == 1)
            assert bridge.report()["backend"] == "not_privface"
            assert line(bridge, "a").counts.sent == 0
    assert "What answers at bridge.backend is no PrivFace backend" in caplog.text


@pytest.mark.parametrize("ahead", [timedelta(hours=1), -timedelta(hours=1)])
async def test_a_clock_that_is_an_hour_off_changes_nothing(
    tmp_path: Path, broker: Mosquitto, api: Api, ahead: timedelta
) -> None:
    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    async with RecordingProxy(api.url) as proxy:
        settings = make_settings(
            tmp_path, proxy.url, port=broker.port, token=identify_token(api), topics=("shots/{camera}",)
        )
        async with bridging(settings, clock=clock) as bridge, publisher(broker.port) as client:
            await until(lambda: bridge.report()["backend"] == "reached")
            await client.publish("shots/a", DATA)
            await until(lambda: line(bridge, "a").counts.sent == 1)
        (only,) = crossed(proxy)
    assert abs(only.captured_at - datetime.now(UTC)) < timedelta(seconds=20), "by the backend's clock it is of now"


async def test_a_wrong_token_is_told_once_and_in_plain_words(
    tmp_path: Path, broker: Mosquitto, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(tmp_path, api.url, port=broker.port, token="pf_wrong", topics=("shots/{camera}",))
    async with bridging(settings) as bridge, publisher(broker.port) as client:
        await until(lambda: bridge.report()["backend"] == "refused")
        for _ in range(3):
            await client.publish("shots/a", DATA)
        await until(lambda: line(bridge, "a").counts.received == 3)
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert "privface token create" in told
    assert "bridge.token" in told
    assert "pf_wrong" not in caplog.text


async def test_a_token_for_something_else_is_told_too(
    tmp_path: Path, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    feed = CameraFeed(address="http://127.0.0.1:9/snapshot")
    settings = make_settings(tmp_path, api.url, port=None, token=api.tokens[Scope.ENROLL], cameras={"a": feed})
    async with bridging(settings) as bridge:
        await until(lambda: bridge.report()["backend"] == "refused")
    assert "needs the scope identify" in caplog.text


async def test_a_camera_that_the_backend_has_switched_off_rests(tmp_path: Path, broker: Mosquitto, api: Api) -> None:
    await api.call("PATCH", "/api/v1/cameras/a", pattern="/api/v1/cameras/{camera}", json={"enabled": False})
    settings = make_settings(tmp_path, api.url, port=broker.port, token=identify_token(api), topics=("shots/{camera}",))
    async with bridging(settings) as bridge, publisher(broker.port) as client:
        counts = line(bridge, "a").counts
        await client.publish("shots/a", DATA)
        await until(lambda: counts.disabled == 1)
        for _ in range(3):
            await client.publish("shots/a", DATA)
        await until(lambda: counts.received == 4)
        assert counts.sent == 1


async def test_a_snapshot_server_that_was_killed_is_asked_again(tmp_path: Path, api: Api) -> None:
    port = free_port()
    feed = CameraFeed(address=f"http://anna:secret@127.0.0.1:{port}/now", interval=0.1)

    async def now(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        return web.Response(body=DATA, content_type="image/jpeg")

    async def ask(request: web.Request) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})
        return await now(request)

    settings = make_settings(tmp_path, api.url, port=None, token=identify_token(api), cameras={"a": feed})
    async with (
        RecordingProxy(api.url) as proxy,
        bridging(
            make_settings(tmp_path, proxy.url, port=None, token=identify_token(api), cameras={"a": feed})
        ) as bridge,
    ):
        a = line(bridge, "a")
        await until(lambda: a.source == "lost")
        async with camera(port, now=ask):
            await until(lambda: a.counts.sent >= 2)
            assert a.source == "connected"
        await until(lambda: a.source == "lost")
        sent = a.counts.sent
        async with camera(port, now=ask):
            await until(lambda: a.counts.sent > sent)
        assert a.counts.lost >= 2
        cards = [one.card for one in crossed(proxy)]
    assert {card["source"] for card in cards} == {"link"}
    assert "secret" not in repr(settings)
    assert "secret" not in str(settings.redacted())
    assert "secret" not in str(bridge.report())


async def test_a_snapshot_of_forty_megapixels_is_refused(tmp_path: Path, api: Api) -> None:
    large = jpeg(clear_picture(size=(800, 5000)).resize((8000, 5000)))

    async def now(_request: web.Request) -> web.Response:
        return web.Response(body=large, content_type="image/jpeg")

    async with camera(now=now) as url:
        feed = CameraFeed(address=f"{url}/now", interval=0.1)
        settings = make_settings(tmp_path, api.url, port=None, token=identify_token(api), cameras={"a": feed})
        async with bridging(settings) as bridge:
            await until(lambda: line(bridge, "a").counts.lost >= 1)
            assert line(bridge, "a").counts.received == 0


async def test_bursts_are_looked_at_and_say_whether_more_follow(tmp_path: Path, broker: Mosquitto, api: Api) -> None:
    asked = 0

    async def now(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=DATA, content_type="image/jpeg")

    async with camera(now=now) as url, RecordingProxy(api.url) as proxy, publisher(broker.port) as client:
        feed = CameraFeed(
            address=f"{url}/now", trigger="door/motion", trigger_payload="ON", frames=3, interval=0.05, cooldown=600
        )
        settings = make_settings(
            tmp_path, proxy.url, port=broker.port, token=identify_token(api), cameras={"door": feed}
        )
        await client.publish("door/motion", "ON", qos=1, retain=True)
        await client.publish("privface/camera/door/look", "PRESS", qos=1, retain=True)
        async with bridging(settings) as bridge:
            door = line(bridge, "door")
            await client.publish("door/motion", "OFF", qos=1)
            assert asked == 0, "nothing is fetched before something happens; what the broker kept is past"
            await client.publish("door/motion", "ON", qos=1)
            await until(lambda: door.counts.sent == 3)
            await client.publish("door/motion", "ON", qos=1)
            await client.publish("privface/camera/door/look", "PRESS", qos=1)
            await until(lambda: door.counts.sent == 6)
            fetched = asked
            await asyncio.sleep(0.3)
            assert asked == fetched, "the burst is over"
        cards = [one.card for one in crossed(proxy)]
    assert [(card["trigger"], card["more"]) for card in cards] == [
        (trigger, more) for trigger in ("trigger", "look") for more in (True, True, False)
    ]


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://metadata.google.internal/",
        "file:///etc/passwd",
        "ftp://camera/a.jpg",
        "http://camera/*",
        "camera",
    ],
)
async def test_an_address_that_nobody_may_open_is_refused_at_the_start(tmp_path: Path, address: str) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9", port=None, cameras={"a": CameraFeed(address=address)})
    with pytest.raises(SettingsError, match=r"cameras\.a\.address"):
        async with bridging(settings):
            pass


async def test_a_folder_that_a_camera_uploads_into(tmp_path: Path, api: Api) -> None:
    folder = tmp_path / "uploads"
    settings = make_settings(
        tmp_path,
        api.url,
        port=None,
        token=identify_token(api),
        cameras={"shed": CameraFeed(folder=folder, interval=0.02)},
    )
    async with bridging(settings) as bridge:
        shed = line(bridge, "shed")
        await until(lambda: shed.source == "lost")
        folder.mkdir()
        await until(lambda: shed.source == "connected")
        (folder / "half.jpg").write_bytes(DATA[: len(DATA) // 2])
        (folder / "whole.jpg").write_bytes(DATA)
        await until(lambda: shed.counts.sent == 1)
        assert shed.counts.received == 1


async def test_a_camera_that_is_switched_off_is_not_even_asked(tmp_path: Path, broker: Mosquitto, api: Api) -> None:
    asked = 0

    async def now(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=DATA, content_type="image/jpeg")

    async with camera(now=now) as url, publisher(broker.port) as client:
        settings = make_settings(
            tmp_path,
            api.url,
            port=broker.port,
            token=identify_token(api),
            cameras={"a": CameraFeed(address=f"{url}/now", interval=0.02)},
        )
        await client.publish("privface/camera/a/enabled/state", "OFF", qos=1, retain=True)
        async with bridging(settings) as bridge:
            a = line(bridge, "a")
            await until(lambda: not a.gate.enabled)
            assert asked == 0, "what the broker kept is heard before anything is fetched"
            await client.publish("privface/camera/a/enabled/state", "ON", qos=1, retain=True)
            await until(lambda: a.counts.sent >= 2)
            await client.publish("privface/camera/a/enabled/state", "OFF", qos=1, retain=True)
            await until(lambda: not a.gate.enabled)
            await asyncio.sleep(0.1)  # for the request that may be under way
            before = asked
            await asyncio.sleep(0.3)
            assert asked == before
