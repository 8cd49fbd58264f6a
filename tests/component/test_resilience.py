"""It keeps working: backends that go and come, tokens that are revoked, restarts, and nothing that leaks."""

import asyncio
import gc
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_mock_service, mock_restore_cache_with_extra_data

from custom_components.privface.api import Event
from custom_components.privface.const import DOMAIN, EVENT_TYPE, OPTION_PRESENT
from support.backend_process import ADA, BackendProcess, DrawnPictures
from support.home import Home, add_cameras, camera_subentry, make_entry, set_up, state_of, wait_until


async def set_up_own(hass: HomeAssistant, own_backend: BackendProcess, *cameras: Any, **options: Any) -> Home:
    token = await hass.async_add_executor_job(own_backend.create_token)
    return await set_up(hass, own_backend, token.text, *cameras, **options)


async def test_a_backend_that_restarts(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures, caplog: pytest.LogCaptureFixture
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up_own(hass, own_backend, camera_subentry("Front door", "camera.door"))
    coordinator = home.entry.runtime_data.coordinator
    caplog.clear()
    await hass.async_add_executor_job(own_backend.stop)
    await wait_until(lambda: home.state("sensor", home.camera(), "people_now").state == STATE_UNAVAILABLE)
    assert home.state("binary_sensor", "backend", "connected").state == STATE_OFF
    camera.shown = pictures()
    home.entry.runtime_data.looks[home.camera().removeprefix("camera_")].async_look_now()
    await wait_until(lambda: home.state("sensor", home.camera(), "last_reason").state == "backend_unavailable")
    await coordinator.async_refresh()

    await hass.async_add_executor_job(own_backend.start)
    await wait_until(lambda: home.state("sensor", home.camera(), "people_now").state == "nobody", seconds=60)
    assert home.state("binary_sensor", "backend", "connected").state == STATE_ON
    assert home.entry.runtime_data.coordinator is coordinator, "it came back without a reload"
    said = [record for record in caplog.records if "privface" in record.name and record.levelno >= logging.WARNING]
    assert len(said) == 1, [record.getMessage() for record in said]
    assert "can't be reached" in said[0].getMessage()


async def test_a_backend_that_is_away_at_the_start(hass: HomeAssistant, own_backend: BackendProcess) -> None:
    token = await hass.async_add_executor_job(own_backend.create_token)
    entry = await hass.async_add_executor_job(make_entry, own_backend, token.text)
    entry.add_to_hass(hass)
    await hass.async_add_executor_job(own_backend.stop)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(entry) is ConfigEntryState.SETUP_RETRY
    await hass.async_add_executor_job(own_backend.start)
    await hass.config_entries.async_reload(entry.entry_id)
    assert state_of(entry) is ConfigEntryState.LOADED


async def test_a_token_that_is_revoked(hass: HomeAssistant, own_backend: BackendProcess) -> None:
    token = await hass.async_add_executor_job(own_backend.create_token)
    home = await set_up(hass, own_backend, token.text)
    await hass.async_add_executor_job(own_backend.revoke_token, token)
    await home.entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done()
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_REAUTH

    other = await hass.async_add_executor_job(own_backend.create_token)
    await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": other.text})
    await hass.async_block_till_done()
    await wait_until(lambda: state_of(home.entry) is ConfigEntryState.LOADED)
    await wait_until(lambda: home.state("binary_sensor", "backend", "connected").state == STATE_ON)


async def test_a_stream_whose_token_is_revoked(
    hass: HomeAssistant, own_backend: BackendProcess, caplog: pytest.LogCaptureFixture
) -> None:
    token = await hass.async_add_executor_job(own_backend.create_token)
    home = await set_up(hass, own_backend, token.text)
    await hass.async_add_executor_job(own_backend.revoke_token, token)
    await hass.async_add_executor_job(own_backend.restart)
    await wait_until(lambda: hass.config_entries.flow.async_progress_by_handler(DOMAIN), seconds=60)
    assert home.state("binary_sensor", "backend", "connected").state == STATE_OFF
    assert token.text not in caplog.text


async def test_a_wrong_token_at_the_start(hass: HomeAssistant, backend: BackendProcess) -> None:
    entry = await hass.async_add_executor_job(make_entry, backend, "pf_wrong")
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(entry) is ConfigEntryState.SETUP_ERROR
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN)


