"""A camera whose strength follows the backend's advice: as far as the user lets it, whatever the backend says."""

import math
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from homeassistant.core import HomeAssistant

from custom_components.privface.api import Advice, Camera, FrameAnswer, FrameCard, PrivFaceClient, Snapshot
from custom_components.privface.const import CONF_ADAPTIVE, CONF_LEAST, CONF_METHOD, CONF_MOST, CONF_PARAMETER
from custom_components.privface.looks import CameraLooks
from support.backend_process import ADA, BackendProcess, DrawnPictures
from support.home import Home, StillCamera, add_cameras, camera_subentry, set_up, wait_until

CAMERA = "front_door"
FOLLOWING = {CONF_PARAMETER: 17, CONF_ADAPTIVE: True, CONF_LEAST: 9, CONF_MOST: 41}


async def make_home(
    hass: HomeAssistant, backend: BackendProcess, monkeypatch: pytest.MonkeyPatch, **data: Any
) -> tuple[Home, StillCamera, CameraLooks, list[FrameCard]]:
    """A home with one camera on a backend of its own, and the cards of the frames that leave."""
    token = await hass.async_add_executor_job(backend.create_token)
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token.text, camera_subentry("Front door", "camera.door", **FOLLOWING | data))
    client: PrivFaceClient = home.entry.runtime_data.coordinator.client
    cards: list[FrameCard] = []
    send = client.send_frame

    async def record(name: str, picture: bytes, card: FrameCard) -> FrameAnswer:
        cards.append(card)
        return await send(name, picture, card)

    monkeypatch.setattr(client, "send_frame", record)
    (looks,) = home.entry.runtime_data.looks.values()
    return home, camera, looks, cards


def teach(backend: BackendProcess, picture: bytes) -> None:
    """Show the backend twenty faces at the camera, a minute apart."""
    start = datetime.now(UTC) - timedelta(hours=2)
    privacy = {"method": "gaussian", "parameter": 3, "applied_by": "client"}
    for number in range(20):
        moment = (start + timedelta(minutes=number)).isoformat()
        backend.send_frame(CAMERA, picture, captured_at=moment, privacy=privacy, more=False)


def set_target(backend: BackendProcess, target: float) -> int | None:
    """Set the r that is to be kept; the kernel that is advised then."""
    advice = backend.call("PATCH", f"/api/v1/cameras/{CAMERA}", {"target": target})["advice"]
    return None if advice is None else int(advice["kernel"])


def advise(kernel: Any) -> Advice:
    return Advice(kernel=kernel, target=0.03, faces=20, widths=(1, 2, 3), relative=(1, 2, 3))


def is_used(looks: CameraLooks, parameter: int) -> bool:
    """Whether pictures are anonymized so now."""
    return looks.strength.parameter == parameter


async def test_it_follows_a_real_backend_within_its_limits(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, camera, looks, cards = await make_home(hass, own_backend, monkeypatch)
    camera.shown = pictures(ADA)
    await home.press()
    assert cards[-1].privacy is not None
    assert cards[-1].privacy.parameter == 17, "no advice yet: as set"
    await hass.async_add_executor_job(teach, own_backend, pictures(ADA))
    for target, least, most in ((0.02, 11, 39), (0.2, 41, 41), (0.005, 9, 9)):
        kernel = await hass.async_add_executor_job(set_target, own_backend, target)
        assert kernel is not None
        expected = min(41, max(9, kernel))
        assert least <= expected <= most
        await wait_until(partial(is_used, looks, expected))
        await home.press()
        assert cards[-1].privacy.parameter == expected
        assert home.state("sensor", home.camera(), "strength").state == str(expected)
    await hass.async_add_executor_job(set_target, own_backend, 0)
    await wait_until(lambda: looks.strength.parameter == 17)
    assert home.state("number", home.camera(), "privacy").state == "17", "what was set stays"


@pytest.mark.parametrize(("target", "away"), [(0.005, 17), (0.2, 41)])
async def test_while_the_backend_is_away_the_stronger_one_holds(
    hass: HomeAssistant,
    own_backend: BackendProcess,
    pictures: DrawnPictures,
    monkeypatch: pytest.MonkeyPatch,
    target: float,
    away: int,
) -> None:
    home, _camera, looks, _cards = await make_home(hass, own_backend, monkeypatch)
    await hass.async_add_executor_job(teach, own_backend, pictures(ADA))
    await hass.async_add_executor_job(set_target, own_backend, target)
    await wait_until(lambda: looks.strength.parameter in {9, 41})
    there = looks.strength.parameter
    await hass.async_add_executor_job(own_backend.stop)
    await wait_until(lambda: looks.strength.parameter == away)
    assert not home.entry.runtime_data.coordinator.is_connected
    await hass.async_add_executor_job(own_backend.start)
    await wait_until(lambda: looks.strength.parameter == there, seconds=60)


@pytest.mark.parametrize("method", ["gaussian", "pixelate"])
async def test_a_backend_that_lies_leads_nowhere_else(
    hass: HomeAssistant,
    own_backend: BackendProcess,
    pictures: DrawnPictures,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    home, camera, looks, cards = await make_home(hass, own_backend, monkeypatch, **{CONF_METHOD: method})
    camera.shown = pictures()
    coordinator = home.entry.runtime_data.coordinator
    for kernel in (1, 3, 255, 256, 0, -17, 10**30, 17.5, math.nan, math.inf, True, "17", None):
        coordinator.advice(CAMERA, advise(kernel))
        await home.press()
        assert cards[-1].privacy is not None
        assert 9 <= cards[-1].privacy.parameter <= 41
        snapshot = Snapshot(people=(), cameras=(Camera(camera=CAMERA, advice=advise(kernel)),), events=())
        coordinator.snapshot(snapshot)
        assert 9 <= looks.strength.parameter <= 41
    for number in range(1000):
        coordinator.advice(f"camera {number}", advise(99))
    assert len(coordinator._advice) <= 256
    coordinator.snapshot(Snapshot(people=(), cameras=(), events=()))
    assert looks.strength.parameter == 17


async def test_a_camera_that_does_not_follow_stays_as_it_was_set(
    hass: HomeAssistant, own_backend: BackendProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _camera, looks, _cards = await make_home(hass, own_backend, monkeypatch, **{CONF_ADAPTIVE: False})
    home.entry.runtime_data.coordinator.advice(CAMERA, advise(99))
    assert looks.strength.parameter == 17
