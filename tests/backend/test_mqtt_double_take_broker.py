"""What a backend says on a real Mosquitto as Double Take does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from privface_backend.mqtt.double_take import DoubleTakeTopics
from privface_backend.mqtt.double_take_mirror import DoubleTakeMirror
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.status import LinkState
from privface_backend.protocol import Event
from support.backend import ADA, STRANGER, picture, running
from support.gate import Gate
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import FAST, Watcher, make_event, until, watching

pytestmark = needs_mosquitto

TOPICS = DoubleTakeTopics("double-take")
PERSON = ShownPerson(id="1", name="Anna", slug="anna")
DOOR = ShownCamera(name="Back Door", slug="back-door")
GARAGE = ShownCamera(name="garage", slug="garage")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def heard(watcher: Watcher, topic: str) -> list[bytes]:
    return [message.payload for message in watcher.on(f"double-take/{topic}")]


def event() -> Event:
    return replace(make_event(1), expires_at=datetime.now(UTC) + timedelta(minutes=5))


@contextlib.asynccontextmanager
async def mirroring(port: int, clock: list[float]) -> AsyncIterator[DoubleTakeMirror]:
    link = MqttLink(MqttSettings(port=port), backoff=FAST, status_topic=TOPICS.available, quiet=True)
    mirror = DoubleTakeMirror(link, TOPICS, now=lambda: clock[0])
    mirror.follow_people([PERSON])
    mirror.follow_camera(DOOR)
    tasks = [asyncio.create_task(link.run()), asyncio.create_task(mirror.run())]
    try:
        yield mirror
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_backend_tells_each_decision_once_more(tmp_path: Path, broker: Mosquitto) -> None:
    settings = MqttSettings(port=broker.port, double_take=True, client_id="ours")
    async with watching(broker.port, "double-take/#") as watcher:
        async with running(tmp_path, mqtt=settings, broker_configured=True) as api:
            await until(lambda: api.backend.link.status.state is LinkState.CONNECTED)
            await until(lambda: heard(watcher, "available") == [b"online"])
            await api.create("Ada", ADA)
            assert (await api.frame("Front door", picture(ADA, STRANGER))).status == 200
            await until(lambda: heard(watcher, "matches/Ada") and heard(watcher, "matches/unknown"))
            await until(lambda: heard(watcher, "cameras/front-door/person")[-1:] == [b"2"])
            await until(lambda: len(heard(watcher, "cameras/front-door")) == 2)
            (match,) = watcher.on("double-take/matches/Ada")
            assert match.json["match"]["match"] is True
            assert match.json["match"]["confidence"] > 50
            assert match.json["match"]["box"].keys() == {"top", "left", "width", "height"}
            assert 0 < match.json["match"]["box"]["width"] <= 640
            assert match.json["camera"] == "front-door"
            assert match.expiry is not None
        await until(lambda: heard(watcher, "available") == [b"online", b"offline"])
    async with watching(broker.port, "double-take/#") as late:
        await until(lambda: heard(late, "available") and heard(late, "cameras/front-door/person"))
        assert {message.topic for message in late.seen} == {
            "double-take/available",
            "double-take/cameras/front-door/person",
        }


async def test_a_backend_says_nothing_there_unless_it_is_told_to(tmp_path: Path, broker: Mosquitto) -> None:
    async with watching(broker.port, "#") as watcher:
        async with running(tmp_path, mqtt=MqttSettings(port=broker.port), broker_configured=True) as api:
            await api.frame("Front door", picture(STRANGER))
            await until(lambda: watcher.on("privface/event"))
        await until(lambda: watcher.on("privface/status")[-1].payload == b"offline")
        assert not [message for message in watcher.seen if not message.topic.startswith("privface/")]


async def test_a_count_goes_back_to_0_and_that_of_a_removed_camera_goes(broker: Mosquitto) -> None:
    topic, clock = "cameras/back-door/person", [0.0]
    async with watching(broker.port, "double-take/#") as watcher, mirroring(broker.port, clock) as mirror:
        await until(lambda: heard(watcher, topic) == [b"0"])
        mirror.tell(event(), DOOR, PERSON, None)
        await until(lambda: heard(watcher, topic) == [b"0", b"1"])
        clock[0] = 30.0
        # What is told of another camera makes it look at the clock.
        mirror.tell(event(), GARAGE, PERSON, None)
        await until(lambda: heard(watcher, topic) == [b"0", b"1", b"0"])
        assert heard(watcher, "cameras/garage/person") == [b"1"]
        mirror.forget_camera(DOOR)
        await until(lambda: heard(watcher, topic)[-1] == b"")


async def test_a_connection_that_breaks_says_offline_and_comes_back(broker: Mosquitto) -> None:
    gate = Gate(broker.port)
    await gate.open()
    async with watching(broker.port, "double-take/available") as watcher, mirroring(gate.port, [0.0]) as mirror:
        await until(lambda: heard(watcher, "available") == [b"online"])
        await gate.shut()
        await until(lambda: heard(watcher, "available") == [b"online", b"offline"])
        mirror.tell(event(), DOOR, PERSON, None)
        await gate.open()
        async with watching(broker.port, "double-take/matches/#") as matches:
            await until(lambda: heard(watcher, "available") == [b"online", b"offline", b"online"])
            await until(lambda: heard(matches, "matches/Anna"))
    await gate.shut()
