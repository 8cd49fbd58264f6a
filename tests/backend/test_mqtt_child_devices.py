"""The layout ``child_devices`` on a real Mosquitto: one message that follows people and cameras, and the way from one
layout to the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.mqtt.devices import Devices
from privface_backend.mqtt.home_assistant import HomeAssistant
from privface_backend.mqtt.layouts import DiscoveryTopics
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.projection import ShownPerson
from privface_backend.mqtt.settings import DiscoveryLayout, MqttSettings
from support.backend import ADA, BEN, Api, running
from support.discovered import PEOPLE, Home, frame, home, remove, showing
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import FAST, until, watching
from support.mqtt import running as connected

pytestmark = needs_mosquitto

ONE = DiscoveryLayout.CHILD_DEVICES
EACH = DiscoveryLayout.DEVICES
BIRTH = "homeassistant/status"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def whole(api: Api) -> str:
    return f"homeassistant/device/privface_{api.backend.core.instance_id}/config"


def taken_back(home: Home) -> set[str]:
    """The components that the message names by their platform only."""
    return {key for key, one in home.devices["PrivFace"].items() if len(one) == 1}


def children(home: Home) -> dict[str, Any]:
    return {name: components for name, components in home.devices.items() if name != "PrivFace"}


def cameras(api: Api, *names: str) -> None:
    for name in names:
        api.backend.services.cameras.set_parameter(name, 21)


async def test_children_come_rename_and_go(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker, layout=ONE) as api:
        person = await api.create("Ada", ADA)
        await frame(api, ADA)
        await seen.until_devices("PrivFace", "Ada", "Front door")
        assert set(seen.messages) == {whole(api)}
        gone = set(seen.devices["Ada"])
        await api.call("PATCH", f"/api/v1/people/{person}", pattern=PEOPLE, json={"name": "Adele"})
        await seen.until_devices("PrivFace", "Adele", "Front door")
        assert seen.devices["Adele"].keys() == gone
        assert not taken_back(seen)
        await api.call("DELETE", f"/api/v1/people/{person}", pattern=PEOPLE)
        await seen.until_devices("PrivFace", "Front door")
        assert taken_back(seen) == gone
        gone |= seen.devices["Front door"].keys()
        assert await remove(api, "Front door") == 200
        await seen.until_devices("PrivFace")
        assert taken_back(seen) == gone
        await frame(api, ADA)
        await seen.until_devices("PrivFace", "Front door")
        assert taken_back(seen) == gone - seen.devices["Front door"].keys()


async def test_many_changes_at_once_make_one_message(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker, layout=ONE) as api:
        await seen.until_devices("PrivFace")
        before = len(seen.watcher.on(whole(api)))
        cameras(api, *map(str, range(94)))
        await until(lambda: len(children(seen)) == 94)
        assert len(seen.watcher.on(whole(api))) == before + 1
        assert len(seen.watcher.on(whole(api))[-1].payload) > 100_000


@pytest.mark.parametrize("layout", DiscoveryLayout)
async def test_what_was_published_comes_once_more_when_nothing_changes(
    broker: Mosquitto, layout: DiscoveryLayout
) -> None:
    link = MqttLink(MqttSettings(port=broker.port), backoff=FAST)
    devices = Devices(topics=link.topics, instance_id="1", hold_seconds=30, kernels=True)
    topics = DiscoveryTopics(prefix="homeassistant", node=devices.node)
    shown = HomeAssistant(link, devices, topics, layout=layout, engine="", repeat_after=0.1)
    person = ShownPerson(id="1", name="Ada", slug="ada")
    shown.follow_people([person, replace(person, id="2", slug="ada-2")])
    async with home(broker) as seen, connected(link):
        task = asyncio.create_task(shown.run())
        try:
            await until(lambda: len(seen.watcher.on(min(seen.messages, default=""))) == 2)
            shown.follow_people([person])
            # In a message of its own the backend's device hasn't changed.
            count = 3 if layout is EACH else 4
            await until(lambda: len(seen.watcher.on(min(seen.messages, default=""))) == count)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        cleared = [message.topic for message in seen.watcher.seen if not message.payload]
        assert cleared == ([topics.of("person_2")] if layout is EACH else [])


async def test_the_embedded_broker_takes_a_large_message(tmp_path: Path) -> None:
    settings = MqttSettings(home_assistant=True, home_assistant_layout=ONE)
    async with running(tmp_path, mqtt=settings) as api:
        assert api.backend.broker is not None
        reach = api.backend.broker.settings()
        login: dict[str, Any] = {"username": reach.username, "password": reach.password, "protocol": None}
        cameras(api, *map(str, range(94)))
        async with watching(reach.port, "homeassistant/#", **login) as watcher:
            await until(lambda: watcher.seen and len(watcher.seen[-1].json["child_devices"]) == 94)
        async with watching(reach.port, "homeassistant/#", **login) as late:
            await until(lambda: late.seen)
            assert late.seen[0].retained
            assert len(late.seen[0].json["child_devices"]) == 94


async def test_who_goes_while_nothing_is_shown_is_taken_back_later(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen:
        async with showing(tmp_path, broker, layout=ONE) as api:
            await api.create("Ada", ADA)
            ben = await api.create("Ben", BEN)
            await seen.until_devices("PrivFace", "Ada", "Ben")
            gone = set(seen.devices["Ben"])
        async with running(tmp_path) as api:
            await api.call("DELETE", f"/api/v1/people/{ben}", pattern=PEOPLE)
        async with showing(tmp_path, broker, layout=ONE):
            await seen.until_devices("PrivFace", "Ada")
            await until(lambda: taken_back(seen) == gone)


async def test_who_goes_just_before_the_end_is_taken_back(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen:
        async with showing(tmp_path, broker, layout=ONE) as api:
            ada = await api.create("Ada", ADA)
            await seen.until_devices("PrivFace", "Ada")
            gone = set(seen.devices["Ada"])
            await api.call("DELETE", f"/api/v1/people/{ada}", pattern=PEOPLE)
        await seen.until_devices("PrivFace")
        assert taken_back(seen) == gone


async def test_switched_off_it_goes(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen:
        async with showing(tmp_path, broker, layout=ONE) as api:
            await frame(api, ADA)
            await seen.until_devices("PrivFace", "Front door")
        async with showing(tmp_path, broker, on=False, layout=ONE):
            await seen.until_devices()


@pytest.mark.parametrize(("before", "after"), [(EACH, ONE), (ONE, EACH)])
async def test_the_other_layout_is_cleared_first(
    tmp_path: Path, broker: Mosquitto, before: DiscoveryLayout, after: DiscoveryLayout
) -> None:
    async with home(broker) as seen:
        async with showing(tmp_path, broker, layout=before) as api:
            await api.create("Ada", ADA)
            await frame(api, ADA)
            await seen.until_devices("PrivFace", "Ada", "Front door")
        old = set(seen.messages)
        start = len(seen.watcher.seen)
        async with showing(tmp_path, broker, layout=after):
            await until(lambda: old.isdisjoint(seen.messages))
            await seen.until_devices("PrivFace", "Ada", "Front door")
            sent = [one for one in seen.watcher.seen[start:] if one.topic.startswith("homeassistant/")]
    cleared = [message.topic for message in sent[: len(old)] if not message.payload]
    assert set(cleared) == old
    assert all(message.payload for message in sent[len(old) :])
    assert {message.topic for message in sent[len(old) :]} == set(seen.messages)
    assert len(sent) == len(old) + len(seen.messages)


async def test_what_of_the_other_layout_comes_late_is_followed_by_ours_again(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker, layout=ONE, client_id="backend") as api:
        await seen.until_devices("PrivFace")
        late = whole(api).replace("/config", "/person_1/config")
        await seen.watcher.client.publish(late, '{"components": {}}', qos=1, retain=True)
        # Whoever takes the name over ends the other's connection, which then comes back.
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="backend"):
            pass
        await until(lambda: seen.watcher.on(late)[-1:] and not seen.watcher.on(late)[-1].payload)
        cleared = seen.watcher.seen.index(seen.watcher.on(late)[-1])
        await until(lambda: whole(api) in [message.topic for message in seen.watcher.seen[cleared:]])


@pytest.mark.parametrize("was_there", [False, True])
async def test_children_that_a_home_kept_while_it_was_away_go_before_devices_come(
    tmp_path: Path, broker: Mosquitto, *, was_there: bool
) -> None:
    async with showing(tmp_path, broker, layout=ONE) as api:
        topic = whole(api)
        person = topic.replace("/config", f"/person_{await api.create('Ada', ADA)}/config")
    async with home(broker) as seen, showing(tmp_path, broker, layout=EACH):
        await until(lambda: not seen.watcher.on(topic)[-1].payload and seen.watcher.on(person))
        start = len(seen.watcher.seen)
        for payload in ("offline", "online") if was_there else ("online",):
            await seen.watcher.client.publish(BIRTH, payload, qos=1)
        await until(lambda: person in [message.topic for message in seen.watcher.seen[start:]])
        since = [message for message in seen.watcher.seen[start:] if message.topic in (topic, person)]
    told = [message.json for message in since if message.topic == topic and message.payload]
    assert len(told) == (0 if was_there else 1)
    if told:
        assert [child["name"] for child in told[0]["child_devices"]] == ["Ada"]
        assert "components" not in told[0]
        assert (since[0].json, since[1].topic, since[1].payload) == (told[0], topic, b"")
        assert not any(message.retained for message in since)
