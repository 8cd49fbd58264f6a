"""When a camera is looked through, what leaves, and what a camera that fails does."""

import asyncio
import io
import time
from pathlib import Path
from typing import Any

import pytest
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from PIL import Image

from custom_components.privface import anonymize as anonymize_package
from custom_components.privface.api import FrameAnswer, FrameCard, PrivFaceClient
from custom_components.privface.const import (
    CONF_BURST,
    CONF_CONDITION,
    CONF_CONDITION_STATES,
    CONF_COOLDOWN,
    CONF_INTERVAL,
    CONF_METHOD,
    CONF_PARAMETER,
    CONF_RECOGNITION,
    CONF_TRIGGERS,
    OPTION_PICTURE,
)
from custom_components.privface.looks import CameraLooks
from support.backend_process import ADA, BackendProcess, DrawnPictures
from support.home import Home, StillCamera, add_cameras, camera_subentry, set_up, wait_until


async def make_home(
    hass: HomeAssistant, backend: BackendProcess, token: str, title: str = "Front door", /, **data: Any
) -> tuple[Home, StillCamera, CameraLooks]:
    """A home with one camera; a test that waits for an event gives it a ``title`` of its own."""
    (camera,) = await add_cameras(hass, "door")
    home = await set_up(hass, backend, token, camera_subentry(title, "camera.door", **data))
    (looks,) = home.entry.runtime_data.looks.values()
    return home, camera, looks


async def settle(hass: HomeAssistant, looks: CameraLooks) -> None:
    """Wait until no look is under way."""
    await hass.async_block_till_done()
    await wait_until(lambda: not looks._busy)


