"""The messages that make devices in Home Assistant: what must stay the same, and what must differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.mqtt.devices import Devices, event_attributes
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.topics import CommandError, Topics, encode_json
from support.mqtt import make_event

INSTANCE = "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10"
DEVICES = Devices(topics=Topics("home/pf"), prefix="homeassistant", instance_id=INSTANCE, hold_seconds=30, kernels=True)
ADA = ShownPerson(id="77777777-0f0e-4d0c-9f57-0e7a3a1a6a10", name="Ada", slug="ada")
DOOR = ShownCamera(name="Front door", slug="front-door", askable=True)
# What Home Assistant's own pattern for discovery topics takes.
SAFE = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")


def messages() -> list[dict[str, Any]]:
    return [DEVICES.backend(), DEVICES.person(ADA), DEVICES.camera(DOOR)]


def components(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from message["components"].items()


def test_each_message_says_who_it_is_from_and_when_it_is_there() -> None:
    for message in messages():
        assert message["origin"]["name"] == "PrivFace"
        assert message["availability"] == [{"topic": "home/pf/status"}]
        assert message["device"]["manufacturer"] == "PrivFace"
        assert json.loads(encode_json(message)) == message


def test_no_two_entities_have_one_unique_id() -> None:
    ids = [component["unique_id"] for message in messages() for _, component in components(message)]
    assert len(set(ids)) == len(ids)
    assert all(INSTANCE in unique_id for unique_id in ids)


def test_a_rename_changes_topics_and_names_and_no_id() -> None:
    before, after = DEVICES.person(ADA), DEVICES.person(replace(ADA, name="Adele", slug="adele"))
    assert DEVICES.person_key(ADA) == DEVICES.person_key(replace(ADA, name="Adele", slug="adele"))
    assert after["device"] == {**before["device"], "name": "Adele"}
    for (key, old), (other, new) in zip(components(before), components(after), strict=True):
        assert (key, old["unique_id"]) == (other, new["unique_id"])
        assert new["state_topic"] == old["state_topic"].replace("/ada/", "/adele/")


def test_a_camera_whose_slug_moves_keeps_its_ids() -> None:
    moved = replace(DOOR, slug="front-door-1f2e3d4c")
    assert DEVICES.camera_key(moved) == DEVICES.camera_key(DOOR)
    before, after = DEVICES.camera(DOOR), DEVICES.camera(moved)
    assert [one["unique_id"] for _, one in components(before)] == [one["unique_id"] for _, one in components(after)]


@given(st.text(max_size=64), st.uuids())
def test_every_device_has_a_topic_that_home_assistant_takes(name: str, person: object) -> None:
    keys = (
        "backend",
        DEVICES.camera_key(ShownCamera(name=name, slug="x")),
        DEVICES.person_key(ShownPerson(id=str(person), name=name, slug="x")),
    )
    assert all(SAFE.fullmatch(DEVICES.topic(key)) for key in keys)


def test_all_but_the_connectivity_become_unavailable_with_the_backend() -> None:
    own = [key for message in messages() for key, one in components(message) if "availability" in one]
    assert own == ["connected"]


def test_what_is_commanded_is_what_the_backend_takes() -> None:
    found = dict(components(DEVICES.camera(DOOR)))
    topics = DEVICES.topics
    assert topics.command(found["recognition"]["command_topic"], b"ON") is not None
    number = found["privacy"]
    for kernel in range(number["min"], number["max"] + 1, number["step"]):
        assert topics.command(number["command_topic"], str(kernel).encode()) is not None
    with pytest.raises(CommandError):
        topics.command(number["command_topic"], str(number["max"] + number["step"]).encode())


def test_a_parameter_that_is_no_kernel_has_no_number() -> None:
    assert "privacy" not in replace(DEVICES, kernels=False).camera(DOOR)["components"]


def test_a_camera_that_cannot_be_asked_has_no_button() -> None:
    assert "look_now" in DEVICES.camera(DOOR)["components"]
    assert "look_now" not in DEVICES.camera(replace(DOOR, askable=False))["components"]


def test_somebody_is_said_to_have_left_later_than_the_backend_says_so() -> None:
    present = DEVICES.person(ADA)["components"]["present"]
    assert 30 < present["off_delay"] <= 60


def test_an_event_is_what_an_event_entity_takes() -> None:
    event = make_event(3)
    attributes = event_attributes(event, "known")
    assert attributes["event_type"] in DEVICES.camera(DOOR)["components"]["face"]["event_types"]
    told = event.to_dict()
    same = attributes.keys() & told.keys()
    assert {"event_id", "person", "expires_at", "score", "stranger", "corrects"} <= same
    assert {key: attributes[key] for key in same} == {key: told[key] for key in same}
