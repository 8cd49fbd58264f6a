"""What makes devices in Home Assistant: what must stay the same, and what must differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privface_backend.mqtt.devices import Device, Devices, event_attributes
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.mqtt.topics import CommandError, Topics
from support.mqtt import make_event

INSTANCE = "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10"
DEVICES = Devices(topics=Topics("home/pf"), instance_id=INSTANCE, hold_seconds=30, kernels=True)
ADA = ShownPerson(id="77777777-0f0e-4d0c-9f57-0e7a3a1a6a10", name="Ada", slug="ada")
DOOR = ShownCamera(name="Front door", slug="front-door", askable=True)


def devices() -> list[Device]:
    return [DEVICES.backend(), DEVICES.person(ADA), DEVICES.camera(DOOR)]


def test_no_two_entities_have_one_unique_id() -> None:
    ids = [component["unique_id"] for device in devices() for component in device.components.values()]
    assert len(set(ids)) == len(ids)
    assert all(INSTANCE in unique_id for unique_id in ids)


def test_a_rename_changes_topics_and_names_and_no_id() -> None:
    before, after = DEVICES.person(ADA), DEVICES.person(replace(ADA, name="Adele", slug="adele"))
    assert DEVICES.person_key(ADA) == DEVICES.person_key(replace(ADA, name="Adele", slug="adele"))
    assert replace(after, components=before.components) == replace(before, name="Adele")
    for (key, old), (other, new) in zip(before.components.items(), after.components.items(), strict=True):
        assert (key, old["unique_id"]) == (other, new["unique_id"])
        assert new["state_topic"] == old["state_topic"].replace("/ada/", "/adele/")


def test_a_camera_whose_slug_moves_keeps_its_ids() -> None:
    moved = replace(DOOR, slug="front-door-1f2e3d4c")
    assert DEVICES.camera_key(moved) == DEVICES.camera_key(DOOR)
    before, after = DEVICES.camera(DOOR), DEVICES.camera(moved)
    assert before.key == after.key
    assert [one["unique_id"] for one in before.components.values()] == [
        one["unique_id"] for one in after.components.values()
    ]


def test_all_but_the_connectivity_become_unavailable_with_the_backend() -> None:
    own = [key for device in devices() for key, one in device.components.items() if "availability" in one]
    assert own == ["connected"]


def test_what_is_commanded_is_what_the_backend_takes() -> None:
    found = DEVICES.camera(DOOR).components
    topics = DEVICES.topics
    assert topics.command(found["recognition"]["command_topic"], b"ON") is not None
    number = found["privacy"]
    for kernel in range(number["min"], number["max"] + 1, number["step"]):
        assert topics.command(number["command_topic"], str(kernel).encode()) is not None
    with pytest.raises(CommandError):
        topics.command(number["command_topic"], str(number["max"] + number["step"]).encode())


def test_a_parameter_that_is_no_kernel_has_no_number() -> None:
    assert "privacy" not in replace(DEVICES, kernels=False).camera(DOOR).components


def test_a_camera_that_cannot_be_asked_has_no_button() -> None:
    assert "look_now" in DEVICES.camera(DOOR).components
    assert "look_now" not in DEVICES.camera(replace(DOOR, askable=False)).components


def test_somebody_is_said_to_have_left_later_than_the_backend_says_so() -> None:
    present = DEVICES.person(ADA).components["present"]
    assert 30 < present["off_delay"] <= 60


def test_an_event_is_what_an_event_entity_takes() -> None:
    event = make_event(3)
    attributes = event_attributes(event, "known")
    assert attributes["event_type"] in DEVICES.camera(DOOR).components["face"]["event_types"]
    told = event.to_dict()
    same = attributes.keys() & told.keys()
    assert {"event_id", "person", "expires_at", "score", "stranger", "corrects"} <= same
    assert {key: attributes[key] for key in same} == {key: told[key] for key in same}