class TestTriggers:
    @pytest.mark.parametrize(
        ("entity_id", "before", "after", "looks_expected"),
        [
            ("binary_sensor.motion", "off", "on", 1),
            ("binary_sensor.motion", "on", "off", 0),
            ("binary_sensor.motion", "unavailable", "on", 0),
            ("binary_sensor.motion", "off", "unavailable", 0),
            ("event.doorbell", "2026-11-24T07:00:00.000+00:00", "2026-11-24T08:00:00.000+00:00", 1),
            ("event.doorbell", "unknown", "2026-11-24T08:00:00.000+00:00", 1),
            ("event.doorbell", "unavailable", "2026-11-24T08:00:00.000+00:00", 0),
            ("input_button.look", "unknown", "2026-11-24T08:00:00+00:00", 1),
        ],
    )
    async def test_what_counts(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        entity_id: str,
        before: str,
        after: str,
        looks_expected: int,
    ) -> None:
        hass.states.async_set(entity_id, before)
        _home, camera, looks = await make_home(hass, backend, token, **{CONF_TRIGGERS: [entity_id], CONF_BURST: 2})
        camera.shown = pictures()
        hass.states.async_set(entity_id, after)
        await settle(hass, looks)
        assert camera.asked == looks_expected * 2
        assert looks.sent == looks_expected * 2

    async def test_cool_down(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        _home, camera, looks = await make_home(
            hass, backend, token, **{CONF_TRIGGERS: ["binary_sensor.motion"], CONF_COOLDOWN: 3600}
        )
        camera.shown = pictures()
        for state in ("on", "off", "on"):
            hass.states.async_set("binary_sensor.motion", state)
            await settle(hass, looks)
        assert camera.asked == 1
        assert looks.reason == "cooldown"

    async def test_interval(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
    ) -> None:
        _home, camera, looks = await make_home(hass, backend, token, **{CONF_INTERVAL: 1, CONF_BURST: 3})
        camera.shown = pictures()
        started = time.monotonic()
        await wait_until(lambda: looks.sent == 3)
        # One picture a second, not three.
        assert time.monotonic() - started > 1.5

    async def test_condition(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        data = {
            CONF_TRIGGERS: ["binary_sensor.motion"],
            CONF_CONDITION: "group.family",
            CONF_CONDITION_STATES: ["not_home"],
        }
        home, camera, looks = await make_home(hass, backend, token, **data)
        camera.shown = pictures()
        for family, expected in ((None, 0), ("home", 0), ("unavailable", 0), ("not_home", 1)):
            if family is not None:
                hass.states.async_set("group.family", family)
            hass.states.async_set("binary_sensor.motion", "off")
            hass.states.async_set("binary_sensor.motion", "on")
            await settle(hass, looks)
            assert camera.asked == expected
            if not expected:
                assert home.state("sensor", home.camera(), "last_reason").state == "condition"

    async def test_a_burst_ends_with_its_condition(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        hass.states.async_set("group.family", "not_home")
        data = {
            CONF_TRIGGERS: ["binary_sensor.motion"],
            CONF_CONDITION: "group.family",
            CONF_CONDITION_STATES: ["not_home"],
            CONF_BURST: 5,
        }
        _home, camera, looks = await make_home(hass, backend, token, **data)
        camera.shown, camera.hold = pictures(), asyncio.Event()
        hass.states.async_set("binary_sensor.motion", "on")
        await wait_until(lambda: camera.asked == 1)
        # Somebody comes home while the picture is being taken: it isn't sent.
        hass.states.async_set("group.family", "home")
        camera.hold.set()
        await settle(hass, looks)
        assert (camera.asked, looks.sent) == (1, 0)

    async def test_look_now_asks_for_no_condition(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token, **{CONF_CONDITION: "group.family"})
        camera.shown = pictures()
        await home.press()
        assert camera.asked == 1

    async def test_one_look_at_a_time(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        _home, camera, looks = await make_home(hass, backend, token, **{CONF_TRIGGERS: ["binary_sensor.motion"]})
        camera.shown, camera.hold = pictures(), asyncio.Event()
        for state in ("on", "off", "on"):
            hass.states.async_set("binary_sensor.motion", state)
        await wait_until(lambda: camera.asked == 1)
        camera.hold.set()
        await settle(hass, looks)
        assert camera.asked == 1


class TestWhatFollows:
    """The card of a frame says whether another one of the same look comes."""

    @pytest.mark.parametrize("burst", [1, 3])
    async def test_all_but_the_last_frame_of_a_burst(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        monkeypatch: pytest.MonkeyPatch,
        burst: int,
    ) -> None:
        home, camera, looks = await make_home(hass, backend, token, **{CONF_BURST: burst})
        cards = record_cards(home, monkeypatch)
        camera.shown = pictures()
        looks.async_look_now()
        await settle(hass, looks)
        assert [card.more for card in cards] == [True] * (burst - 1) + [False]

    async def test_single_looks_are_the_last(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        home, camera, looks = await make_home(hass, backend, token, **{CONF_INTERVAL: 1, CONF_BURST: 3})
        cards = record_cards(home, monkeypatch)
        camera.shown = pictures()
        await wait_until(lambda: looks.sent == 2)
        assert [card.more for card in cards] == [False, False]

    async def test_a_frame_that_can_not_be_taken_is_not_awaited(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The last of a burst fails: the backend decides by itself when it has waited."""
        home, camera, looks = await make_home(hass, backend, token, "Broken door", **{CONF_BURST: 2})
        cards = record_cards(home, monkeypatch)
        told: list[Any] = []
        hass.bus.async_listen("privface_event", told.append)
        camera.shown = pictures(ADA)
        looks.async_listen(lambda: setattr(camera, "shown", None))
        looks.async_look_now()
        await settle(hass, looks)
        assert (looks.sent, looks.skipped) == (1, 1)
        assert [card.more for card in cards] == [True]
        await wait_until(lambda: told)
        assert told[0].data["phase"] == "confirmed"


def record_cards(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[FrameCard]:
    """The cards that are sent from now on."""
    cards: list[FrameCard] = []
    client: PrivFaceClient = home.entry.runtime_data.coordinator.client
    send = client.send_frame

    async def record(camera: str, picture: bytes, card: FrameCard) -> FrameAnswer:
        cards.append(card)
        return await send(camera, picture, card)

    monkeypatch.setattr(client, "send_frame", record)
    return cards


class TestSwitch:
    async def test_off_means_that_no_picture_is_taken(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        home, camera, looks = await make_home(hass, backend, token, **{CONF_TRIGGERS: ["binary_sensor.motion"]})
        camera.shown = pictures()
        switch = home.entity_id("switch", home.camera(), "recognition")
        await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
        hass.states.async_set("binary_sensor.motion", "on")
        await settle(hass, looks)
        assert camera.asked == 0
        assert looks.reason == "recognition_off"
        with pytest.raises(ServiceValidationError, match="switched off"):
            await home.press()
        await hass.services.async_call("switch", "turn_on", {"entity_id": switch}, blocking=True)
        await home.press()
        assert camera.asked == 1

    async def test_off_ends_what_is_under_way(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        home, camera, looks = await make_home(hass, backend, token, **{CONF_BURST: 20})
        camera.shown, camera.hold = pictures(), asyncio.Event()
        looks.async_look_now()
        await wait_until(lambda: camera.asked == 1)
        switch = home.entity_id("switch", home.camera(), "recognition")
        await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
        camera.hold.set()
        await settle(hass, looks)
        assert looks.sent == 0

    async def test_stays_off(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        hass.states.async_set("binary_sensor.motion", "off")
        home, camera, _looks = await make_home(hass, backend, token, **{CONF_TRIGGERS: ["binary_sensor.motion"]})
        camera.shown = pictures()
        switch = home.entity_id("switch", home.camera(), "recognition")
        await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
        er.async_get(hass).async_update_entity(switch, new_entity_id="switch.other")
        er.async_get(hass).async_update_entity("switch.other", disabled_by=er.RegistryEntryDisabler.USER)
        await hass.config_entries.async_reload(home.entry.entry_id)
        await hass.async_block_till_done()
        (looks,) = home.entry.runtime_data.looks.values()
        hass.states.async_set("binary_sensor.motion", "on")
        await settle(hass, looks)
        assert camera.asked == 0
        assert looks.reason == "recognition_off"

    @pytest.mark.parametrize(
        "source",
        [{"entity_id": "camera.door"}, {"media": {"media_content_id": "media-source://camera/camera.door"}}],
    )
    async def test_off_holds_for_actions(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        source: dict[str, Any],
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token, **{CONF_RECOGNITION: False})
        camera.shown = pictures(ADA)
        assert home.state("switch", home.camera(), "recognition").state == STATE_OFF
        for action, data in (("identify", {}), ("enroll", {"person": "Ada"})):
            with pytest.raises(ServiceValidationError, match="switched off"):
                await home.act(action, **data, **source)
        assert camera.asked == 0


class TestPrivacy:
    async def test_the_number_is_in_force_with_the_next_look(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token, "Number door")
        camera.shown = pictures(ADA)
        events: list[Any] = []
        hass.bus.async_listen("privface_event", events.append)
        number = home.entity_id("number", home.camera("Number door"), "privacy")
        coordinator = home.entry.runtime_data.coordinator
        await hass.services.async_call("number", "set_value", {"entity_id": number, "value": 25}, blocking=True)
        await hass.async_block_till_done()
        assert home.state("number", home.camera("Number door"), "privacy").state == "25"
        assert home.entry.runtime_data.coordinator is coordinator, "a reload would have lost what is under way"
        await home.press("Number door")
        await wait_until(lambda: events)
        assert events[0].data["privacy"]["parameter"] == 25
        assert events[0].data["privacy"]["applied_by"] == "client"
        assert "camera.door" not in str(events[0].data), "which entity it is is nobody's business"

    async def test_an_even_kernel_is_refused(self, hass: HomeAssistant, backend: BackendProcess, token: str) -> None:
        home, _camera, looks = await make_home(hass, backend, token)
        number = home.entity_id("number", home.camera(), "privacy")
        with pytest.raises(HomeAssistantError, match="odd"):
            await hass.services.async_call("number", "set_value", {"entity_id": number, "value": 10}, blocking=True)
        assert looks.settings.strength.parameter == 9

    async def test_pixelate(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        home, camera, _looks = await make_home(
            hass, backend, token, "Pixel door", **{CONF_METHOD: "pixelate", CONF_PARAMETER: 6}
        )
        camera.shown = pictures(ADA)
        events: list[Any] = []
        hass.bus.async_listen("privface_event", events.append)
        await home.press("Pixel door")
        await wait_until(lambda: events)
        assert events[0].data["privacy"]["method"] == "pixelate"

    @pytest.mark.parametrize("fault", [ValueError("pixels"), MemoryError(), ZeroDivisionError()])
    async def test_nothing_leaves_when_anonymizing_fails(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        fault: Exception,
    ) -> None:
        home, camera, looks = await make_home(hass, backend, token)
        camera.shown = pictures(ADA)
        sent: list[Any] = []
        monkeypatch.setattr(home.entry.runtime_data.coordinator.client, "send_frame", sent.append)

        def fail(*_arguments: Any, **_keywords: Any) -> Any:
            raise fault

        for method in anonymize_package.METHODS.values():
            monkeypatch.setattr(type(method), "apply", fail)
        await home.press()
        assert sent == []
        assert looks.sent == 0
        assert home.state("sensor", home.camera(), "last_reason").state == "anonymizer_failed"
        assert "pixels" not in caplog.text


class TestCameras:
    async def test_a_png_is_as_good_as_a_jpeg(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token)
        camera.shown = pictures(ADA, kind="png")
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == "ok"

    async def test_gone_and_back(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token)
        hass.states.async_set("camera.door", STATE_UNAVAILABLE)
        for _ in range(3):
            await home.press()
            assert home.state("sensor", home.camera(), "last_reason").state == "camera_unavailable"
        hass.states.async_set("camera.door", "idle")
        camera.shown = pictures()
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == "no_face"
        said = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "INFO")]
        assert sum("can be sent (camera_unavailable)" in line for line in said) == 1
        assert sum("can be sent again" in line for line in said) == 1

    @pytest.mark.parametrize("shown", [None, HomeAssistantError("no"), RuntimeError("Kaboom at rtsp://user:secret@x")])
    async def test_without_a_picture(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        caplog: pytest.LogCaptureFixture,
        shown: Exception | None,
    ) -> None:
        home, camera, _looks = await make_home(hass, backend, token)
        camera.shown = shown
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == "camera_failed"
        assert "secret" not in caplog.text

    async def test_slow(
        self, hass: HomeAssistant, backend: BackendProcess, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("custom_components.privface.pictures.CAMERA_SECONDS", 0.1)
        home, camera, _looks = await make_home(hass, backend, token)
        camera.hold = asyncio.Event()
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == "camera_slow"

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda data: data[: len(data) // 2], "picture_truncated"),
            (lambda _data: b"<html>no picture</html>", "picture_format"),
            (lambda _data: b"", "camera_failed"),
        ],
    )
    async def test_a_corrupt_picture(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        spoil: Any,
        reason: str,
    ) -> None:
        home, camera, looks = await make_home(hass, backend, token)
        camera.shown = spoil(pictures(ADA))
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == reason
        assert (looks.sent, looks.skipped) == (0, 1)
        camera.shown = pictures(ADA)
        await home.press()
        assert home.state("sensor", home.camera(), "last_reason").state == "ok"


class TestLastFace:
    async def test_shown_anonymized_and_for_a_time(
        self,
        hass: HomeAssistant,
        backend: BackendProcess,
        token: str,
        pictures: DrawnPictures,
        hass_client: Any,
    ) -> None:
        (camera,) = await add_cameras(hass, "door")
        door = camera_subentry("Front door", "camera.door", **{CONF_PARAMETER: 33})
        home = await set_up(hass, backend, token, door, **{OPTION_PICTURE: 3})
        (looks,) = home.entry.runtime_data.looks.values()
        image = home.entity_id("image", home.camera(), "last_face")
        camera.shown = pictures(ADA)
        await home.press()
        assert looks.last_face is None, "the entity is off, so nothing is kept"

        er.async_get(hass).async_update_entity(image, disabled_by=None)
        await hass.config_entries.async_reload(home.entry.entry_id)
        await hass.async_block_till_done()
        (looks,) = home.entry.runtime_data.looks.values()
        client = await hass_client()
        assert home.state("image", home.camera(), "last_face").state == STATE_UNAVAILABLE

        await home.press()
        assert looks.last_face is not None
        assert home.state("image", home.camera(), "last_face").state == looks.last_face.captured_at.isoformat()
        answer = await client.get(f"/api/image_proxy/{image}")
        assert answer.status == 200
        assert answer.content_type == "image/jpeg"
        with Image.open(io.BytesIO(await answer.read())) as picture:
            width, height = picture.size
        assert 100 < width < 400
        assert 100 < height <= 360

        camera.shown = pictures()
        await home.press()
        assert looks.last_face is not None, "an empty picture doesn't take the face's place"

        await wait_until(lambda: looks.last_face is None)
        assert home.state("image", home.camera(), "last_face").state == STATE_UNAVAILABLE


async def test_diagnostic_figures(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    home, camera, _looks = await make_home(hass, backend, token)
    registry = er.async_get(hass)
    for key in ("latency", "frames_sent", "frames_skipped"):
        registry.async_update_entity(home.entity_id("sensor", home.camera(), key), disabled_by=None)
    await hass.config_entries.async_reload(home.entry.entry_id)
    await hass.async_block_till_done()
    camera.shown = pictures(ADA)
    await home.press()
    camera.shown = None
    await home.press()
    assert home.state("sensor", home.camera(), "frames_sent").state == "1"
    assert home.state("sensor", home.camera(), "frames_skipped").state == "1"
    assert 0 < float(home.state("sensor", home.camera(), "latency").state) < 60_000
    assert home.state("switch", home.camera(), "recognition").state == STATE_ON


class TestSealedCamera:
    """The backend takes no picture of one camera, and others' as always: none of it leaves Home Assistant."""

    @pytest.fixture
    def sealing(self, own_backend: BackendProcess, tmp_path: Path) -> BackendProcess:
        path = tmp_path / "privface.yaml"
        path.write_text("cameras: {Front_Door: {sealed: true}}\n", encoding="utf-8")
        own_backend.change(config=str(path))
        own_backend.restart()
        return own_backend

    async def test_no_picture_of_it_is_taken(
        self, hass: HomeAssistant, sealing: BackendProcess, pictures: DrawnPictures
    ) -> None:
        door, yard = await add_cameras(hass, "door", "yard")
        door.shown = yard.shown = await hass.async_add_executor_job(pictures, ADA)
        token = await hass.async_add_executor_job(sealing.create_token)
        cameras = (camera_subentry("Front door", "camera.door"), camera_subentry("Yard", "camera.yard"))
        home = await set_up(hass, sealing, token.text, *cameras)
        looks = {one.settings.name: one for one in home.entry.runtime_data.looks.values()}
        for one in looks.values():
            one.async_look_now()
            await settle(hass, one)
        assert (looks["front_door"].reason, door.asked, looks["front_door"].sent) == ("sealed", 0, 0)
        assert (looks["yard"].reason, yard.asked, looks["yard"].sent) == ("ok", 1, 1)
        for action, data in (("identify", {}), ("enroll", {"person": "Ada"})):
            with pytest.raises(ServiceValidationError, match="sealed"):
                await hass.services.async_call(
                    "privface", action, {"entity_id": "camera.door", **data}, blocking=True, return_response=True
                )
        assert door.asked == 0
        found = await hass.services.async_call(
            "privface", "identify", {"entity_id": "camera.yard"}, blocking=True, return_response=True
        )
        assert found is not None
        assert yard.asked == 2
