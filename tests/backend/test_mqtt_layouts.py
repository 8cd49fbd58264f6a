"""The messages that make devices in Home Assistant: what both layouts share, and what each must keep to."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.mqtt.announcements import Announcements
from privface_backend.mqtt.devices import Devices
from privface_backend.mqtt.layouts import DiscoveryTopics, make_layout, only_children, platforms
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.settings import DiscoveryLayout
from privface_backend.mqtt.topics import Topics

INSTANCE = "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10"
DEVICES = Devices(topics=Topics("home/pf"), instance_id=INSTANCE, hold_seconds=30, kernels=True)
TOPICS = DiscoveryTopics(prefix="homeassistant", node=DEVICES.node)
WHOLE = f"homeassistant/device/privface_{INSTANCE}/config"
ADA = ShownPerson(id="77777777-0f0e-4d0c-9f57-0e7a3a1a6a10", name="Ada", slug="ada")
DOOR = ShownCamera(name="Front door", slug="front-door", askable=True)
# What Home Assistant's own pattern for discovery topics takes.
SAFE = re.compile(r"homeassistant/device/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")
BOTH = pytest.mark.parametrize("layout", DiscoveryLayout)

Messages = dict[str, Any]


def announcing(layout: DiscoveryLayout, *, empty: bool = False) -> Announcements:
    announcements = Announcements(make_layout(layout, TOPICS, "home/pf/status"))
    for device in (DEVICES.backend(), *(() if empty else (DEVICES.person(ADA), DEVICES.camera(DOOR)))):
        announcements.show(device)
    return announcements


def said(announcements: Announcements) -> Messages:
    return {topic: json.loads(payload) if payload else None for topic, payload in announcements.messages()}


def unique_ids(messages: Messages) -> set[str]:
    holders = [holder for message in messages.values() for holder in (message, *message.get("child_devices", ()))]
    return {component["unique_id"] for holder in holders for component in holder["components"].values()}


def identifiers(messages: Messages) -> dict[str, list[str]]:
    """The devices' identifiers by name."""
    devices = [message["device"] for message in messages.values()]
    children = [child for message in messages.values() for child in message.get("child_devices", ())]
    return {device["name"]: device["identifiers"] for device in (*devices, *children)}


@BOTH
def test_each_message_says_who_it_is_from_and_when_it_is_there(layout: DiscoveryLayout) -> None:
    for topic, message in said(announcing(layout)).items():
        assert SAFE.fullmatch(topic)
        assert message["origin"]["name"] == "PrivFace"
        assert message["availability"] == [{"topic": "home/pf/status"}]
        assert message["device"]["manufacturer"] == "PrivFace"


def test_entities_and_devices_are_the_same_in_both() -> None:
    separate, one = (said(announcing(layout)) for layout in DiscoveryLayout)
    assert (len(separate), len(one)) == (3, 1)
    assert unique_ids(separate) == unique_ids(one)
    assert identifiers(separate) == identifiers(one)


def test_separate_devices_are_behind_the_backend_s() -> None:
    messages = said(announcing(DiscoveryLayout.DEVICES))
    behind = {message["device"]["name"]: message["device"].get("via_device") for message in messages.values()}
    assert behind == {"PrivFace": None, "Ada": DEVICES.node, "Front door": DEVICES.node}


def test_children_have_identifiers_and_names_only_and_no_component_id_twice() -> None:
    (message,) = said(announcing(DiscoveryLayout.CHILD_DEVICES)).values()
    assert "via_device" not in message["device"]
    assert {frozenset(child) for child in message["child_devices"]} == {
        frozenset(("identifiers", "name", "components"))
    }
    listed = [key for holder in (message, *message["child_devices"]) for key in holder["components"]]
    assert len(listed) == len(set(listed)) == len(unique_ids({"": message}))
    assert platforms(message).keys() == set(listed)


@given(st.text(max_size=64), st.uuids())
def test_every_device_has_a_topic_that_home_assistant_takes(name: str, person: object) -> None:
    keys = (
        "backend",
        DEVICES.camera_key(ShownCamera(name=name, slug="x")),
        DEVICES.person_key(ShownPerson(id=str(person), name=name, slug="x")),
    )
    assert all(SAFE.fullmatch(TOPICS.of(key)) for key in keys)


