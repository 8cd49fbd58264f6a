"""A household with the real things: real faces, the default engines, a broker, a camera and Home Assistant."""

import asyncio
import re
from datetime import UTC, datetime

import pytest

from support.hass import HomeAssistant
from support.household import ADA, ADA_AGAIN, CONNECTED, FACE, PEOPLE_NOW, STRANGER, Household
from support.stage import EMPTY_ROOM, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNKNOWN = "binary_sensor.front_door_unknown_person"
LAST_LOOK = "sensor.front_door_last_look"


async def test_the_backend_is_discovered_over_mqtt(stage: Stage) -> None:
    flow = await stage.home.until_discovered("privface", "discovery_confirm")
    assert flow["context"]["source"] == "mqtt"
    assert flow["context"]["title_placeholders"]["name"] == stage.proxy.url.removeprefix("http://")


async def test_somebody_known_comes(household: Household) -> None:
    stage, before = household.stage, await household.counts()
    async with stage.home.events("privface_event") as told:
        (event_id,) = await stage.look(ADA)
        event = (await told.get())["data"]
    assert (event["event_id"], event["person"], event["outcome"]) == (event_id, "Ada", "known")
    assert await stage.heard(event_id) == event
    await household.until_counted(known=before["known"] + 1, strangers=before["strangers"])
    await stage.home.until_state(LAST_LOOK, "ok")
    states = await stage.home.states()
    assert states["binary_sensor.ada_present"]["state"] == "on"
    assert states["binary_sensor.ben_present"]["state"] == "off"
    assert states["sensor.ada_last_camera"]["state"] == "Front door"
    assert states["sensor.ada_last_seen"]["state"] == f"{event['captured_at'][:19]}+00:00"
    for entity_id, kind in ((FACE, "known"), ("event.ada_seen", "seen")):
        attributes = states[entity_id]["attributes"]
        assert (attributes["event_type"], attributes["event_id"]) == (kind, event_id), entity_id
        assert (attributes["camera"], attributes["person"]) == ("Front door", "Ada"), entity_id
    assert states["sensor.front_door_last_person"]["state"] == "Ada"
    assert states[PEOPLE_NOW]["attributes"]["people"] == ["Ada"]


async def test_a_stranger_comes(household: Household) -> None:
    stage, before = household.stage, await household.counts()
    async with stage.home.events("privface_event") as told:
        (event_id,) = await stage.look(STRANGER)
        event = (await told.get())["data"]
    assert (event["event_id"], event["person"], event["outcome"]) == (event_id, None, "unknown")
    assert await stage.heard(event_id) == event
    await household.until_counted(known=before["known"], strangers=before["strangers"] + 1)
    states = await stage.home.states()
    assert states[UNKNOWN]["state"] == "on"
    assert states["sensor.front_door_last_person"]["state"] == "stranger"
    assert states[PEOPLE_NOW]["state"].endswith("stranger")
    assert states[PEOPLE_NOW]["attributes"]["strangers"] == 1
    assert states[FACE]["attributes"]["event_type"] == "unknown"
    assert states[FACE]["attributes"]["event_id"] == event_id


async def test_nobody_comes(household: Household) -> None:
    stage = household.stage
    await stage.look(ADA)
    await stage.look(STRANGER)
    await household.remember(seconds=10)
    try:
        before, face = await household.counts(), (await stage.home.states())[FACE]["state"]
        assert await stage.look(EMPTY_ROOM) == []
        await stage.home.until_state(LAST_LOOK, "no_face")
        await stage.home.until_state(PEOPLE_NOW, "nobody")
        states = await stage.home.states()
        assert states["binary_sensor.ada_present"]["state"] == "off"
        assert states[UNKNOWN]["state"] == "off"
        assert states[FACE]["state"] == face
        assert await household.counts() == before
    finally:
        await household.remember(seconds=300)


async def test_the_backend_restarts(household: Household) -> None:
    home, backend = household.stage.home, household.stage.backend
    lost, looked = _count_warnings(home.log), (await home.states())[LAST_LOOK]
    await asyncio.to_thread(backend.stop)
    await home.until_state(CONNECTED, "off")
    states = await home.states()
    assert states["binary_sensor.ada_present"]["state"] == "unavailable"
    assert states[PEOPLE_NOW]["state"] == "unavailable"
    await asyncio.to_thread(backend.start)
    await home.until_state(CONNECTED, "on", 90)
    states = await home.states()
    assert states["binary_sensor.ada_present"]["state"] in {"on", "off"}
    assert states[PEOPLE_NOW]["state"] not in {"unavailable", "unknown"}
    assert _count_warnings(home.log) == lost + 1
    # A reload would have taken it away for a moment.
    assert states[LAST_LOOK]["last_changed"] == looked["last_changed"]


def _count_warnings(log: str) -> int:
    """How often the component said that the backend is away."""
    return len(re.findall(r"WARNING .*custom_components\.privface.*can't be reached", log))


async def test_home_assistant_restarts_in_the_middle_of_a_visit(household: Household) -> None:
    home, before, start = household.stage.home, await household.counts(), datetime.now(UTC).isoformat()
    await household.stage.look(ADA_AGAIN)
    counts = {**before, "known": before["known"] + 1}
    await household.until_counted(**counts)
    seen = await home.states()
    assert seen["binary_sensor.ada_present"]["state"] == "on"
    await home.restart()
    await home.until_state("binary_sensor.ada_present", "on")
    states = await home.states()
    kept = ("sensor.ada_last_seen", "sensor.ada_last_camera", "sensor.front_door_last_person", PEOPLE_NOW)
    assert {key: states[key]["state"] for key in kept} == {key: seen[key]["state"] for key in kept}
    # An event that was told again would be newer, counted, or in the logbook.
    for entity_id in (FACE, "event.ada_seen"):
        assert states[entity_id]["state"] == seen[entity_id]["state"], entity_id
    assert await household.counts() == counts
    await household.stage.look(STRANGER)
    known, unknown = await _until_told(home, "saw stranger", since=start)
    assert known == "saw Ada"
    # Earlier tests showed the same stranger.
    assert re.fullmatch(r"saw stranger 1 for the (second|third|fourth|fifth) time", unknown), unknown


async def _until_told(home: HomeAssistant, last: str, *, since: str) -> list[str]:
    """Wait until the logbook tells of ``last``; all that it tells of the camera."""

    async def told() -> list[str] | None:
        entries = await home.command("logbook/get_events", start_time=since)
        messages = [entry["message"] for entry in entries if entry.get("domain") == "privface"]
        return messages if messages and last in messages[-1] else None

    messages: list[str] = await home.until(told, "the logbook doesn't tell of it", 30)
    return messages
