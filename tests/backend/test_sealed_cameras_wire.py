"""A sealed camera beside others over the broker, and beside Frigate: no picture of it is looked at, or even fetched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest

from privface_backend.bridge.settings import BridgeSettings, CameraFeed
from privface_backend.cli.exits import Exit
from privface_backend.domain.cameras import SealedCameras
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import to_wire_time
from privface_backend.rest.uploads import CARD_HEADER
from support.backend import ADA, BEN, STRANGER, Api, picture, running
from support.bridge import publisher
from support.cli import NO_BROKER, Home
from support.cli import SYNTHETIC as SYNTHETIC_ENGINES
from support.following import crop, following
from support.frigate_server import FrigateServer
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import until, watching
from support.reverse_proxy import RecordingProxy
from support.sealed import KEY, enroll, pictures_in, sealed_enrollment, sealed_frame

pytestmark = [*needs_mosquitto, pytest.mark.slow]

DOOR, GARDEN = "front door", "garden"
CAMERAS = {DOOR: CameraFeed(sealed=True)}


@dataclass(frozen=True)
class House:
    """A broker, a backend with a sealed camera and the bridge inside of it, and a client."""

    api: Api
    broker: Mosquitto
    client: aiomqtt.Client


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with Mosquitto(tmp_path) as broker:
        sections: dict[str, Any] = {
            "cameras": {**CAMERAS, GARDEN: CameraFeed(topic="shots/garden", interval=0.02)},
            "bridge": BridgeSettings(topics=("shots/{camera}",)),
            "mqtt": MqttSettings(host="127.0.0.1", port=broker.port, sealed_frames=True),
        }
        async with (
            running(tmp_path / "backend", broker_configured=True, **sections) as api,
            publisher(broker.port) as client,
            watching(broker.port, "privface/bridge/+/status") as watcher,
        ):
            await api.backend.link.wait_connected(60)
            await until(lambda: bool(watcher.seen))
            yield House(api, broker, client)


def message(camera: str, *identities: int) -> bytes:
    card = {"camera": camera, "captured_at": to_wire_time(datetime.now(UTC)), "more": False}
    return json.dumps({"card": card, "frame": sealed_frame(*identities)}).encode()


async def metric(api: Api, reason: str) -> int:
    text = (await api.call("GET", "/metrics")).body.decode()
    line = next((line for line in text.splitlines() if f'skipped_total{{reason="{reason}"}}' in line), "x 0")
    return int(float(line.split()[-1]))


async def test_pictures_and_sealed_frames_come_over_one_broker(house: House) -> None:
    api, client = house.api, house.client
    await api.create("Ada", ADA)
    assert (await enroll(api, "Ada", sealed_enrollment(ADA))).status == 201
    # Of the sealed camera no picture is taken, of the other one nothing sealed.
    await client.publish(f"shots/{DOOR}", picture(BEN), qos=1)
    await client.publish("shots/Front Door", picture(BEN), qos=1)
    await client.publish("privface/sealed", message(GARDEN, BEN), qos=1)
    await client.publish("privface/sealed", message(DOOR, ADA, STRANGER), qos=1)
    await client.publish("shots/garden", picture(ADA, STRANGER), qos=1)
    events = await api.logged(4)
    assert {(event["camera"], event["person"], event["privacy"]["method"]) for event in events} == {
        (DOOR, "Ada", "sealed"),
        (DOOR, None, "sealed"),
        (GARDEN, "Ada", "gaussian"),
        (GARDEN, None, "gaussian"),
    }
    cameras = {one["camera"]: one for one in (await api.call("GET", "/api/v1/cameras")).document["cameras"]}
    assert {name: (one["sealed"], one["persons"]) for name, one in cameras.items()} == {
        DOOR: (True, ["Ada"]),
        GARDEN: (False, ["Ada"]),
    }
    assert await metric(api, "contract_mismatch") == 1
    people = (await api.call("GET", "/api/v1/people")).document["people"]
    assert [person["name"] for person in people] == ["Ada"]


async def test_the_bridge_has_no_line_for_a_sealed_camera(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(house.broker.port, "privface/bridge/+/state") as watcher:
        for name in (DOOR, "FRONT DOOR"):
            await house.client.publish(f"shots/{name}", picture(ADA), qos=1)
        await house.client.publish("shots/porch", picture(ADA), qos=1)
        (event,) = await house.api.logged(1)
        assert event["camera"] == "porch"
        await until(lambda: bool(watcher.seen) and "porch" in watcher.seen[-1].json["cameras"])
        assert set(watcher.seen[-1].json["cameras"]) == {GARDEN, "porch"}
    told = [record.levelname for record in caplog.records if "of the sealed camera" in record.getMessage()]
    assert told.count("WARNING") == 1


async def test_frigate_is_not_asked_for_pictures_of_a_sealed_camera() -> None:
    one, other = "1607123950.475377-mxkls1", "1607123951.475377-mxkls2"
    async with FrigateServer(snapshots={one: crop(ADA, 0), other: crop(ADA, 1)}) as server:
        settings = FrigateSettings(enabled=True, url=server.url, interval=0.1)
        async with following(settings, sealed=SealedCameras(["Porch"])) as house:
            house.tell("new", one, camera="porch")
            house.tell("end", one, camera="porch")
            house.tell("new", other, camera="yard")
            house.tell("end", other, camera="yard")
            await until(lambda: len(house.pictures) >= 1)
        assert {picture.camera for picture in house.pictures} == {"yard"}
        assert not [path for path in server.asked if one in path or "porch" in path]


@pytest.mark.slow
async def test_a_bridge_seals_one_camera_while_another_sends_pictures(tmp_path: Path) -> None:
    """All of it in processes of their own: the backend, the bridge, and the commands on both sides."""
    picture_file = tmp_path / "people" / "Ada" / "1.png"
    picture_file.parent.mkdir(parents=True)
    picture_file.write_bytes(picture(ADA))
    backend, user = Home(root=tmp_path / "backend"), _user_side(tmp_path)
    backend.root.mkdir()
    backend.configure(f"{SYNTHETIC_ENGINES}{NO_BROKER}cameras: {{{DOOR}: {{sealed: true}}}}\n")
    assert backend.run("enroll", tmp_path / "people").code == Exit.OK
    with Mosquitto(tmp_path) as broker, backend.serve() as (_, run):
        async with RecordingProxy(run["url"]) as proxy, publisher(broker.port) as client:
            user.configure(
                f"{SYNTHETIC_ENGINES}mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
                f"bridge: {{backend: '{proxy.url}', sealed: true, topics: ['shots/{{camera}}']}}\n"
            )
            there = ("--url", proxy.url, "--token", run["token"])
            done = await asyncio.to_thread(user.run, "seal", "enroll", picture_file, "--person", "Ada", *there)
            assert done.code == Exit.OK, done.out + done.err
            assert "takes other cameras' pictures" in done.err
            with user.start("bridge", PRIVFACE_BRIDGE__TOKEN=run["token"]) as child:
                child.read_until(lambda out, _: "no picture leaves" in out)
                async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {run['token']}"}) as session:
                    # What the bridge sends of a camera that isn't sealed is refused.
                    events: list[dict[str, Any]] = []
                    async with asyncio.timeout(60):
                        while not events:
                            await client.publish("shots/garden", picture(ADA), qos=1)
                            await client.publish(f"shots/{DOOR}", picture(ADA), qos=1)
                            async with session.get(f"{run['url']}/api/v1/events") as answer:
                                events = (await answer.json())["events"]
                            await asyncio.sleep(0.2)
                    assert {(event["camera"], event["person"]) for event in events} == {(DOOR, "Ada")}
                    url, card = (
                        f"{run['url']}/api/v1/cameras",
                        {CARD_HEADER: '{"more": false}', "Content-Type": "image/png"},
                    )
                    async with session.post(f"{url}/garden/frames", data=picture(ADA), headers=card) as answer:
                        assert [face["person"] for face in (await answer.json())["faces"]] == ["Ada"]
                    async with session.post(f"{url}/{DOOR}/frames", data=picture(ADA), headers=card) as answer:
                        assert (answer.status, (await answer.json())["error"]["code"]) == (422, "sealed")
                assert child.end() == Exit.OK
            assert not [one.target for one in proxy.exchanges if pictures_in(one.body, one.content_type)]
            assert {one.target.split("/")[4] for one in proxy.exchanges if "/cameras/" in one.target} >= {
                "front%20door",
                "garden",
            }
        faces = backend.run("people", "faces", "Ada", "--json").lines
        assert [face["sealed"] for face in faces] == [False, True]
        (check,) = [one for one in backend.run("doctor", "--json").lines[0]["checks"] if one["name"] == "sealed mode"]
        assert check["verdict"] == "ok"
        assert check["text"] == f"camera {DOOR}; key {KEY.id}; 1 of 1 people have a sealed face"


def _user_side(directory: Path) -> Home:
    home = Home(root=directory / "user", variables={"PRIVFACE_SEALED__KEY": KEY.to_text()})
    home.root.mkdir()
    return home
