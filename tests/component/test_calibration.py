"""The repair that fits the cameras' blur to the people, on a real backend."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component

from component.flow_texts import check, read_texts
from custom_components.privface.anonymize import METHODS
from custom_components.privface.calibration import ISSUE
from custom_components.privface.const import CONF_METHOD, CONF_PARAMETER, DOMAIN
from support.backend_process import ADA, BEN, STRANGER, BackendProcess, DrawnPictures
from support.home import Home, add_cameras, camera_subentry, set_up

WIDTH = 160
DOOR = "calibrated_door"


async def move_in(hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures) -> Home:
    """An entry with two cameras, of which one has seen faces."""
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    assert await async_setup_component(hass, "repairs", {})
    await add_cameras(hass, "door", "garden")
    await hass.async_add_executor_job(show_faces, backend, pictures(STRANGER, side=WIDTH))
    return await set_up(
        hass,
        backend,
        token,
        camera_subentry("Calibrated door", "camera.door"),
        camera_subentry("Calibrated garden", "camera.garden", **{CONF_METHOD: "pixelate", CONF_PARAMETER: 10}),
    )


@pytest.fixture
async def home(hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures) -> Home:
    return await move_in(hass, backend, token, pictures)


def show_faces(backend: BackendProcess, picture: bytes) -> None:
    """Three visits to the door."""
    privacy = {"method": "gaussian", "parameter": 9, "applied_by": "nobody"}
    for _ in range(3):
        backend.send_frame(DOOR, picture, more=False, source_event_id=uuid.uuid4().hex, privacy=privacy)


async def enroll(
    home: Home, pictures: DrawnPictures, *people: tuple[str, int], sides: Sequence[int] = (160, 140)
) -> None:
    """Enroll people, each with a picture for each size of the face."""
    for name, identity in people:
        for side in sides:
            await home.act("enroll", person=name, file=str(pictures.path(identity, side=side)))
    await refresh(home)


async def refresh(home: Home) -> None:
    await home.entry.runtime_data.coordinator.async_refresh()
    await home.hass.async_block_till_done()


def suggestions(home: Home) -> list[ir.IssueEntry]:
    found = ir.async_get(home.hass).issues.values()
    return [issue for issue in found if issue.domain == DOMAIN and issue.issue_id.startswith(ISSUE)]


def reason(home: Home) -> str | None:
    """Why a calibration is suggested now, if it is."""
    found = [issue for issue in suggestions(home) if issue.active]
    assert len(found) <= 1
    return str((found[0].data or {})["reason"]) if found else None


def parameter(home: Home, title: str = "Calibrated door") -> int:
    (subentry,) = (one for one in home.entry.subentries.values() if one.title == title)
    return int(subentry.data[CONF_PARAMETER])


async def set_parameter(home: Home, value: int) -> None:
    entity_id = home.entity_id("number", home.camera("Calibrated door"), "privacy")
    await home.hass.services.async_call("number", "set_value", {"entity_id": entity_id, "value": value}, blocking=True)
    await refresh(home)


class Flow:
    """A repair that is being done, each answer held against its texts."""

    def __init__(self, home: Home) -> None:
        self._manager = home.hass.data["repairs"]["flow_manager"]
        self._id = ""

    async def start(self, issue_id: str) -> Mapping[str, Any]:
        result = await self._manager.async_init(DOMAIN, context={"issue_id": issue_id})
        self._id = result["flow_id"]
        return self._checked(result)

    async def answer(self, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """None: look at the step again, as the frontend does when a dialog is opened anew."""
        return self._checked(await self._manager.async_configure(self._id, given))

    @staticmethod
    def _checked(result: Mapping[str, Any]) -> Mapping[str, Any]:
        check(read_texts()["issues"][ISSUE]["fix_flow"], result)
        return result


async def start(home: Home) -> tuple[Flow, Mapping[str, Any]]:
    (issue,) = suggestions(home)
    assert issue.is_fixable
    flow = Flow(home)
    return flow, await flow.start(issue.issue_id)


async def test_it_is_suggested_once_it_makes_sense(home: Home, pictures: DrawnPictures) -> None:
    assert suggestions(home) == []
    await enroll(home, pictures, ("Ada", ADA))
    assert suggestions(home) == []
    await enroll(home, pictures, ("Ben", BEN), sides=[160])
    assert suggestions(home) == []
    await enroll(home, pictures, ("Ben", BEN), sides=[140])
    assert reason(home) == "missing"


async def test_what_was_measured_is_shown_and_applied(
    hass: HomeAssistant, home: Home, backend: BackendProcess, pictures: DrawnPictures
) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    flow, first = await start(home)
    assert (first["type"], first["step_id"]) == (FlowResultType.FORM, "missing")
    shown = await flow.answer({"floor": 80})
    assert (shown["type"], shown["step_id"]) == (FlowResultType.FORM, "apply")
    told = shown["description_placeholders"]
    made = (await hass.async_add_executor_job(backend.call, "GET", "/api/v1/calibration"))["result"]
    (level,) = (one for one in made["levels"] if one["relative"] == made["chosen"])
    assert made["floor"] == 0.8
    assert (told["known"], told["probes"]) == (str(level["known"]), str(level["probes"]))
    # Looking at the step again changes nothing, and says the same.
    assert (await flow.answer(None))["description_placeholders"] == told
    assert parameter(home) == 9
    done = await flow.answer({})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    # The strongest blur that is no stronger than what was chosen, on a face as wide as those that were seen.
    chosen, blur = parameter(home), METHODS["gaussian"]
    assert told["cameras"] == f"- Calibrated door: 9 → {chosen}"
    assert blur.sigma(chosen) <= made["chosen"] * (WIDTH + 8)
    assert blur.sigma(chosen + 2) > made["chosen"] * (WIDTH - 8)
    assert home.state("number", home.camera("Calibrated door"), "privacy").state == str(chosen)
    # Nothing is known of the garden's faces.
    assert parameter(home, "Calibrated garden") == 10
    # The backend keeps its own settings: they are the business of who administers it.
    kept = await hass.async_add_executor_job(backend.call, "GET", f"/api/v1/cameras/{DOOR}")
    assert kept["parameter"] is None
    await refresh(home)
    assert suggestions(home) == []


async def test_a_strength_that_is_far_off_is_told_of(home: Home, pictures: DrawnPictures) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    flow, _ = await start(home)
    await flow.answer({"floor": 80})
    await flow.answer({})
    chosen = parameter(home)
    await set_parameter(home, 3)
    assert reason(home) == "stronger"
    await set_parameter(home, chosen - 2)
    assert reason(home) is None
    await set_parameter(home, 99)
    assert reason(home) == "weaker"
    flow, first = await start(home)
    assert first["step_id"] == "weaker"
    assert (await flow.answer({"floor": 80}))["step_id"] == "apply"
    await flow.answer({})
    assert parameter(home) == chosen


async def test_dismissed_it_stays_so_until_the_gallery_changes(
    hass: HomeAssistant, home: Home, pictures: DrawnPictures
) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    (issue,) = suggestions(home)
    ir.async_ignore_issue(hass, DOMAIN, issue.issue_id, True)
    await refresh(home)
    await hass.config_entries.async_reload(home.entry.entry_id)
    await hass.async_block_till_done()
    (after,) = suggestions(home)
    assert after.issue_id == issue.issue_id
    assert after.dismissed_version is not None
    # Another reason for the same people is no reason to ask again.
    await home.entry.runtime_data.coordinator.client.calibrate(0.8)
    await set_parameter(home, 99)
    (after,) = suggestions(home)
    assert after.dismissed_version is not None
    await enroll(home, pictures, ("Cleo", STRANGER))
    (new,) = suggestions(home)
    assert new.issue_id != issue.issue_id
    assert (new.dismissed_version, reason(home)) == (None, "missing")
    ir.async_ignore_issue(hass, DOMAIN, new.issue_id, True)
    await hass.config_entries.async_remove(home.entry.entry_id)
    assert suggestions(home) == []


async def test_people_who_cannot_be_told_apart(home: Home, pictures: DrawnPictures) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ada's twin", ADA))
    flow, _ = await start(home)
    refused = await flow.answer({"floor": 90})
    assert refused["errors"] == {"base": "no_level"}
    assert parameter(home) == 9


async def test_a_backend_that_goes_away_meanwhile(
    hass: HomeAssistant, own_backend: BackendProcess, pictures: DrawnPictures
) -> None:
    token = await hass.async_add_executor_job(own_backend.create_token)
    home = await move_in(hass, own_backend, token.text, pictures)
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    flow, _ = await start(home)
    await hass.async_add_executor_job(own_backend.stop)
    refused = await flow.answer({"floor": 80})
    assert (refused["step_id"], refused["errors"]) == ("missing", {"base": "unavailable"})
    await hass.async_add_executor_job(own_backend.start)
    assert (await flow.answer({"floor": 80}))["step_id"] == "apply"
    await hass.config_entries.async_unload(home.entry.entry_id)
    gone = await flow.answer({})
    assert (gone["type"], gone["reason"]) == (FlowResultType.ABORT, "not_loaded")
    assert suggestions(home) == []


async def test_the_people_who_were_forgotten_meanwhile(
    hass: HomeAssistant, home: Home, backend: BackendProcess, pictures: DrawnPictures
) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    flow, _ = await start(home)
    await hass.async_add_executor_job(backend.forget_everybody)
    assert (await flow.answer({"floor": 80}))["errors"] == {"base": "too_few_faces"}
    await refresh(home)
    assert suggestions(home) == []


async def test_cameras_that_are_right_already(home: Home, pictures: DrawnPictures) -> None:
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    flow, _ = await start(home)
    await flow.answer({"floor": 80})
    await flow.answer({})
    await enroll(home, pictures, ("Cleo", STRANGER))
    assert reason(home) == "missing"
    flow, _ = await start(home)
    done = await flow.answer({"floor": 80})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "nothing_to_change")
    assert suggestions(home) == []


async def test_without_cameras_or_faces_nothing_is_suggested(
    hass: HomeAssistant, backend: BackendProcess, token: str, pictures: DrawnPictures
) -> None:
    hass.config.allowlist_external_dirs.add(str(pictures.path().parent))
    home = await set_up(hass, backend, token)
    await enroll(home, pictures, ("Ada", ADA), ("Ben", BEN))
    assert suggestions(home) == []