def test_a_separate_device_that_goes_is_cleared() -> None:
    announcements = announcing(DiscoveryLayout.DEVICES)
    said(announcements)
    announcements.drop(DEVICES.person_key(ADA))
    messages = said(announcements)
    assert messages.pop(TOPICS.of(DEVICES.person_key(ADA))) is None
    assert all(messages.values())
    assert len(said(announcements)) == 2


def test_a_child_that_goes_leaves_its_platforms_until_it_is_back() -> None:
    announcements = announcing(DiscoveryLayout.CHILD_DEVICES)
    before = said(announcements)[WHOLE]
    announcements.drop(DEVICES.person_key(ADA))
    for _ in range(2):
        message = said(announcements)[WHOLE]
        assert [child["name"] for child in message["child_devices"]] == ["Front door"]
        own = before["components"].keys()
        (ada,) = (child for child in before["child_devices"] if child["name"] == "Ada")
        taken_back = {key: one for key, one in message["components"].items() if key not in own}
        assert taken_back == {key: {"platform": one["platform"]} for key, one in ada["components"].items()}
    announcements.show(DEVICES.person(ADA))
    assert said(announcements)[WHOLE]["components"] == before["components"]


@BOTH
def test_a_component_that_goes_from_its_device_is_taken_back(layout: DiscoveryLayout) -> None:
    announcements = announcing(layout)
    topic = WHOLE if layout is DiscoveryLayout.CHILD_DEVICES else TOPICS.of(DEVICES.camera_key(DOOR))
    said(announcements)
    announcements.show(DEVICES.camera(replace(DOOR, askable=False)))
    (key,) = (key for key, one in said(announcements)[topic]["components"].items() if one == {"platform": "button"})
    assert key.endswith("look_now")


@BOTH
def test_what_an_earlier_run_showed_and_this_one_doesn_t_is_taken_back(layout: DiscoveryLayout) -> None:
    earlier, now = announcing(layout), announcing(layout, empty=True)
    wanted = {topic: now.find(topic, payload) for topic, payload in earlier.messages()}
    assert wanted == {topic: topic in (WHOLE, TOPICS.of("backend")) for topic in wanted}
    if layout is DiscoveryLayout.CHILD_DEVICES:
        message = said(now)[WHOLE]
        assert sum(len(one) == 1 for one in message["components"].values()) == 5 + 7
        # What was taken back isn't anew with each start.
        third = announcing(layout, empty=True)
        assert third.find(WHOLE, json.dumps(message).encode())
        assert said(third) == said(announcing(layout, empty=True))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b'{"components": 1}', b'{"child_devices": [1]}', b"["])
def test_what_stands_there_may_be_anything(payload: bytes) -> None:
    announcements = announcing(DiscoveryLayout.CHILD_DEVICES)
    assert announcements.find(WHOLE, payload)
    assert said(announcements) == said(announcing(DiscoveryLayout.CHILD_DEVICES))


def test_no_more_than_some_hundreds_are_taken_back() -> None:
    announcements = announcing(DiscoveryLayout.CHILD_DEVICES)
    for number in range(300):
        person = DEVICES.person(replace(ADA, id=str(number)))
        announcements.show(person)
        said(announcements)
        announcements.drop(person.key)
    taken_back = [key for key, one in said(announcements)[WHOLE]["components"].items() if len(one) == 1]
    assert len(taken_back) == 500
    assert taken_back[-1].startswith("person_299_")


def test_the_children_of_a_message_without_the_rest() -> None:
    message = said(announcing(DiscoveryLayout.CHILD_DEVICES))[WHOLE]
    children = json.loads(only_children(json.dumps(message).encode()))
    assert children == {key: value for key, value in message.items() if key != "components"}
    assert [only_children(payload) for payload in (b"", b"{}", b"[1]", b'{"child_devices": 1}')] == [b""] * 4


def test_a_large_household_s_message_is_far_from_what_brokers_refuse() -> None:
    announcements = announcing(DiscoveryLayout.CHILD_DEVICES, empty=True)
    for number in range(30):
        announcements.show(DEVICES.person(replace(ADA, id=str(number) * 18, name="Ada Lovelace", slug="ada-lovelace")))
    for number in range(64):
        announcements.show(DEVICES.camera(replace(DOOR, name=f"Front door {number}", slug=f"front-door-{number}")))
    ((_, payload),) = announcements.messages()
    assert len(payload) < 300_000
