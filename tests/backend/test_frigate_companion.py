"""Frigate, the broker, the bridge and the backend together: pictures in, a name out, and back to Frigate."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.standalone import utc_now
from privface_backend.errors import SettingsError
from privface_backend.frigate.companion import make_companions
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.settings_loading import load_settings
from support.backend import ADA, BEN, STRANGER, Api, running
from support.bridge import bridging, identify_token, make_settings, publisher
from support.following import crop
from support.frigate_server import FrigateServer, make_event
from support.mosquitto import Mosquitto
from support.mqtt import Watcher, until, watching

ONE, TWO = "1607123950.475377-mxkls1", "1607123951.475377-mxkls2"
NAMED = {"front": CameraFeed(frigate="door")}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running_broker:
        yield running_broker


@dataclass
class Home:
    server: FrigateServer
    api: Api
    client: aiomqtt.Client
    watcher: Watcher

    async def show(self, event_id: str, identities: list[int], *, end: bool = True) -> None:
        """Frigate follows somebody: one snapshot a message, and its last word."""
        for number, identity in enumerate(identities, 1):
            seen = self.frames
            self.server.snapshots[event_id] = crop(identity, number)
            kind = "end" if end and number == len(identities) else "update"
            await self.client.publish("frigate/events", make_event(kind, event_id, at=time.time()), qos=1)
            await until(lambda seen=seen: self.frames > seen, "the frame")  # type: ignore[misc]  # the loop's value

    @property
    def frames(self) -> int:
        return sum(camera.frames for camera in self.api.backend.services.cameras.all())

    @property
    def events(self) -> list[dict[str, object]]:
        return [message.json for message in self.watcher.on("privface/event")]


@asynccontextmanager
async def home(how: str, directory: Path, port: int, cameras: dict[str, CameraFeed]) -> AsyncIterator[Home]:
    """Frigate beside a service that runs the bridge itself, or beside a bridge ``apart`` from it."""
    mqtt = MqttSettings(host="127.0.0.1", port=port)
    async with FrigateServer() as server:
        frigate = FrigateSettings(enabled=True, url=server.url, interval=0.1, sub_labels=True)
        inside: dict[str, Any] = {"frigate": frigate, "cameras": cameras} if how == "inside" else {}
        async with (
            running(directory, mqtt=mqtt, broker_configured=True, **inside) as api,
            publisher(port) as client,
            watching(port, "privface/#") as watcher,
        ):
            there = Home(server, api, client, watcher)
            await until(lambda: watcher.on("privface/status"))
            if how == "inside":
                await until(lambda: watcher.on(f"privface/bridge/{bridge_name(watcher)}/state"))
                yield there
                return
            settings = make_settings(directory, api.url, port=port, token=identify_token(api), cameras=cameras)
            settings = replace(settings, frigate=frigate)
            async with bridging(settings, companions=make_companions(settings, clock=utc_now)):
                yield there


def bridge_name(watcher: Watcher) -> str:
    topics = [message.topic for message in watcher.seen if message.topic.startswith("privface/bridge/")]
    return topics[0].split("/")[2] if topics else "?"


@pytest.mark.parametrize("how", ["inside", "apart"])
async def test_a_person_whom_frigate_follows_is_named_and_frigate_learns_it(
    how: str, tmp_path: Path, broker: Mosquitto
) -> None:
    async with home(how, tmp_path, broker.port, NAMED) as there:
        ada = await there.api.create("Ada", ADA)
        await there.show(ONE, [ADA] * 4)
        await until(lambda: there.server.sub_labels)
        assert {(one["camera"], one["source"], one["source_event_id"], one["person_id"]) for one in there.events} == {
            ("front", "frigate", ONE, ada)
        }
        assert len({str(one["visit_id"]) for one in there.events}) == 1
        assert there.events[-1]["privacy"]["applied_by"] == "bridge"  # type: ignore[index]  # JSON
        ((event_id, body),) = there.server.sub_labels
        assert (event_id, body["subLabel"]) == (ONE, "Ada")


@pytest.mark.parametrize("how", ["inside", "apart"])
async def test_two_whom_frigate_follows_at_once_are_both_told(how: str, tmp_path: Path, broker: Mosquitto) -> None:
    async with home(how, tmp_path, broker.port, {}) as there:
        ben = await there.api.create("Ben", BEN)
        await there.show(ONE, [BEN] * 2, end=False)
        await there.show(TWO, [STRANGER] * 2, end=False)
        await there.show(ONE, [BEN])
        await there.show(TWO, [STRANGER])
        await until(lambda: {one["outcome"] for one in there.events} == {"known", "unknown"})
        assert {(one["camera"], one["source_event_id"], one["person_id"]) for one in there.events} == {
            ("door", ONE, ben),
            ("door", TWO, None),
        }


async def test_what_others_send_on_our_topic_names_nobody(tmp_path: Path, broker: Mosquitto) -> None:
    async with home("apart", tmp_path, broker.port, NAMED) as there:
        await there.api.create("Ada", ADA)
        for nonsense in (b"", b"[]", b"{", b'{"schema": 1}', b"[" * 5000, b'{"event_id": 1}', b"x" * 100_000):
            await there.client.publish("privface/event", nonsense, qos=1)
        await there.show(ONE, [ADA] * 4)
        await until(lambda: there.server.sub_labels)


def test_a_camera_of_frigates_needs_frigate(tmp_path: Path) -> None:
    config = tmp_path / "privface.yaml"
    config.write_text(json.dumps({"cameras": {"front": {"frigate": "door"}}}), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(config=config, environment={})
    (problem,) = caught.value.problems
    assert "cameras.front.frigate: needs frigate.enabled" in problem
