"""Two cameras whose names are written alike: the bridge follows what the backend says of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.bridge.listeners import BackendListener
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.topics import Topics
from support.backend import ADA, picture, running
from support.bridge import bridging, clear_picture, identify_token, jpeg, line, make_settings, publisher, until
from support.mosquitto import Mosquitto
from support.mqtt import watching


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running_broker:
        yield running_broker


async def test_names_that_are_written_alike(tmp_path: Path, broker: Mosquitto) -> None:
    mqtt = MqttSettings(host="127.0.0.1", port=broker.port)
    async with (
        running(tmp_path, mqtt=mqtt, broker_configured=True) as api,
        publisher(broker.port) as client,
        watching(broker.port, "privface/camera/#") as watcher,
    ):
        await api.frame("front-door", picture(ADA))
        settings = make_settings(
            tmp_path, api.url, port=broker.port, token=identify_token(api), topics=("shots/{camera}",)
        )
        async with bridging(settings) as bridge:
            await client.publish("shots/front door", jpeg(clear_picture()))
            await until(lambda: line(bridge, "front door").counts.sent == 1)

            def slug_of(camera: str) -> str:
                states = [one for one in watcher.seen if one.topic.endswith("/state") and one.payload.startswith(b"{")]
                return next((one.topic.split("/")[2] for one in states if one.json["camera"] == camera), "")

            await until(lambda: slug_of("front door") and slug_of("front-door"))
            mine, others = slug_of("front door"), slug_of("front-door")
            assert mine != others == "front-door"
            await client.publish(f"privface/camera/{mine}/privacy/set", "51", qos=1)
            await client.publish(f"privface/camera/{mine}/enabled/set", "OFF", qos=1)
            await until(lambda: not line(bridge, "front door").gate.enabled)
            await client.publish(f"privface/camera/{others}/enabled/set", "OFF", qos=1)
            await client.publish(f"privface/camera/{mine}/enabled/set", "ON", qos=1)
            await until(lambda: line(bridge, "front door").gate.enabled)
            await client.publish(f"privface/camera/{others}/enabled/set", "OFF", qos=1)
            await client.publish("shots/front door", jpeg(clear_picture(1)))
            await until(lambda: line(bridge, "front door").counts.sent == 2)


class Line:
    """What a listener needs of a camera's line."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.enabled = True
        self.kernel: int | None = None
        self.advised: int | None = None
        self.looks = 0

    def follow(self, *, enabled: bool | None = None, kernel: int | None = None) -> None:
        self.enabled = self.enabled if enabled is None else enabled
        self.kernel = kernel or self.kernel

    def advise(self, kernel: int | None) -> None:
        self.advised = kernel

    def look(self) -> None:
        self.looks += 1


def test_which_topic_is_whose_is_learned_and_unlearned() -> None:
    door = Line("front door")
    listener = BackendListener(Topics("privface"), lambda: [door])  # type: ignore[list-item]  # as much of a line

    def say(rest: str, payload: bytes) -> None:
        listener.take(f"privface/camera/{rest}", payload, retained=rest != "front-door/look")

    say("front-door/enabled/state", b"OFF")
    assert (door.enabled, door.looks) == (False, 0)
    say("front-door/state", b'{"camera": "front-door"}')
    assert (door.enabled, door.looks) == (True, 0)
    say("front-door-1f/privacy/state", b"51")
    say("front-door-1f/state", b'{"camera": "front door"}')
    assert (door.enabled, door.kernel, door.advised) == (True, 51, None)
    advice = {"kernel": 33, "target": 0.03, "faces": 30, "widths": [1, 2, 3], "relative": [1, 2, 3]}
    say("front-door/advice/state", json.dumps(advice | {"kernel": 11}).encode())
    say("front-door-1f/advice/state", json.dumps(advice).encode())
    assert door.advised == 33
    say("front-door/look", b"PRESS")
    assert (door.enabled, door.looks) == (True, 0)
    say("front-door-1f/state", b"")
    say("front-door/state", b"")
    say("front-door/look", b"PRESS")
    assert (door.enabled, door.looks, door.advised) == (False, 1, 11)


@pytest.mark.parametrize("nonsense", [b"[]", b"{", b"7", b'{"camera": 7}', b"[" * 10_000, b"x" * 100_000])
def test_nonsense_is_nobodys_name(nonsense: bytes) -> None:
    door = Line("door")
    listener = BackendListener(Topics("privface"), lambda: [door])  # type: ignore[list-item]  # as much of a line
    listener.take("privface/camera/door/state", nonsense, retained=True)
    listener.take("privface/camera/door/look", b"PRESS", retained=False)
    assert door.looks == 1
