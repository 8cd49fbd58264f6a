"""What cameras are advised: over REST, on the streams and on the broker, and from one run to the next."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.app import open_backend
from privface_backend.bridge.settings import CameraFeed
from privface_backend.domain.privacy import sigma_of_kernel
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import Scope
from privface_backend.rest.uploads import CARD_HEADER
from privface_backend.settings import Settings
from privface_backend.settings_sections import PrivacySettings
from support.backend import ADA, BEN, Api, encode, make_settings, picture, pixels, running, until
from support.bridge import publisher
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import watching
from support.recording import RecordingRegistry

pytestmark = needs_mosquitto

CAMERA = "/api/v1/cameras/{camera}"
EARLIER = datetime.now(UTC) - timedelta(hours=6)


async def show(api: Api, camera: str = "door") -> dict[str, Any]:
    reply = await api.call("GET", f"/api/v1/cameras/{camera}", pattern=CAMERA, scope=Scope.IDENTIFY)
    return dict(reply.document)


async def change(api: Api, **settings: object) -> Any:
    return await api.call("PATCH", "/api/v1/cameras/door", pattern=CAMERA, json=settings)


async def see(
    api: Api, count: int, *, side: int = 160, camera: str = "door", start: int = 0, seconds: int = 60
) -> None:
    """``count`` frames with one face each, ``seconds`` apart, as a bridge sends them."""
    frame = picture(ADA, side=side)
    for number in range(start, start + count):
        card = {
            "captured_at": (EARLIER + timedelta(seconds=number * seconds)).isoformat(),
            "privacy": {"method": "gaussian", "parameter": 3, "applied_by": "bridge"},
            "more": False,
        }
        headers = {"Content-Type": "image/png", CARD_HEADER: json.dumps(card)}
        reply = await api.frame(camera, frame, scope=Scope.IDENTIFY, headers=headers)
        assert reply.status == 200, reply.body
        assert len(reply.document["faces"]) == 1


async def test_it_takes_twenty_faces_and_says_what_for(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await see(api, 19)
        camera = await show(api)
        assert (camera["advice"], camera["target"]) == (None, None)
        await see(api, 1, start=19)
        advice = (await show(api))["advice"]
        assert (advice["faces"], advice["target"]) == (20, 0.03)
        far, middle, near = advice["widths"]
        assert far <= middle <= near <= 1.25 * far
        assert advice["relative"][2] >= 0.03
        assert advice["relative"][2] == pytest.approx(sigma_of_kernel(advice["kernel"]) / near, rel=0.01)


async def test_somebody_who_stays_counts_no_more_than_thirty_times(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await see(api, 50, seconds=1)
        assert (await show(api))["advice"]["faces"] == 30


async def test_the_target_of_a_camera_is_the_one_that_was_set_nearest_to_it(tmp_path: Path) -> None:
    cameras = {"door": CameraFeed(topic="t", target=0.06)}
    async with running(tmp_path, cameras=cameras, privacy=PrivacySettings(target=0.02)) as api:
        await see(api, 20)
        await see(api, 20, camera="yard")
        kernels = [(await show(api))["advice"]["kernel"], (await show(api, "yard"))["advice"]["kernel"]]
        assert kernels[0] > 2 * kernels[1]
        assert (await change(api, target=0.02)).status == 200
        assert (await show(api))["advice"]["kernel"] == kernels[1]
        assert (await change(api, target=0)).document["advice"] is None
        assert (await change(api, target=None)).document["advice"]["kernel"] == kernels[0]


@pytest.mark.parametrize("target", [0.001, 0.3, -0.03, "0.03", True, [0.03]])
async def test_a_target_that_is_none_is_refused_and_changes_nothing(tmp_path: Path, target: object) -> None:
    async with running(tmp_path) as api:
        reply = await change(api, target=target, enabled=False)
        assert (reply.status, reply.code) == (400, "bad_request")
        assert "0.005 to 0.2" in reply.document["error"]["allowed"]


async def test_advice_can_be_switched_off(tmp_path: Path) -> None:
    async with running(tmp_path, privacy=PrivacySettings(target=0.0)) as api:
        await see(api, 25)
        assert (await show(api))["advice"] is None


async def test_what_was_learned_survives_and_goes_with_the_camera(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await see(api, 25)
        assert (await change(api, target=0.05)).status == 200
        before = await show(api)
    async with running(tmp_path) as api:
        after = await show(api)
        assert after["target"] == 0.05
        assert after["advice"]["kernel"] == before["advice"]["kernel"]
        assert after["advice"]["widths"] == pytest.approx(before["advice"]["widths"], abs=0.2)
        assert (await api.call("DELETE", "/api/v1/cameras/door", pattern=CAMERA)).status == 200
        await see(api, 1)
        assert (await show(api))["advice"] is None


async def test_another_working_size_learns_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await see(api, 25)
        pipeline = api.backend.core.settings.pipeline
    async with running(tmp_path, pipeline=type(pipeline)(working_size=320)) as api:
        assert (await show(api))["advice"] is None


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        '{"longest": 640}',
        '{"longest": 640, "cameras": {"door": {"counts": [1], "last": 0, "target": 0.03, "kernel": 9}}}',
        '{"longest": 640, "cameras": 7}',
    ],
)
async def test_what_cannot_be_read_is_learned_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings: Settings = make_settings(tmp_path)
    async with open_backend(settings) as backend:
        await backend.core.storage.call(backend.core.database.set_meta, "face_sizes", damage)
    async with running(tmp_path) as api:
        await see(api, 1)
        assert (await show(api))["advice"] is None
    assert "learned anew" in caplog.text


async def test_videos_and_pictures_that_somebody_asks_about_teach_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        for _ in range(25):
            assert (await api.identify(picture(BEN))).status == 200
        await see(api, 1)
        assert (await show(api))["advice"] is None


async def test_the_streams_tell(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        headers = {"Authorization": f"Bearer {api.tokens[Scope.IDENTIFY]}"}
        async with (
            api.session.ws_connect(f"{api.url}/api/v1/stream", headers=headers) as socket,
            api.session.get(f"{api.url}/api/v1/events/stream?kinds=advice", headers=headers) as events,
        ):
            await see(api, 21)
            while (message := await socket.receive_json(timeout=30))["type"] != "advice":
                assert message["type"] != "unknown"
            while not (line := await events.content.readline()).startswith(b"data:"):
                pass
        told = (message["camera"], message["advice"]["kernel"])
        assert told == ("door", (await show(api))["advice"]["kernel"])
        assert json.loads(line[5:]) == {key: message[key] for key in ("camera", "advice")}


async def test_the_services_own_bridge_follows(tmp_path: Path) -> None:
    registry, clear = RecordingRegistry(), pixels(ADA, side=120)
    with Mosquitto(tmp_path) as broker:
        feed = CameraFeed(topic="door", interval=0.02, adaptive=True, least=5, target=0.01)
        sections: dict[str, Any] = {
            "mqtt": MqttSettings(host="127.0.0.1", port=broker.port),
            "broker_configured": True,
            "cameras": {"door": feed},
        }
        async with running(tmp_path, registry=registry, **sections) as api, publisher(broker.port) as client:

            async def is_blurred_with(kernel: int) -> None:
                """Wait until the detector gets the camera's picture blurred so."""
                wanted = cv2.GaussianBlur(clear, (kernel, kernel), 0)
                registry.clear()
                async with asyncio.timeout(30):
                    while not any(np.array_equal(one, wanted) for one in registry.detected):
                        await client.publish("door", encode(clear))
                        await asyncio.sleep(0.05)

            await is_blurred_with(17)
            await see(api, 20, side=120)
            weaker = (await show(api))["advice"]["kernel"]
            assert 5 <= weaker < 17
            await is_blurred_with(weaker)
            assert (await change(api, target=0)).status == 200
            await is_blurred_with(17)


