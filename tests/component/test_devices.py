"""Devices and entities of people, cameras and the backend, on a real backend."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.util import dt as dt_util

from custom_components.privface.api import Event, Outcome, Reason, StrangerRef
from custom_components.privface.const import (
    CONF_CAMERA,
    CONF_CONDITION,
    CONF_TRIGGERS,
    DOMAIN,
    EVENT_TYPE,
    OPTION_PRESENT,
    OPTION_STRANGER,
)
from support.backend_process import ADA, BEN, STRANGER, BackendProcess, DrawnPictures
from support.home import Home, add_cameras, camera_subentry, set_up, wait_until

DOOR = camera_subentry("Front door", "camera.door")


async def enroll(home: Home, pictures: DrawnPictures, name: str, identity: int) -> None:
    home.hass.config.allowlist_external_dirs.add(str(pictures.path(identity).parent))
    await home.act("enroll", person=name, file=str(pictures.path(identity)))
    people = home.entry.runtime_data.coordinator.household.people
    await wait_until(lambda: name in {person.name for person in people.values()} | _names(home))
    await home.hass.async_block_till_done()


def _names(home: Home) -> set[str]:
    return {person.name for person in home.entry.runtime_data.coordinator.household.people.values()}


def device_names(hass: HomeAssistant, home: Home) -> set[str | None]:
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), home.entry.entry_id)
    return {device.name for device in devices}


async def test_people_come_are_renamed_and_go(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    home = await set_up(hass, backend, token)
    assert device_names(hass, home) == {"PrivFace"}

    await enroll(home, pictures, "Ada", ADA)
    ada = home.person("Ada")
    assert device_names(hass, home) == {"PrivFace", "Ada"}
    assert home.state("binary_sensor", ada, "present").state == STATE_OFF
    assert home.state("sensor", ada, "last_camera").state == STATE_UNKNOWN
    assert home.state("sensor", ada, "last_seen").state == STATE_UNKNOWN
    assert home.state("event", ada, "seen").state == STATE_UNKNOWN

    await home.act("rename", person="ada", name="Ada Lovelace")
    await wait_until(lambda: "Ada Lovelace" in device_names(hass, home))

    receipt = await home.act("forget", person="Ada Lovelace")
    assert receipt["faces"] == 1
    await wait_until(lambda: device_names(hass, home) == {"PrivFace"})
    await hass.async_block_till_done()
    entities = er.async_entries_for_config_entry(er.async_get(hass), home.entry.entry_id)
    assert not [entity for entity in entities if ada in entity.unique_id]


async def test_people_who_went_while_nobody_listened(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    home = await set_up(hass, backend, token)
    await enroll(home, pictures, "Ada", ADA)
    await hass.config_entries.async_unload(home.entry.entry_id)
    await hass.async_add_executor_job(backend.forget_everybody)
    assert device_names(hass, home) == {"PrivFace", "Ada"}
    await hass.config_entries.async_setup(home.entry.entry_id)
    await hass.async_block_till_done()
    assert device_names(hass, home) == {"PrivFace"}


async def test_a_person_before_a_camera(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Porch door", "camera.door"), **{OPTION_PRESENT: 2})
    await enroll(home, pictures, "Ada", ADA)
    ada, door = home.person("Ada"), home.camera("Porch door")
    assert home.state("sensor", door, "people_now").state == "nobody"

    camera.shown = pictures(ADA)
    await home.press("Porch door")
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_ON)
    assert home.state("sensor", ada, "last_camera").state == "Porch door"
    assert home.state("sensor", door, "people_now").state == "Ada"
    assert home.state("sensor", door, "people_now").attributes["people"] == ["Ada"]
    assert home.state("sensor", door, "last_person").state == "Ada"
    assert home.state("sensor", door, "last_reason").state == "ok"
    seen = home.state("event", ada, "seen")
    assert (seen.attributes["event_type"], seen.attributes["camera"]) == ("seen", "Porch door")
    assert home.state("event", door, "face").attributes["event_type"] == "known"
    assert home.state("event", door, "face").attributes["person"] == "Ada"

    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_OFF)
    assert home.state("sensor", door, "people_now").state == "nobody"
    assert home.state("sensor", door, "last_person").state == "Ada"

    await home.act("forget", person="Ada")
    await wait_until(lambda: home.state("event", door, "face").attributes["event_type"] == "forgotten")
    assert home.state("event", door, "face").attributes.get("person") is None
    await wait_until(lambda: device_names(hass, home) == {"PrivFace", "Porch door"})
    await hass.async_block_till_done()
    assert not [state.entity_id for state in hass.states.async_all() if "Ada" in str(state.as_dict())]


async def test_a_stranger_and_nobody(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Side door", "camera.door"), **{OPTION_STRANGER: 2})
    await enroll(home, pictures, "Ada", ADA)
    side = home.camera("Side door")
    camera.shown = pictures()
    await home.press("Side door")
    assert home.state("sensor", side, "last_reason").state == "no_face"
    assert home.state("sensor", side, "last_person").state == STATE_UNKNOWN

    camera.shown = pictures(STRANGER)
    await home.press("Side door")
    await wait_until(lambda: home.state("binary_sensor", side, "unknown_person").state == STATE_ON)
    assert home.state("sensor", side, "people_now").state == "stranger"
    assert home.state("sensor", side, "people_now").attributes["strangers"] == 1
    assert home.state("sensor", side, "last_person").state == "stranger"
    assert home.state("event", side, "face").attributes["event_type"] == "unknown"
    assert home.state("event", side, "face").attributes["person"] is None

    await wait_until(lambda: home.state("binary_sensor", side, "unknown_person").state == STATE_OFF)
    assert home.state("sensor", side, "people_now").state == "nobody"


async def stay(home: Home, title: str, *, seconds: float) -> None:
    """Let whoever is before the camera stay there."""
    async with asyncio.timeout(60):
        until = home.hass.loop.time() + seconds
        while home.hass.loop.time() < until:
            await home.press(title)
            await asyncio.sleep(0.3)


async def test_a_person_who_stays(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Hall door", "camera.door"), **{OPTION_PRESENT: 3})
    await enroll(home, pictures, "Ada", ADA)
    ada = home.person("Ada")
    told: list[Any] = []
    left: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    camera.shown = pictures(ADA)
    await home.press("Hall door")
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_ON)
    async_track_state_change_event(hass, home.entity_id("binary_sensor", ada, "present"), left.append)
    await stay(home, "Hall door", seconds=5)
    assert left == [], "states alone keep them present"
    assert home.state("sensor", home.camera("Hall door"), "people_now").state == "Ada"
    (event,) = told
    assert (event.data["outcome"], event.data["phase"], event.data["seq"]) == ("known", "confirmed", 0)
    seen = dt_util.parse_datetime(home.state("sensor", ada, "last_seen").state)
    first = dt_util.parse_datetime(event.data["captured_at"])
    assert seen is not None
    assert first is not None
    assert seen - first > timedelta(seconds=2)
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_OFF)


async def test_a_stranger_who_stays(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Shed door", "camera.door"), **{OPTION_STRANGER: 3})
    await enroll(home, pictures, "Ada", ADA)
    shed = home.camera("Shed door")
    told: list[Any] = []
    left: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    camera.shown = pictures(STRANGER)
    await home.press("Shed door")
    await wait_until(lambda: home.state("binary_sensor", shed, "unknown_person").state == STATE_ON)
    async_track_state_change_event(hass, home.entity_id("binary_sensor", shed, "unknown_person"), left.append)
    await stay(home, "Shed door", seconds=5)
    assert left == []
    assert home.state("sensor", shed, "people_now").attributes["strangers"] == 1
    assert [event.data["outcome"] for event in told] == ["unknown"]
    await wait_until(lambda: home.state("binary_sensor", shed, "unknown_person").state == STATE_OFF)


async def test_what_was_wrong_is_taken_back(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Gate", "camera.door"))
    await enroll(home, pictures, "Ada", ADA)
    ada, gate = home.person("Ada"), home.camera("Gate")
    events: list[Event] = []
    told: list[Any] = []
    home.entry.runtime_data.coordinator.async_listen_events(events.append)
    hass.bus.async_listen(EVENT_TYPE, told.append)
    camera.shown = pictures(ADA)
    await home.press("Gate")
    await wait_until(lambda: events)
    await hass.async_block_till_done()
    assert home.state("binary_sensor", ada, "present").state == STATE_ON
    assert home.state("event", ada, "seen").attributes["corrects"] is None
    assert "corrected" not in told[0].data

    wrong = replace(
        events[0],
        event_id="other",
        seq=1,
        outcome=Outcome.UNKNOWN,
        person_id=None,
        person=None,
        reason=Reason.NOT_THEM,
        stranger=StrangerRef(id="s", number=12, visit=3),
        corrects=events[0].event_id,
    )
    home.entry.runtime_data.coordinator.event(wrong)
    await hass.async_block_till_done()
    assert home.state("binary_sensor", ada, "present").state == STATE_OFF
    assert home.state("sensor", ada, "last_seen").state == STATE_UNKNOWN
    assert home.state("sensor", gate, "people_now").state == "stranger"
    assert home.state("sensor", gate, "last_person").state == "stranger"
    face = home.state("event", gate, "face").attributes
    corrected = {"outcome": "known", "person_id": ada.removeprefix("person_"), "person": "Ada"}
    assert (face["event_type"], face["seq"], face["corrects"]) == ("unknown", 1, events[0].event_id)
    assert face["corrected"] == told[1].data["corrected"] == corrected
    assert (face["stranger"]["number"], face["stranger"]["visit"]) == (12, 3)
    assert face["seen_before"] is None
    assert home.state("event", ada, "seen").attributes["event_id"] == events[0].event_id


async def test_several_at_once(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry("Back door", "camera.door"))
    await enroll(home, pictures, "Ada", ADA)
    await enroll(home, pictures, "Ben", BEN)
    back = home.camera("Back door")
    camera.shown = pictures(ADA, BEN, STRANGER, side=120)
    await home.press("Back door")
    await wait_until(lambda: home.state("sensor", back, "people_now").state == "Ada, Ben, stranger")


async def test_the_backends_own_device(hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
    home = await set_up(hass, backend, token)
    assert home.state("binary_sensor", "backend", "connected").state == STATE_ON
    assert home.state("sensor", "backend", "engine").state == "synthetic, synthetic"
    assert home.state("sensor", "backend", "templates").state == "0"
    info = await hass.async_add_executor_job(backend.call, "GET", "/api/v1/info")
    assert home.state("sensor", "backend", "version").state == info["version"]
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, info["instance_id"]), home.entry.entry_id)
    assert device is not None
    assert device.sw_version == info["version"]


async def test_a_camera_device_stands_where_its_camera_does(
    hass: HomeAssistant, backend: BackendProcess, token: str
) -> None:
    await add_cameras(hass, "door")
    area = ar.async_get(hass).async_create("Porch")
    er.async_get(hass).async_update_entity("camera.door", area_id=area.id)
    home = await set_up(hass, backend, token, DOOR)
    entity = er.async_get(hass).async_get(home.entity_id("switch", home.camera(), "recognition"))
    assert entity is not None
    assert entity.device_id is not None
    device = dr.async_get(hass).async_get(entity.device_id)
    assert device is not None
    assert device.area_id == area.id
    assert entity.config_subentry_id in home.entry.subentries


async def test_a_removed_camera_takes_its_device_along(
    hass: HomeAssistant, backend: BackendProcess, token: str
) -> None:
    await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, DOOR)
    assert device_names(hass, home) == {"PrivFace", "Front door"}
    (subentry_id,) = home.entry.subentries
    hass.config_entries.async_remove_subentry(home.entry, subentry_id)
    await hass.async_block_till_done()
    await wait_until(lambda: home.entry.runtime_data.looks == {})
    assert device_names(hass, home) == {"PrivFace"}


async def test_entities_that_are_renamed(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    registry = er.async_get(hass)
    motion = registry.async_get_or_create("binary_sensor", "test", "motion").entity_id
    family = registry.async_get_or_create("input_boolean", "test", "away").entity_id
    data = {CONF_TRIGGERS: [motion, "event.bell"], CONF_CONDITION: family}
    home = await set_up(hass, backend, token, camera_subentry("Cellar door", "camera.door", **data))
    for old, new in (
        ("camera.door", "camera.cellar"),
        (motion, "binary_sensor.cellar"),
        (family, "input_boolean.cellar"),
    ):
        registry.async_update_entity(old, new_entity_id=new)
        await hass.async_block_till_done()
    (subentry,) = home.entry.subentries.values()
    assert subentry.data[CONF_CAMERA] == "camera.cellar"
    assert subentry.data[CONF_TRIGGERS] == ["binary_sensor.cellar", "event.bell"]
    assert subentry.data[CONF_CONDITION] == "input_boolean.cellar"
    camera.shown = pictures()
    await home.press("Cellar door")
    assert home.state("sensor", home.camera("Cellar door"), "last_reason").state == "no_face"


async def test_only_what_nothing_stands_behind_can_be_deleted(
    hass: HomeAssistant, backend: BackendProcess, token: str
) -> None:
    from custom_components.privface import async_remove_config_entry_device

    await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, DOOR)
    devices = dr.async_get(hass)
    stale = devices.async_get_or_create(
        config_entry_id=home.entry.entry_id, identifiers={(DOMAIN, "of nobody")}, name="Nobody"
    )
    for device in dr.async_entries_for_config_entry(devices, home.entry.entry_id):
        removable = await async_remove_config_entry_device(hass, home.entry, device)
        assert removable is (device.id == stale.id)


@pytest.mark.parametrize("key", ["last_face", "latency", "frames_sent", "frames_skipped", "queue_depth"])
async def test_what_few_need_is_off_at_first(
    hass: HomeAssistant, backend: BackendProcess, token: str, key: str
) -> None:
    await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, DOOR)
    owner = "backend" if key == "queue_depth" else home.camera()
    entity = er.async_get(hass).async_get(home.entity_id("image" if key == "last_face" else "sensor", owner, key))
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
