"""Home Assistant with its own MQTT integration only: the devices that the backend shows there, and what becomes of
them."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from support.backend_process import ADA, STRANGER
from support.shed import CAMERA, Shed, built

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTIVITY = "binary_sensor.privface_connectivity"
PRESENT = "binary_sensor.ada_present"
FACE = "event.front_door_face"
RECOGNITION = "switch.front_door_recognition"
PRIVACY = "number.front_door_privacy"
SETTINGS = f"/api/v1/cameras/{CAMERA}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shed(tmp_path_factory: pytest.TempPathFactory, backend_python: Path) -> AsyncIterator[Shed]:
    """The home of all these tests, in their order."""
    async with built(tmp_path_factory.mktemp("shed"), backend_python) as shed:
        yield shed


async def test_the_backend_and_people_are_there(shed: Shed) -> None:
    await shed.home.until_state(CONNECTIVITY, "on")
    await shed.home.until_state(PRESENT, "off")
    devices = await shed.devices()
    assert set(devices) == {"PrivFace", "Ada"}
    assert devices["Ada"]["via_device_id"] == devices["PrivFace"]["id"]
    assert (devices["Ada"]["model"], devices["PrivFace"]["model"]) == ("Person", "Backend")
    info = await shed.call("GET", "/api/v1/info")
    assert devices["PrivFace"]["sw_version"] == info["version"]
    await shed.home.until_state("sensor.privface_version", info["version"])
    await shed.home.until_state("sensor.privface_engine", "synthetic, synthetic")
    await shed.home.until_state("sensor.privface_people", "1")
    entities = await shed.entities()
    assert {entity_id for entity_id in entities if ".ada_" in entity_id} == {
        PRESENT,
        "sensor.ada_last_camera",
        "sensor.ada_last_seen",
        "sensor.ada_score",
        "event.ada_seen",
    }
    diagnostic = {entity_id for entity_id, entity in entities.items() if entity["entity_category"] == "diagnostic"}
    assert {CONNECTIVITY, "sensor.privface_version", "sensor.ada_score"} <= diagnostic


async def test_somebody_known_comes_and_goes(shed: Shed) -> None:
    # Before its first frame, so that Home Assistant listens when that one's event comes.
    await shed.call("PATCH", SETTINGS, {"enabled": True})
    await shed.home.until_state(RECOGNITION, "on")
    (event_id,) = await shed.send(ADA)
    await shed.home.until_state(PRESENT, "on")
    face = await shed.home.until_state(FACE, lambda state: state["attributes"].get("event_id") == event_id)
    assert (face["attributes"]["event_type"], face["attributes"]["person"]) == ("known", "Ada")
    assert face["attributes"]["camera"] == CAMERA
    await shed.home.until_state("event.ada_seen", lambda state: state["attributes"].get("event_id") == event_id)
    states = await shed.home.states()
    assert states["sensor.ada_last_camera"]["state"] == CAMERA
    seen = datetime.fromisoformat(states["sensor.ada_last_seen"]["state"])
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=5)
    assert 0 < float(states["sensor.ada_score"]["state"]) <= 1
    await shed.home.until_state(PRESENT, "off")
    await shed.home.until_state("sensor.front_door_people_now", "nobody")


async def test_a_camera_is_a_device_with_what_can_be_set(shed: Shed) -> None:
    devices = await shed.devices()
    assert devices[CAMERA]["via_device_id"] == devices["PrivFace"]["id"]
    assert {entity_id for entity_id in await shed.entities() if ".front_door_" in entity_id} == {
        FACE,
        RECOGNITION,
        PRIVACY,
        "sensor.front_door_people_now",
        "sensor.front_door_strangers",
        "binary_sensor.front_door_unknown_person",
        "button.front_door_look_now",
    }


async def test_a_stranger_fires_the_event_entity(shed: Shed) -> None:
    before = (await shed.home.states())[FACE]["state"]
    (event_id,) = await shed.send(STRANGER)
    face = await shed.home.until_state(FACE, lambda state: state["attributes"].get("event_id") == event_id)
    assert face["state"] > before
    assert (face["attributes"]["event_type"], face["attributes"]["person"]) == ("unknown", None)
    people = await shed.home.until_state("sensor.front_door_people_now", "stranger")
    assert (people["attributes"]["people"], people["attributes"]["strangers"]) == ([], 1)
    await shed.home.until_state("sensor.front_door_strangers", "1")
    await shed.home.until_state("binary_sensor.front_door_unknown_person", "on")
    await shed.home.until_state("binary_sensor.front_door_unknown_person", "off")


async def test_what_is_late_or_comes_twice_fires_nothing(shed: Shed) -> None:
    topic, now = f"privface/camera/{CAMERA}/event", datetime.now(UTC)
    await shed.end_visits()
    (event_id,) = await shed.send(STRANGER)
    fired = await shed.home.until_state(FACE, lambda state: state["attributes"].get("event_id") == event_id)
    late = {"event_type": "known", "event_id": "late", "expires_at": (now - timedelta(seconds=1)).isoformat()}
    again = {"event_type": "unknown", "event_id": event_id, "expires_at": (now + timedelta(minutes=5)).isoformat()}
    fresh = {"event_type": "unusable", "event_id": "fresh", "expires_at": (now + timedelta(minutes=5)).isoformat()}
    async with shed.home.events("state_changed") as changes:
        for event in (late, again, fresh):
            await shed.publish(topic, json.dumps(event))
        while (change := (await asyncio.wait_for(changes.get(), 30))["data"])["entity_id"] != FACE:
            pass
    # The first change after all three is the last one's.
    assert change["old_state"]["state"] == fired["state"]
    assert change["new_state"]["attributes"]["event_id"] == "fresh"


async def test_the_switch_reaches_the_backend_and_follows_it(shed: Shed) -> None:
    await shed.home.until_state(RECOGNITION, "on")
    await shed.home.call("switch.turn_off", entity_id=RECOGNITION)
    await shed.home.until_state(RECOGNITION, "off")
    assert (await shed.call("GET", SETTINGS))["enabled"] is False
    await shed.call("PATCH", SETTINGS, {"enabled": True})
    await shed.home.until_state(RECOGNITION, "on")


async def test_the_number_reaches_the_backend_and_follows_it(shed: Shed) -> None:
    await shed.home.until_state(PRIVACY, "17")
    await shed.home.call("number.set_value", {"value": 31}, entity_id=PRIVACY)
    await shed.home.until_state(PRIVACY, "31")
    assert (await shed.call("GET", SETTINGS))["parameter"] == 31
    await shed.call("PATCH", SETTINGS, {"parameter": None})
    await shed.home.until_state(PRIVACY, "17")


async def test_the_button_asks_whoever_sends_the_frames(shed: Shed) -> None:
    async with shed.listening(f"privface/camera/{CAMERA}/look") as heard:
        await shed.home.call("button.press", entity_id="button.front_door_look_now")
        assert await asyncio.wait_for(heard.get(), 30) == b"PRESS"


async def test_a_camera_that_nobody_here_can_ask_has_no_button(shed: Shed) -> None:
    await shed.send(STRANGER, camera="garage", source="upload")
    await shed.home.until_state("switch.garage_recognition", "on")
    assert not {"button.garage_look_now"} & set(await shed.entities())


async def test_a_backend_that_is_gone_is_unavailable_until_it_is_back(shed: Shed) -> None:
    await shed.send(ADA)
    await shed.home.until_state(PRESENT, "on")
    await asyncio.to_thread(shed.backend.stop, signal.SIGKILL)
    for entity_id in (PRESENT, FACE, RECOGNITION, "sensor.front_door_people_now"):
        await shed.home.until_state(entity_id, "unavailable", 120)
    await shed.home.until_state(CONNECTIVITY, "off")
    await asyncio.to_thread(shed.backend.start)
    await shed.home.until_state(CONNECTIVITY, "on", 120)
    # Nobody is still there because they were when it ended.
    await shed.home.until_state(PRESENT, "off")
    await shed.home.until_state("sensor.front_door_people_now", "nobody")
    await shed.home.until_state(RECOGNITION, "on")
    assert "button.front_door_look_now" in await shed.entities()


async def test_home_assistant_starts_again(shed: Shed) -> None:
    before = {entity_id: entity["unique_id"] for entity_id, entity in (await shed.entities()).items()}
    async with shed.listening("homeassistant/device/+/backend/config") as heard:
        await asyncio.wait_for(heard.get(), 30)  # what is retained
        await shed.home.restart()
        assert json.loads(await asyncio.wait_for(heard.get(), 60))["device"]["name"] == "PrivFace"
    await shed.home.until_state(PRESENT, "off")
    await shed.home.until_state(RECOGNITION, "on")
    assert {entity_id: entity["unique_id"] for entity_id, entity in (await shed.entities()).items()} == before


async def test_a_person_who_is_renamed_keeps_their_entities(shed: Shed) -> None:
    before = (await shed.entities())[PRESENT]["unique_id"]
    (person,) = await asyncio.to_thread(shed.backend.people)
    await shed.call("PATCH", f"/api/v1/people/{person['id']}", {"name": "Adele"})
    await shed.until_devices(lambda devices: "Adele" in devices and "Ada" not in devices)
    assert (await shed.entities())[PRESENT]["unique_id"] == before

    async def follows() -> bool:
        # Home Assistant subscribes to the new topics one after the other: an event may come before it does.
        await shed.end_visits()
        (event_id,) = await shed.send(ADA)
        await asyncio.sleep(1)
        return bool((await shed.home.states())["event.ada_seen"]["attributes"].get("event_id") == event_id)

    await shed.home.until(follows, "the event's entity doesn't follow", 60)
    await shed.home.until_state(PRESENT, "on")


async def test_a_person_who_is_forgotten_is_gone(shed: Shed) -> None:
    assert await _places_of(shed, "adele") == ["device registry", "states"]
    # In another process than the service, as one would on the command line.
    (receipt,) = await asyncio.to_thread(shed.backend.run, "people", "forget", "Adele", "--yes")
    assert receipt["complete"], receipt
    await shed.until_devices(lambda devices: "Adele" not in devices)
    await shed.home.until_state("sensor.privface_people", "0")
    await shed.home.until_state("sensor.front_door_people_now", lambda state: state["attributes"]["people"] == [])
    assert not [entity_id for entity_id in await shed.home.states() if ".ada_" in entity_id]

    async def none_is_left() -> bool:
        return not await _places_of(shed, "adele") and not await _places_of(shed, ".ada_")

    await shed.home.until(none_is_left, "the name is still there", 60)


async def _places_of(shed: Shed, word: str) -> list[str]:
    """Where in Home Assistant a word stands: in the states with their attributes, and in the registries."""
    places = {
        "states": await shed.home.states(),
        "device registry": await shed.home.command("config/device_registry/list"),
        "entity registry": await shed.home.command("config/entity_registry/list"),
    }
    return sorted(place for place, found in places.items() if word in json.dumps(found).lower())


async def test_a_camera_that_is_removed_is_gone(shed: Shed) -> None:
    await shed.call("DELETE", "/api/v1/cameras/garage")
    await shed.until_devices(lambda devices: "garage" not in devices)
    assert not [entity_id for entity_id in await shed.home.states() if ".garage_" in entity_id]
    assert CAMERA in await shed.devices()


async def test_switched_off_it_takes_everything_back(shed: Shed) -> None:
    await shed.restart_backend(mqtt__home_assistant="false")
    await shed.until_devices(lambda devices: not devices)
    assert not [entity_id for entity_id in await shed.home.states() if "front_door" in entity_id]


async def test_home_assistant_had_nothing_to_complain_about(shed: Shed) -> None:
    complaints = [
        line
        for line in shed.home.log.splitlines()
        if (" ERROR " in line or " WARNING " in line) and "homeassistant.components.mqtt" in line
    ]
    assert not complaints
