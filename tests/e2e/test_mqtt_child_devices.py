"""Home Assistant with its own MQTT integration only, and all devices in one message: people and cameras are children
of the backend's device. And the way there from separate devices, and back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support.backend_process import ADA, STRANGER
from support.shed import CAMERA, Shed, built

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRESENT = "binary_sensor.privface_ada_present"
SETTINGS = f"/api/v1/cameras/{CAMERA}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shed(tmp_path_factory: pytest.TempPathFactory, backend_python: Path) -> AsyncIterator[Shed]:
    """The home of all these tests, in their order."""
    directory = tmp_path_factory.mktemp("shed")
    async with built(directory, backend_python, mqtt__home_assistant_layout="child_devices") as shed:
        yield shed


async def until_behind(shed: Shed, key: str) -> None:
    """Wait until the backend's device is the ``key`` of Ada's and the camera's, and all their entities are there."""

    def wanted(devices: Any) -> bool:
        if not {"PrivFace", "Ada", CAMERA} <= set(devices):
            return False
        backend = devices["PrivFace"]["id"]
        return all(devices[name].get(key) == backend for name in ("Ada", CAMERA))

    await shed.until_devices(wanted)
    await until_entities(shed, lambda states: states and all(not is_restored(state) for state in states))


def is_restored(state: dict[str, Any] | None) -> bool:
    """Whether an entity is in the registry only."""
    return state is None or bool(state["attributes"].get("restored"))


async def until_entities(shed: Shed, wanted: Callable[[list[dict[str, Any] | None]], Any]) -> None:
    async def look() -> bool:
        states = await shed.home.states()
        return bool(wanted([states.get(entity_id) for entity_id in await shed.entities()]))

    await shed.home.until(look, "the entities don't get there", 90)


async def ids(shed: Shed) -> dict[str, tuple[str, str]]:
    """Each entity's unique id, and the id of its device."""
    return {
        entity_id: (entity["unique_id"], entity["device_id"]) for entity_id, entity in (await shed.entities()).items()
    }


def complaints(shed: Shed) -> list[str]:
    return [
        line
        for line in shed.home.log.splitlines()
        if (" ERROR " in line or " WARNING " in line) and ("mqtt" in line or "Error adding" in line)
    ]


async def test_people_and_cameras_are_children_of_the_backend(shed: Shed) -> None:
    await shed.home.until_state("binary_sensor.privface_connectivity", "on")
    await shed.call("PATCH", SETTINGS, {"enabled": True})
    await until_behind(shed, "parent_device_id")
    devices = await shed.devices()
    assert set(devices) == {"PrivFace", "Ada", CAMERA}
    assert devices["PrivFace"]["model"] == "Backend"
    assert {entity_id for entity_id in await shed.entities() if "_ada_" in entity_id} == {
        PRESENT,
        "sensor.privface_ada_last_camera",
        "sensor.privface_ada_last_seen",
        "sensor.privface_ada_score",
        "event.privface_ada_seen",
    }


async def test_its_entities_follow(shed: Shed) -> None:
    # Then it listens to what events come on, too.
    await shed.home.until_state("switch.privface_front_door_recognition", "on")
    (event_id,) = await shed.send(ADA)
    await shed.home.until_state(PRESENT, "on")
    await shed.home.until_state(
        "event.privface_front_door_face", lambda state: state["attributes"].get("event_id") == event_id
    )
    await shed.home.call("switch.turn_off", entity_id="switch.privface_front_door_recognition")
    await shed.home.until_state("switch.privface_front_door_recognition", "off")
    assert (await shed.call("GET", SETTINGS))["enabled"] is False
    await shed.call("PATCH", SETTINGS, {"enabled": True})
    await shed.home.until_state(PRESENT, "off")


async def test_a_camera_that_is_removed_takes_its_device_with_it(shed: Shed) -> None:
    await shed.send(STRANGER, camera="garage")
    await shed.until_devices(lambda devices: "garage" in devices)
    await until_entities(shed, lambda states: len(states) == 4 + 5 + 7 + 7)
    await shed.call("DELETE", "/api/v1/cameras/garage")
    await shed.until_devices(lambda devices: "garage" not in devices)
    assert not [entity_id for entity_id in await shed.home.states() if "garage" in entity_id]
    assert set(await shed.devices()) == {"PrivFace", "Ada", CAMERA}


@pytest.mark.parametrize(("layout", "key"), [("devices", "via_device_id"), ("child_devices", "parent_device_id")])
async def test_the_other_layout_has_the_same_entities_and_devices(shed: Shed, layout: str, key: str) -> None:
    before = await ids(shed)
    await shed.home.command("config/entity_registry/update", entity_id=PRESENT, name=f"Before {layout}")
    await shed.restart_backend(mqtt__home_assistant_layout=layout)
    await until_behind(shed, key)
    assert await ids(shed) == before
    entities = await shed.entities()
    assert entities[PRESENT]["name"] == f"Before {layout}"
    await shed.end_visits()
    await shed.send(ADA)
    await shed.home.until_state(PRESENT, "on")


async def test_nothing_so_far_was_complained_about(shed: Shed) -> None:
    assert not complaints(shed)


@pytest.mark.parametrize(("layout", "key"), [("devices", "via_device_id"), ("child_devices", "parent_device_id")])
async def test_a_home_that_was_away_while_the_layout_changed_follows(shed: Shed, layout: str, key: str) -> None:
    before = await ids(shed)
    await shed.home.stop()
    await shed.restart_backend(mqtt__home_assistant_layout=layout)
    # Until it has cleared what it had there before.
    async with (
        shed.listening("homeassistant/device/+/backend/config") as heard,
        shed.listening("homeassistant/device/+/config") as whole,
    ):
        await asyncio.wait_for((heard if layout == "devices" else whole).get(), 30)
    await shed.home.start()
    await until_behind(shed, key)
    assert await ids(shed) == before


async def test_a_person_who_is_forgotten_takes_their_device_with_them(shed: Shed) -> None:
    (person,) = await asyncio.to_thread(shed.backend.people)
    await shed.call("PATCH", f"/api/v1/people/{person['id']}", {"name": "Adele"})
    await shed.until_devices(lambda devices: "Adele" in devices and "Ada" not in devices)
    await shed.call("DELETE", f"/api/v1/people/{person['id']}")
    await shed.until_devices(lambda devices: "Adele" not in devices)
    assert not [entity_id for entity_id in await shed.home.states() if "_ada_" in entity_id]
    assert set(await shed.devices()) == {"PrivFace", CAMERA}


async def test_switched_off_it_takes_everything_back(shed: Shed) -> None:
    await shed.restart_backend(mqtt__home_assistant="false")
    await shed.until_devices(lambda devices: not devices)
