"""The oldest Home Assistant that is supported takes the devices that a real backend shows over MQTT."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_socket
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message, async_fire_time_changed

from support.backend_process import ADA, SYNTHETIC, BackendProcess, DrawnPictures
from support.mosquitto import Mosquitto, needs_mosquitto

pytestmark = [
    *needs_mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="apt-get install mosquitto-clients"),
]

CAMERA = "front-door"
PRESENT = "binary_sensor.ada_present"
FACE = "event.front_door_face"


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Home Assistant's MQTT client leaves one."""
    return True


@pytest.fixture(scope="module")
def shown(backend_python: Path, pictures: DrawnPictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a backend retains below Home Assistant's discovery prefix, by topic: its device, Ada's and a camera's."""
    return _show(tmp_path_factory.mktemp("shown"), backend_python, pictures, layout="devices", count=3)


@pytest.fixture(scope="module")
def shown_at_once(
    backend_python: Path, pictures: DrawnPictures, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The same in the other layout."""
    return _show(tmp_path_factory.mktemp("at-once"), backend_python, pictures, layout="child_devices", count=1)


def _show(directory: Path, backend_python: Path, pictures: DrawnPictures, *, layout: str, count: int) -> dict[str, str]:
    # As for the shared backend: sockets are forbidden before a session's fixtures are made.
    pytest_socket.enable_socket()
    with Mosquitto(directory) as broker:
        settings = {
            **SYNTHETIC,
            "mqtt__enabled": "true",
            "mqtt__host": "127.0.0.1",
            "mqtt__port": str(broker.port),
            "mqtt__home_assistant": "true",
            "mqtt__home_assistant_layout": layout,
        }
        with BackendProcess(directory / "backend", python=backend_python, settings=settings) as backend:
            backend.call("POST", "/api/v1/people", {"name": "Ada"})
            backend.send_frame(CAMERA, pictures(ADA), more=False, source="mqtt")
            # What stands there once it has ended in order is the newest.
            backend.stop()
        return dict(line.split(" ", 1) for line in _read(broker.port, count))


def _read(port: int, count: int) -> list[str]:
    """The first messages that a subscriber is given."""
    command = ["mosquitto_sub", "-p", str(port), "-t", "homeassistant/device/#", "-F", "%t %p"]
    done = subprocess.run(
        [*command, "-C", str(count), "-W", "60"], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def _publish(hass: HomeAssistant, **messages: str) -> None:
    for topic, payload in messages.items():
        async_fire_mqtt_message(hass, topic, payload)
    await hass.async_block_till_done()


async def test_its_devices_have_their_entities_and_follow(
    hass: HomeAssistant, mqtt_mock: Any, shown: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    # The backend's own comes last, as it may.
    await _publish(hass, **dict(sorted(shown.items(), reverse=True)))
    await _publish(hass, **{"privface/status": "online"})
    devices = {device.name: device for device in dr.async_get(hass).devices}
    assert set(devices) == {"PrivFace", "Ada", CAMERA}
    assert devices["Ada"].via_device_id == devices[CAMERA].via_device_id == devices["PrivFace"].id
    assert len(er.async_get(hass).entities) == sum(len(json.loads(payload)["components"]) for payload in shown.values())
    person = {"present": True, "last_seen": "2026-11-23T08:15:30.125Z", "camera": CAMERA, "score": 0.61}
    event = {"event_type": "known", "event_id": "1", "person": "Ada", "expires_at": "2126-11-23T08:15:30.125Z"}
    await _publish(
        hass,
        **{
            "privface/person/ada/state": json.dumps(person),
            f"privface/camera/{CAMERA}/state": json.dumps({"persons": [], "unknown": 0}),
            f"privface/camera/{CAMERA}/event": json.dumps(event),
            f"privface/camera/{CAMERA}/privacy/state": "17",
        },
    )
    assert _state(hass, PRESENT) == "on"
    assert _state(hass, "sensor.ada_last_seen") == "2026-11-23T08:15:30+00:00"
    assert _state(hass, "sensor.front_door_people_now") == "nobody"
    assert _state(hass, "number.front_door_privacy") == "17"
    face = hass.states.get(FACE)
    assert face is not None
    assert (face.attributes["event_type"], face.attributes["person"]) == ("known", "Ada")
    complaints = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
    assert not [record for record in complaints if record.name.startswith("homeassistant.components.")]


async def test_a_message_with_child_devices_is_refused(
    hass: HomeAssistant, mqtt_mock: Any, shown_at_once: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    (message,) = map(json.loads, shown_at_once.values())
    assert {child["name"] for child in message["child_devices"]} == {"Ada", CAMERA}
    await _publish(hass, **shown_at_once)
    assert not list(dr.async_get(hass).devices)
    assert not er.async_get(hass).entities
    assert "Invalid MQTT device discovery payload" in caplog.text


async def test_a_device_goes_without_the_others(hass: HomeAssistant, mqtt_mock: Any, shown: dict[str, str]) -> None:
    await _publish(hass, **shown)
    (person,) = (topic for topic in shown if "/person_" in topic)
    await _publish(hass, **{person: ""})
    assert {device.name for device in dr.async_get(hass).devices} == {"PrivFace", CAMERA}
    assert hass.states.get(PRESENT) is None
    assert hass.states.get(FACE) is not None


async def test_who_left_unsaid_has_left_all_the_same(
    hass: HomeAssistant, mqtt_mock: Any, shown: dict[str, str]
) -> None:
    await _publish(hass, **shown)
    await _publish(hass, **{"privface/status": "online"})
    await _publish(hass, **{"privface/person/ada/state": json.dumps({"present": True})})
    assert _state(hass, PRESENT) == "on"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=40))
    await hass.async_block_till_done()
    assert _state(hass, PRESENT) == "off"


def _state(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state is not None, entity_id
    return state.state
