"""Pictures from topics reach a real backend anonymized, with a card that says so, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import cv2
import numpy as np
import pytest

from privface_backend.bridge.pictures import Picture, PixelPicture
from privface_backend.bridge.settings import CameraFeed
from privface_backend.domain.frames import Pixels
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.protocol import FrameSource, from_wire_time
from privface_backend.settings import Settings
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
    recording,
    until,
)
from support.crossing import judge, read_clear
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import watching
from support.recording import RecordingRegistry
from support.reverse_proxy import RecordingProxy

pytestmark = needs_mosquitto


@dataclass(frozen=True)
class Home:
    """A broker, a backend, and what goes in there."""

    api: Api
    proxy: RecordingProxy
    broker: Mosquitto
    client: aiomqtt.Client
    directory: Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def home(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[Home]:
    async with (
        backend.running(tmp_path) as api,
        RecordingProxy(api.url) as proxy,
        publisher(broker.port) as client,
    ):
        yield Home(api, proxy, broker, client, tmp_path)


def settings_of(home: Home, **options: Any) -> Settings:
    return make_settings(
        home.directory, home.proxy.url, port=home.broker.port, token=identify_token(home.api), **options
    )


def blurred(data: bytes, parameter: int) -> Pixels:
    """What the backend itself would make of a clear picture (RGB)."""
    clear = decode_picture(data, PictureLimits(), 640)
    height, width = clear.shape[:2]
    assert max(width, height) >= 640
    small = cv2.resize(clear, (640, round(height * 640 / width)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (parameter, parameter), 0)[:, :, ::-1])


async def test_every_pixel_that_crosses_is_a_blurred_one(home: Home) -> None:
    folder = home.directory / "clear"
    folder.mkdir()
    for seed, size in enumerate([(1280, 720), (1920, 1080), (800, 600), (640, 480), (720, 1280)]):
        (folder / f"{seed}.jpg").write_bytes(jpeg(clear_picture(seed, size)))
    clear_picture(9).save(folder / "9.png")
    files = sorted(folder.iterdir())
    async with bridging(settings_of(home, topics=("shots/{camera}",))) as bridge:
        for number, path in enumerate(files):
            await home.client.publish(f"shots/cam{number}", path.read_bytes())
            await until(lambda n=number: line(bridge, f"cam{n}").counts.sent == 1)
    verdict = judge(recording(home.proxy), [read_clear(path) for path in files], applied_by="bridge")
    assert verdict.findings == []
    assert [(one.of, one.parameter) for one in verdict.pictures] == [(path.name, 17) for path in files]


@pytest.mark.parametrize("form", ["raw", "base64", "json"])
async def test_a_cameras_topic_may_carry_each_form(home: Home, form: str) -> None:
    data = jpeg(clear_picture())
    text = base64.b64encode(data).decode()
    payloads: dict[str, str | bytes] = {"raw": data, "base64": text, "json": json.dumps({"event": {"picture": text}})}
    feed = CameraFeed(topic="door/picture", format=form, field="event.picture" if form == "json" else None)
    before = datetime.now(UTC)
    async with bridging(settings_of(home, cameras={"front door": feed})) as bridge:
        await home.client.publish("door/picture", payloads[form])
        await until(lambda: line(bridge, "front door").counts.sent == 1)
    (only,) = crossed(home.proxy)
    assert only.card["privacy"] == {"method": "gaussian", "parameter": 17, "applied_by": "bridge", "relative": None}
    assert (only.card["camera"], only.card["source"], only.card["more"]) == ("front door", "mqtt", None)
    assert before - timedelta(milliseconds=1) <= only.captured_at <= datetime.now(UTC)
    expected = decode_picture(only.picture, PictureLimits())[:, :, ::-1].astype(int)
    assert np.abs(expected - blurred(data, 17)).max() <= 8, "as blurred, but for what a JPEG of this quality changes"


async def test_a_time_in_the_message_is_the_pictures_time(home: Home) -> None:
    text = base64.b64encode(jpeg(clear_picture())).decode()
    taken = datetime.now(UTC) - timedelta(seconds=3)
    async with bridging(settings_of(home, topics=("{camera}/shot",), time_field="at")) as bridge:
        await home.client.publish("a/shot", json.dumps({"image": text, "at": taken.isoformat()}))
        ahead = taken + timedelta(hours=1)
        await home.client.publish("b/shot", json.dumps({"image": text, "at": ahead.isoformat()}))
        old = taken - timedelta(hours=1)
        await home.client.publish("c/shot", json.dumps({"image": text, "at": old.isoformat()}))
        await until(lambda: line(bridge, "a").counts.sent + line(bridge, "b").counts.sent == 2)
        await until(lambda: line(bridge, "c").counts.stale == 1)
    times = {one.card["camera"]: one.captured_at for one in crossed(home.proxy)}
    assert abs(times["a"] - taken) < timedelta(milliseconds=2)
    assert taken < times["b"] <= datetime.now(UTC), "a time in the future isn't believed"
    assert "c" not in times, "what is an hour old shows nothing of now"


async def test_what_the_broker_kept_is_no_picture_of_now(home: Home) -> None:
    data = jpeg(clear_picture())
    text, now = base64.b64encode(data).decode(), datetime.now(UTC)
    fresh = json.dumps({"image": text, "timestamp": now.timestamp()})
    old = json.dumps({"image": text, "timestamp": (now - timedelta(minutes=2)).timestamp()})
    kept: dict[str, str | bytes] = {"raw": data, "fresh": fresh, "old": old, "silent": json.dumps({"image": text})}
    for camera, payload in kept.items():
        await home.client.publish(f"{camera}/shot", payload, qos=1, retain=True)
    async with bridging(settings_of(home, topics=("{camera}/shot",))) as bridge:
        await until(lambda: line(bridge, "fresh").counts.sent == 1)
        await until(lambda: line(bridge, "old").counts.stale + line(bridge, "silent").counts.stale == 2)
        assert line(bridge, "raw").counts.received == 0
    assert [one.card["camera"] for one in crossed(home.proxy)] == ["fresh"]


@pytest.mark.parametrize(("method", "parameter"), [("gaussian", 33), ("pixelate", 12), ("none", 1)])
async def test_each_method_is_used_where_it_is_set(home: Home, method: str, parameter: int) -> None:
    data = jpeg(clear_picture(size=(640, 360)), quality=95)
    feed = CameraFeed(topic="a", method=method, parameter=None if method == "none" else parameter)
    async with bridging(settings_of(home, cameras={"a": feed})) as bridge:
        await home.client.publish("a", data)
        await until(lambda: line(bridge, "a").counts.sent == 1)
    (only,) = crossed(home.proxy)
    assert (only.card["privacy"]["method"], only.card["privacy"]["parameter"]) == (method, parameter)
    clear = decode_picture(data, PictureLimits(), 640)[:, :, ::-1].astype(int)
    difference = np.abs(only.pixels.astype(int) - clear).mean()
    assert difference < 2 if method == "none" else difference > 5


async def test_pictures_that_others_offer_keep_what_they_say(home: Home) -> None:
    data, now = jpeg(clear_picture()), datetime.now(UTC)
    async with bridging(settings_of(home, topics=("unused/{camera}",))) as bridge:
        bridge.offer(
            Picture(
                camera="yard",
                data=data,
                captured_at=now,
                source=FrameSource.FRIGATE,
                source_event_id="1790.5-abc",
                trigger="person",
                more=True,
            )
        )
        await until(lambda: line(bridge, "yard").counts.sent == 1)
        pixels = decode_picture(data, PictureLimits())
        bridge.offer(PixelPicture(camera="yard", pixels=pixels, captured_at=now, source=FrameSource.LINK, more=False))
        await until(lambda: line(bridge, "yard").counts.sent == 2)
    first, second = (one.card for one in crossed(home.proxy))
    assert (first["source"], first["source_event_id"]) == ("frigate", "1790.5-abc")
    assert (first["trigger"], first["more"]) == ("person", True)
    assert abs(from_wire_time(first["captured_at"], "t") - now) < timedelta(milliseconds=2)
    assert (second["source"], second["trigger"], second["more"]) == ("link", None, False)


async def test_the_backend_can_switch_off_and_ask_for_more_but_not_for_less(home: Home) -> None:
    data, base = jpeg(clear_picture()), "privface/camera/front-door"
    feed = CameraFeed(topic="door", interval=0.02)
    off = CameraFeed(topic="shed", enabled=False)
    await home.client.publish(f"{base}/enabled/state", "OFF", qos=1, retain=True)
    async with bridging(settings_of(home, cameras={"Front Door": feed, "shed": off})) as bridge:
        door = line(bridge, "Front Door")
        await until(lambda: not door.gate.enabled)
        await home.client.publish("door", data)
        await until(lambda: door.counts.unwanted == 1)
        await home.client.publish(f"{base}/enabled/state", "ON", qos=1, retain=True)
        await until(lambda: door.gate.enabled)
        for sent, kernel in enumerate(["33", "9", "34", "none"], start=1):
            await home.client.publish(f"{base}/privacy/state", kernel, qos=1, retain=True)
            await home.client.publish("door", data)
            await until(lambda n=sent: door.counts.sent == n)
        await home.client.publish("privface/camera/shed/enabled/state", "ON", qos=1, retain=True)
        await home.client.publish("shed", data)
        await until(lambda: line(bridge, "shed").counts.unwanted == 1)
    assert [one.card["privacy"]["parameter"] for one in crossed(home.proxy)] == [33, 17, 17, 17]


async def test_it_says_that_it_is_there_and_how_its_cameras_stand(home: Home) -> None:
    async with watching(home.broker.port, "privface/bridge/attic/#") as watcher:
        async with bridging(settings_of(home, topics=("shots/{camera}",))) as bridge:
            await home.client.publish("shots/a", jpeg(clear_picture()))
            await until(lambda: line(bridge, "a").counts.sent == 1)

            def told() -> bool:
                states = watcher.on("privface/bridge/attic/state")
                return bool(states) and states[-1].json["cameras"].get("a", {}).get("sent") == 1

            await until(told)
        await until(lambda: watcher.on("privface/bridge/attic/status")[-1].payload == b"offline")
        assert watcher.on("privface/bridge/attic/status")[0].payload == b"online"
        state = watcher.on("privface/bridge/attic/state")[-1].json
    assert state["backend"] == "reached"
    assert state["cameras"]["a"] | {"received": 1, "sent": 1, "enabled": True} == state["cameras"]["a"]
    assert identify_token(home.api) not in json.dumps(state)
    async with watching(home.broker.port, "privface/bridge/attic/#") as later:
        await until(lambda: len(later.seen) == 2)
        assert all(message.retained for message in later.seen)


async def test_inside_of_the_service_nothing_is_encoded_again(tmp_path: Path, broker: Mosquitto) -> None:
    registry, data = RecordingRegistry(), jpeg(clear_picture())
    sections: dict[str, Any] = {
        "mqtt": MqttSettings(host="127.0.0.1", port=broker.port),
        "broker_configured": True,
        "cameras": {"door": CameraFeed(topic="door/shot", interval=0.02)},
    }
    async with (
        backend.running(tmp_path, registry=registry, **sections) as api,
        publisher(broker.port) as client,
        watching(broker.port, "privface/bridge/+/status") as watcher,
    ):
        await until(lambda: any(message.payload == b"online" for message in watcher.seen))
        await client.publish("door/shot", data)
        await until(api.backend.services.cameras.all)
        (cameras,) = (await api.call("GET", "/api/v1/cameras")).document["cameras"]
        assert cameras["camera"] == "door"
        await api.call("PATCH", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}", json={"enabled": False})
        seen = len(registry.detected)
        await client.publish("door/shot", data)
        await asyncio.sleep(0.2)
        assert len(registry.detected) == seen
        await api.call("PATCH", "/api/v1/cameras/door", pattern="/api/v1/cameras/{camera}", json={"enabled": True})

        async def again() -> None:
            while len(registry.detected) == seen:
                await client.publish("door/shot", data)
                await asyncio.sleep(0.05)

        await asyncio.wait_for(again(), 20)
    assert np.array_equal(registry.detected[0][:, :, ::-1], blurred(data, 17))
