"""Home Assistant's devices on a real Mosquitto: they come and go with people and cameras, and with the setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.settings_sections import DecisionSettings, PrivacySettings
from support.backend import ADA, BEN, STRANGER, running
from support.discovered import PEOPLE, frame, home, remove, showing
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import until, watching

pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


async def test_devices_come_rename_and_go(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker) as api:
        await seen.until_devices("PrivFace")
        person = await api.create("Ada", ADA)
        await frame(api, ADA)
        await seen.until_devices("PrivFace", "Ada", "Front door")
        assert seen.devices["Ada"]["present"]["state_topic"] == "privface/person/ada/state"
        await api.call("PATCH", f"/api/v1/people/{person}", pattern=PEOPLE, json={"name": "Adele"})
        await seen.until_devices("PrivFace", "Adele", "Front door")
        assert seen.devices["Adele"]["present"]["state_topic"] == "privface/person/adele/state"
        await api.call("DELETE", f"/api/v1/people/{person}", pattern=PEOPLE)
        await seen.until_devices("PrivFace", "Front door")
        assert await remove(api, "Front door") == 200
        await seen.until_devices("PrivFace")


async def test_events_go_to_the_entities_topics_too_and_are_not_kept(tmp_path: Path, broker: Mosquitto) -> None:
    async with watching(broker.port, "privface/#") as watcher, showing(tmp_path, broker) as api:
        await api.create("Ada", ADA)
        await frame(api, ADA, STRANGER)
        await until(lambda: len(watcher.on("privface/camera/front-door/event")) == 2)
        kinds = {message.json["event_type"] for message in watcher.on("privface/camera/front-door/event")}
        assert kinds == {"known", "unknown"}
        await until(lambda: watcher.on("privface/person/ada/event"))
        (seen,) = watcher.on("privface/person/ada/event")
        assert (seen.json["event_type"], seen.json["person"]) == ("seen", "Ada")
        assert seen.expiry is not None
        assert {message.json["event_id"] for message in watcher.on("privface/event")} >= {seen.json["event_id"]}
        assert api.backend.link.counters.published == 2
        async with watching(broker.port, "privface/#") as late:
            await until(lambda: late.on("privface/camera/front-door/state"))
            assert not [message for message in late.seen if message.topic.endswith("/event")]


async def test_only_who_can_be_asked_has_a_button(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker) as api:
        await frame(api, ADA, camera="bridged")
        await frame(api, ADA, camera="sent", source="homeassistant")
        await seen.until_devices("PrivFace", "bridged", "sent")
        await until(lambda: "look_now" in seen.devices["bridged"])
        assert "look_now" not in seen.devices["sent"]
        # It stays when somebody else sends its frames once.
        await frame(api, ADA, camera="bridged", source="upload")
    async with home(broker) as seen, showing(tmp_path, broker):
        await seen.until_devices("PrivFace", "bridged", "sent")
        assert "look_now" in seen.devices["bridged"]


async def test_without_kernels_there_is_no_number(tmp_path: Path, broker: Mosquitto) -> None:
    pixelate = PrivacySettings(method="pixelate", parameter=8)
    async with home(broker) as seen, showing(tmp_path, broker, privacy=pixelate) as api:
        await frame(api, ADA)
        await seen.until_devices("PrivFace", "Front door")
        assert "privacy" not in seen.devices["Front door"]


async def test_an_earlier_run_s_devices_go_unless_they_are_there_still(tmp_path: Path, broker: Mosquitto) -> None:
    async with showing(tmp_path, broker) as api:
        await api.create("Ada", ADA)
        ben = await api.create("Ben", BEN)
        await frame(api, ADA)
    async with running(tmp_path) as api:
        await api.call("DELETE", f"/api/v1/people/{ben}", pattern=PEOPLE)
    async with home(broker) as seen:
        await seen.until_devices("PrivFace", "Ada", "Ben", "Front door")
        async with showing(tmp_path, broker):
            await seen.until_devices("PrivFace", "Ada", "Front door")
        await until(lambda: b"offline" in [message.payload for message in seen.watcher.on("privface/status")][-1:])
        await seen.until_devices("PrivFace", "Ada", "Front door")


async def test_switched_off_all_of_them_go_and_nobody_else_s(tmp_path: Path, broker: Mosquitto) -> None:
    async with watching(broker.port, "nothing") as other:
        for topic in ("homeassistant/device/other/config", "homeassistant/device/privface_other/backend/config"):
            await other.client.publish(topic, '{"device": {"name": "Other"}, "components": {}}', qos=1, retain=True)
    async with showing(tmp_path, broker) as api:
        await api.create("Ada", ADA)
        await frame(api, ADA)
    async with home(broker) as seen:
        await seen.until_devices("PrivFace", "Ada", "Front door", "Other")
        assert seen.watcher.on("privface/backend/state")
        async with showing(tmp_path, broker, on=False):
            await seen.until_devices("Other")
            await until(lambda: seen.watcher.on("privface/backend/state")[-1].payload == b"")
        assert len(seen.messages) == 2


async def test_a_home_that_was_born_is_shown_everything_again(tmp_path: Path, broker: Mosquitto) -> None:
    async with watching(broker.port, "#") as watcher, showing(tmp_path, broker) as api:
        person = await api.create("Ada", ADA)
        topic = f"homeassistant/device/privface_{api.backend.core.instance_id}/person_{person}/config"
        await until(lambda: len(watcher.on(topic)) == 1)
        states = len(watcher.on("privface/person/ada/state"))
        await watcher.client.publish("homeassistant/status", "offline", qos=1)
        await watcher.client.publish("homeassistant/status", "online", qos=1)
        await until(lambda: len(watcher.on(topic)) == 2)
        assert watcher.on(topic)[0].payload == watcher.on(topic)[1].payload
        assert len(watcher.on("privface/person/ada/state")) == states


async def test_a_camera_s_state_of_an_earlier_run_is_not_left_standing(tmp_path: Path, broker: Mosquitto) -> None:
    topic = "privface/camera/front-door/state"
    decision = DecisionSettings(hold_seconds=1)
    async with watching(broker.port, topic) as watcher:
        async with showing(tmp_path, broker, on=False) as api:
            await api.create("Ada", ADA)
            await frame(api, ADA)
            await until(lambda: bool(watcher.seen) and watcher.seen[-1].json["persons"] == ["Ada"])
        async with showing(tmp_path, broker, on=False, decision=decision):
            await until(lambda: watcher.seen[-1].json["persons"] == [])


async def test_removing_a_camera_clears_its_topics_and_forgets_its_settings(tmp_path: Path, broker: Mosquitto) -> None:
    async with watching(broker.port, "privface/camera/#") as watcher, showing(tmp_path, broker, on=False) as api:
        await frame(api, ADA)
        await frame(api, ADA, camera="front_door")
        api.backend.services.cameras.set_parameter("Front door", 41)
        base = "privface/camera/front-door"
        await until(lambda: watcher.on(f"{base}/privacy/state")[-1:] and watcher.on(f"{base}/state"))
        assert await remove(api, "Front door") == 200
        for part in ("state", "enabled/state", "privacy/state"):
            await until(lambda part=part: watcher.on(f"{base}/{part}")[-1].payload == b"")  # type: ignore[misc]
        assert await remove(api, "Front door") == 404
        assert [camera.name for camera in api.backend.services.cameras.all()] == ["front_door"]
        await frame(api, ADA)
        assert api.backend.services.cameras.get("Front door").parameter is None
        await until(lambda: watcher.on(f"{base}/privacy/state")[-1].payload == b"17")


async def test_a_removed_camera_s_namesake_takes_its_topics_over(tmp_path: Path, broker: Mosquitto) -> None:
    async with home(broker) as seen, showing(tmp_path, broker) as api:

        def states() -> list[int | None]:
            shown = seen.watcher.on("privface/camera/front-door/state")
            return [message.json["unknown"] if message.payload else None for message in shown]

        await frame(api, STRANGER, camera="Front Door")
        await frame(api, STRANGER, camera="front-door")
        await seen.until_devices("PrivFace", "Front Door", "front-door")
        marked = seen.devices["front-door"]["recognition"]["state_topic"]
        assert marked != "privface/camera/front-door/enabled/state"
        await remove(api, "Front Door")
        await seen.until_devices("PrivFace", "front-door")
        await until(lambda: seen.devices["front-door"]["recognition"]["state_topic"] != marked)
        await until(lambda: seen.watcher.on(marked)[-1].payload == b"")
        await until(lambda: seen.watcher.on("privface/camera/front-door/enabled/state")[-1].payload == b"ON")
        await until(lambda: states()[-1:] == [1])


async def test_a_broker_that_lets_us_write_our_own_topics_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite privface/#\n")
    acl.chmod(0o600)
    with Mosquitto(tmp_path, extra=(f"acl_file {acl}",)) as strict:
        async with showing(tmp_path, strict, on=False):
            pass
        assert "doesn't let us" not in caplog.text
        async with showing(tmp_path, strict) as api:
            await frame(api, ADA)