def _retained(seen: Any, topic: str) -> Any:
    messages = seen.on(topic)
    return messages[-1].json if messages and messages[-1].payload else None


async def test_it_is_retained_follows_and_is_cleared(tmp_path: Path) -> None:
    topic = "privface/camera/door/advice/state"
    with Mosquitto(tmp_path) as broker:
        mqtt = MqttSettings(host="127.0.0.1", port=broker.port)
        async with (
            watching(broker.port, "privface/camera/#") as watcher,
            running(tmp_path, mqtt=mqtt, broker_configured=True) as api,
        ):
            await see(api, 20)
            await until(lambda: _retained(watcher, topic), seconds=30)
            first = _retained(watcher, topic)
            assert first == {"camera": "door", **(await show(api))["advice"]}
            assert (await change(api, target=0.09)).status == 200
            await until(lambda: _retained(watcher, topic)["kernel"] > first["kernel"], seconds=30)
            async with watching(broker.port, topic) as late:
                await until(lambda: bool(late.on(topic)), seconds=30)
                assert late.on(topic)[0].retained
            assert (await change(api, target=0)).status == 200
            await until(lambda: _retained(watcher, topic) is None, seconds=30)
            assert (await change(api, target=0.09)).status == 200
            await until(lambda: _retained(watcher, topic), seconds=30)
            assert (await api.call("DELETE", "/api/v1/cameras/door", pattern=CAMERA)).status == 200
            await until(lambda: _retained(watcher, topic) is None, seconds=30)
