"""Frigate's pictures over MQTT, from a real broker, and the whole of it as the application runs it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.frigate.settings import FrigateSettings, PictureWay
from privface_backend.protocol import FrameSource
from support.following import Following, following
from support.frigate_server import FrigateServer, jpeg, make_event
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import PATIENCE, until

ONE, TWO = "1607123950.475377-mxkls1", "1607123951.475377-mxkls2"
OVER_MQTT = FrigateSettings(enabled=True, pictures=PictureWay.MQTT, interval=0.1)


async def test_pictures_are_of_the_only_object_there() -> None:
    async with following(OVER_MQTT, {"door": "front door"}) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.pictures)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.count("repeated") == 1)
        house.take("hall/person/snapshot", jpeg(5))
        house.take("door/car/snapshot", jpeg(6))
        house.tell("end", ONE)
        house.take("door/person/snapshot", jpeg(2))
        await until(lambda: len(house.pictures) == 2)
        assert house.shades == [(ONE, jpeg(1), True), (ONE, jpeg(2), False)]
        picture = house.pictures[0]
        assert (picture.camera, picture.source, picture.trigger) == ("front door", FrameSource.FRIGATE, "person")
        assert (house.ended, house.count("objects"), house.count("closed_ended")) == ([], 0, 1)


async def test_of_several_there_nobody_knows_which_it_is() -> None:
    async with following(OVER_MQTT) as house:
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.pictures)
        house.tell("new", ONE)
        house.tell("new", TWO)
        house.take("door/person/snapshot", jpeg(2))
        await until(lambda: len(house.pictures) == 2)
        assert house.shades == [(None, jpeg(1), None), (None, jpeg(2), None)]


async def test_the_best_picture_that_comes_again_at_the_end_only_ends() -> None:
    async with following(OVER_MQTT) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.pictures)
        house.tell("end", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.ended)
        assert (len(house.pictures), house.ended) == (1, [("door", ONE)])


async def test_an_end_without_another_picture_is_one_after_a_moment() -> None:
    async with following(OVER_MQTT) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.pictures)
        house.tell("end", ONE)
        house.pass_time(3)
        await until(lambda: house.ended)
        assert house.count("objects") == 0


async def test_the_newest_of_an_interval_is_taken() -> None:
    async with following(FrigateSettings(enabled=True, pictures=PictureWay.MQTT, interval=60)) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(0))
        await until(lambda: house.pictures)
        for shade in range(1, 9):
            house.take("door/person/snapshot", jpeg(shade))
        house.pass_time(61)
        await until(lambda: len(house.pictures) == 2)
        assert (house.shades[1], house.count("skipped")) == ((ONE, jpeg(8), True), 7)


async def test_only_what_is_in_a_zone_is_shown() -> None:
    zoned = FrigateSettings(enabled=True, pictures=PictureWay.MQTT, interval=0.1, zones=("yard",))
    async with following(zoned) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.count("outside") == 1)
        house.tell("update", ONE, entered_zones=["yard"])
        house.take("door/person/snapshot", jpeg(2))
        await until(lambda: house.pictures)
        assert house.shades == [(ONE, jpeg(2), True)]


async def test_frigate_that_went_leaves_what_there_was() -> None:
    async with following(OVER_MQTT) as house:
        house.tell("new", ONE)
        house.take("door/person/snapshot", jpeg(1))
        await until(lambda: house.pictures)
        house.take("available", b"offline")
        house.passed.ahead += 60
        house.take("available", b"offline")
        await until(lambda: house.ended)
        assert house.count("closed_given_up") == 1
        house.take("available", b"online")
        house.tell("new", TWO)
        house.take("door/person/snapshot", jpeg(2))
        await until(lambda: len(house.pictures) == 2)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@contextlib.asynccontextmanager
async def subscribed(house: Following, broker: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    """Feeds a house from the broker; gives a client that publishes as Frigate does."""
    async with (
        aiomqtt.Client("127.0.0.1", broker.port, timeout=PATIENCE) as ours,
        aiomqtt.Client("127.0.0.1", broker.port, timeout=PATIENCE) as theirs,
    ):

        async def feed() -> None:
            async for message in ours.messages:
                house.frigate.take(str(message.topic), message.payload, bool(message.retain))

        feeding = asyncio.create_task(feed())
        try:
            for topic_filter, quality in house.frigate.filters.items():
                await ours.subscribe(topic_filter, qos=quality)
            yield theirs
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


class TestWithABroker:
    pytestmark = needs_mosquitto

    async def test_what_frigate_retains_is_about_nobody_who_is_there(self, broker: Mosquitto) -> None:
        async with aiomqtt.Client("127.0.0.1", broker.port) as frigate:
            await frigate.publish("frigate/available", b"online", qos=1, retain=True)
            await frigate.publish("frigate/door/person/snapshot", jpeg(1), qos=1, retain=True)
        async with following(OVER_MQTT) as house, subscribed(house, broker) as frigate:
            await until(lambda: house.count("messages_ignored_retained") == 1 and house.count("messages_taken") == 1)
            await frigate.publish("frigate/events", make_event("new", ONE), qos=1)
            # Frigate retains each; one that comes as it is published is news.
            await frigate.publish("frigate/door/person/snapshot", jpeg(2), qos=1, retain=True)
            await until(lambda: house.pictures)
            assert house.shades == [(ONE, jpeg(2), True)]

    @pytest.mark.parametrize("topic", ["frigate", "home/nvr 2"])
    async def test_events_from_the_broker_and_pictures_over_http(self, broker: Mosquitto, topic: str) -> None:
        async with FrigateServer(snapshots={ONE: jpeg(1)}, password="hunter2") as server:
            settings = FrigateSettings(
                enabled=True, topic=topic, url=server.url, username="anna", password="hunter2", interval=0.1
            )
            async with following(settings) as house, subscribed(house, broker) as frigate:
                await frigate.publish(f"{topic}/events", make_event("new", ONE), qos=1)
                await until(lambda: house.pictures)
                server.snapshots[ONE] = jpeg(2)
                await frigate.publish(f"{topic}/events", make_event("end", ONE, at=time.time()), qos=1)
                await until(lambda: len(house.pictures) == 2)
                assert house.shades == [(ONE, jpeg(1), True), (ONE, jpeg(2), False)]
            assert server.logins == 1

    async def test_a_flood_of_nonsense_stops_nothing(self, broker: Mosquitto) -> None:
        async with FrigateServer(snapshots={ONE: jpeg(1)}) as server:
            settings = FrigateSettings(enabled=True, url=server.url)
            async with following(settings) as house, subscribed(house, broker) as frigate:
                nonsense: tuple[Any, ...] = (
                    b"",
                    b"\xff\xfe",
                    b"[[[[",
                    b'{"after": {"id": 1, "camera": {}}}',
                    b"x" * 100_000,
                )
                for payload in nonsense * 20:
                    for name in ("events", "tracked_object_update", "available"):
                        await frigate.publish(f"frigate/{name}", payload, qos=1)
                await frigate.publish("frigate/events", make_event("new", ONE), qos=1)
                await until(lambda: house.pictures)
                ignored = sum(count for name, count in house.frigate.status().items() if "ignored" in name)
                assert ignored == 300