async def test_what_a_new_snapshot_repeats_is_told_once(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up_own(hass, own_backend, camera_subentry("Front door", "camera.door"))
    told: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    camera.shown = pictures(ADA)
    await home.press()
    await wait_until(lambda: len(told) == 1)
    coordinator = home.entry.runtime_data.coordinator
    await hass.async_add_executor_job(own_backend.restart)
    await wait_until(lambda: not coordinator.is_connected)
    await wait_until(lambda: coordinator.available, seconds=60)
    await home.press()
    await wait_until(lambda: len(told) > 1)
    assert len({event.data["event_id"] for event in told}) == len(told) == 2


async def test_restored_with_the_real_time(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    await add_cameras(hass, "door")
    person = await hass.async_add_executor_job(backend.call, "POST", "/api/v1/people", {"name": "Ada"})
    seen = dt_util.utcnow() - timedelta(hours=3)
    mock_restore_cache_with_extra_data(
        hass,
        [
            (
                State("sensor.ada_last_seen", seen.isoformat()),
                {"camera": "old_door", "captured_at": seen.isoformat()},
            ),
            (
                State("sensor.old_door_last_person", "Ada"),
                {"person": person["id"], "captured_at": seen.isoformat()},
            ),
        ],
    )
    home = await set_up(hass, backend, token, camera_subentry("Old door", "camera.door"))
    ada = f"person_{person['id']}"
    await wait_until(lambda: home.state("sensor", ada, "last_seen").state != "unknown")
    assert dt_util.parse_datetime(home.state("sensor", ada, "last_seen").state) == seen.replace(microsecond=0)
    assert home.state("sensor", ada, "last_camera").state == "Old door"
    assert home.state("binary_sensor", ada, "present").state == STATE_OFF
    assert home.state("sensor", home.camera("Old door"), "last_person").state == "Ada"


async def test_what_was_restored_expires(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    person = await hass.async_add_executor_job(backend.call, "POST", "/api/v1/people", {"name": "Ada"})
    seen = dt_util.utcnow()
    kept = {"camera": "old_door", "captured_at": seen.isoformat()}
    mock_restore_cache_with_extra_data(hass, [(State("sensor.ada_last_seen", seen.isoformat()), kept)])
    home = await set_up(hass, backend, token, **{OPTION_PRESENT: 4})
    ada = f"person_{person['id']}"
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_ON)
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_OFF)


async def test_what_was_missed_reaches_automations(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures
) -> None:
    """An event that happened while the stream was away comes with the next snapshot, and triggers."""
    (camera,) = await add_cameras(hass, "door")
    home = await set_up_own(hass, own_backend, camera_subentry("Front door", "camera.door"))
    face, run = home.entity_id("event", home.camera(), "face"), async_mock_service(hass, "test", "run")
    config = {
        "triggers": {"trigger": "event.received", "target": {"entity_id": face}, "options": {"event_type": "unknown"}},
        "actions": {"action": "test.run"},
    }
    assert await async_setup_component(hass, "automation", {"automation": config})
    coordinator = home.entry.runtime_data.coordinator
    camera.shown = pictures(ADA)
    snapshot_taken = asyncio.Event()
    take = coordinator.snapshot

    # The stream's task waits here, as if the connection had only now come back.
    await hass.async_add_executor_job(own_backend.stop)
    await wait_until(lambda: not coordinator.is_connected)
    assert home.state("event", home.camera(), "face").state == STATE_UNAVAILABLE
    held: list[Any] = []

    def hold(snapshot: Any) -> None:
        held.append(snapshot)
        snapshot_taken.set()

    coordinator.snapshot = hold
    await hass.async_add_executor_job(own_backend.start)
    await asyncio.wait_for(snapshot_taken.wait(), 60)
    await home.entry.runtime_data.looks[home.camera().removeprefix("camera_")]._look("manual")
    events = await hass.async_add_executor_job(own_backend.call, "GET", "/api/v1/events")
    missed = replace(held[0], events=tuple(Event.from_dict(event) for event in events["events"]))
    coordinator._told.clear()
    take(missed)
    await hass.async_block_till_done()
    assert len(run) == 1


async def test_a_restart_in_the_middle_of_a_visit(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    home = await set_up_own(hass, own_backend, camera_subentry("Front door", "camera.door"))
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    await home.act("enroll", person="Ada", file=str(pictures.path(ADA)))
    await wait_until(lambda: home.entry.runtime_data.coordinator.household.people)
    camera.shown = pictures(ADA)
    await home.press()
    ada = home.person("Ada")
    await wait_until(lambda: home.state("binary_sensor", ada, "present").state == STATE_ON)

    told: list[Any] = []
    hass.bus.async_listen(EVENT_TYPE, told.append)
    await hass.config_entries.async_unload(home.entry.entry_id)
    await hass.config_entries.async_setup(home.entry.entry_id)
    await hass.async_block_till_done()
    assert home.state("binary_sensor", ada, "present").state == STATE_ON
    assert home.state("sensor", home.camera(), "people_now").state == "Ada"
    assert told == [], "what was told before the restart isn't told again"


def leftovers() -> tuple[set[str], int]:
    """What of the component is alive: the names of its tasks, and how many of its objects."""
    tasks = {task.get_name() for task in asyncio.all_tasks() if "PrivFace" in task.get_name()}
    gc.collect()
    objects = (type(thing).__module__ for thing in gc.get_objects())
    return tasks, sum(module.startswith("custom_components.privface") for module in objects)


async def test_fifty_times_loaded(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    (camera,) = await add_cameras(hass, "door")
    hass.states.async_set("binary_sensor.motion", "off")
    camera.shown = pictures(ADA)
    door = camera_subentry("Front door", "camera.door", interval=1, triggers=["binary_sensor.motion"])
    home = await set_up(hass, backend, token, door)

    async def reload() -> tuple[set[str], int, dict[Any, int]]:
        await hass.config_entries.async_setup(home.entry.entry_id)
        await hass.async_block_till_done()
        await home.press()
        assert await hass.config_entries.async_unload(home.entry.entry_id)
        await hass.async_block_till_done()
        listeners: dict[Any, int] = dict(hass.bus.async_listeners())
        # Home Assistant's own, while it has something to write.
        listeners.pop("homeassistant_final_write", None)
        return *leftovers(), listeners

    await hass.config_entries.async_unload(home.entry.entry_id)
    _, objects, listeners = await reload()
    for _ in range(50):
        tasks, objects_now, listeners_now = await reload()
        assert tasks == set()
        assert listeners_now == listeners
    assert objects_now <= objects, "objects of the component stay behind"
