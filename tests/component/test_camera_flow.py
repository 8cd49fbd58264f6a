"""The flow that adds and changes cameras: each way to its end, and out of each error."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData, section
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from component.flow_texts import checking_texts, read_texts
from custom_components.privface.anonymize import METHODS, Noise, Strength
from custom_components.privface.camera_flow import CameraFlow, camera_name
from custom_components.privface.camera_settings import CameraSettings
from custom_components.privface.claims import describe_privacy
from custom_components.privface.const import DOMAIN
from custom_components.privface.enrollment import enrollment_strengths

DOOR, YARD = "camera.door", "camera.yard"
FRAMES = {"burst": 3.0, "spacing": 1.0, "cooldown": 10.0}
DATA = {
    "camera_entity": DOOR,
    "method": "gaussian",
    "parameter": 17,
    "triggers": [],
    "interval": 0,
    "burst": 3,
    "spacing": 1.0,
    "cooldown": 10,
}


@pytest.fixture(autouse=True)
def texts() -> Iterator[None]:
    with checking_texts():
        yield


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """A backend's entry, in a home with two cameras and a motion sensor."""
    hass.states.async_set(DOOR, "idle", {"friendly_name": "Front door"})
    hass.states.async_set(YARD, "idle", {"friendly_name": "Yard"})
    hass.states.async_set("binary_sensor.motion", "off")
    hass.states.async_set("alarm_control_panel.home", "disarmed", {"friendly_name": "Alarm"})
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id="1f8a2a6e", data={"url": "http://127.0.0.1:9", "token": "pf_x", "verify_ssl": True}
    )
    entry.add_to_hass(hass)
    return entry


def add_camera(hass: HomeAssistant, entry: MockConfigEntry, title: str, **data: Any) -> ConfigSubentry:
    subentry = ConfigSubentry(
        data=MappingProxyType(DATA | data), subentry_type="camera", title=title, unique_id=camera_name(title)
    )
    hass.config_entries.async_add_subentry(entry, subentry)
    return subentry


async def begin(hass: HomeAssistant, entry: MockConfigEntry, camera: ConfigSubentry | None = None) -> Any:
    context: Any = {"source": SOURCE_USER}
    if camera is not None:
        context = {"source": SOURCE_RECONFIGURE, "subentry_id": camera.subentry_id}
    result = await hass.config_entries.subentries.async_init((entry.entry_id, "camera"), context=context)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "camera")
    return result


async def answer(hass: HomeAssistant, result: Any, *steps: dict[str, Any]) -> Any:
    for values in steps:
        result = await hass.config_entries.subentries.async_configure(result["flow_id"], values)
    return result


def suggestions(result: Any) -> dict[str, Any]:
    """What a form shows before anybody types, by field; sections by their own fields."""
    shown: dict[str, Any] = {}
    for key, field in result["data_schema"].schema.items():
        if isinstance(field, section):
            shown |= suggestions({"data_schema": field.schema})
        elif key.description and "suggested_value" in key.description:
            shown[str(key)] = key.description["suggested_value"]
        elif callable(key.default):
            shown[str(key)] = key.default()
    return shown


# Adding


async def test_camera_is_added(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await begin(hass, entry)
    result = await answer(hass, result, {"camera_entity": DOOR, "name": " Front door (left) ", "method": "gaussian"})
    assert (result["step_id"], result["errors"]) == ("gaussian", {})
    assert result["description_placeholders"]["camera"] == "Front door (left)"
    result = await answer(hass, result, {"parameter": 25.0})
    assert (result["step_id"], result["errors"]) == ("looks", {})
    result = await answer(
        hass,
        result,
        {
            "triggers": ["binary_sensor.motion"],
            "interval": 30.0,
            "condition_entity": "alarm_control_panel.home",
            "frames": {"burst": 20.0, "spacing": 0.2, "cooldown": 3600.0},
        },
    )
    assert (result["step_id"], result["errors"]) == ("condition", {})
    assert result["description_placeholders"] == {"entity": "Alarm"}
    assert suggestions(result) == {"condition_states": ["on"]}
    result = await answer(hass, result, {"condition_states": ["armed_away", "armed_night"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    assert (camera.subentry_type, camera.title, camera.unique_id) == ("camera", "Front door (left)", "front_door_left")
    assert camera.data == {
        "camera_entity": DOOR,
        "method": "gaussian",
        "parameter": 25,
        "triggers": ["binary_sensor.motion"],
        "interval": 30,
        "burst": 20,
        "spacing": 0.2,
        "cooldown": 3600,
        "condition_entity": "alarm_control_panel.home",
        "condition_states": ["armed_away", "armed_night"],
    }
    for whole in ("parameter", "interval", "burst", "cooldown"):
        assert type(camera.data[whole]) is int


async def test_camera_is_added_with_what_is_proposed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await begin(hass, entry)
    result = await answer(hass, result, {"camera_entity": DOOR}, {}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    assert (camera.title, camera.unique_id) == ("Front door", "front_door")
    assert camera.data == DATA | {"parameter": METHODS["gaussian"].default}


async def test_camera_without_state_is_added(
    hass: HomeAssistant, entry: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """Its integration may not be there yet; a camera may also be given by its id in the registry."""
    made = entity_registry.async_get_or_create(
        "camera", "generic", "1", original_name="Garage", object_id_base="garage"
    )
    result = await answer(hass, await begin(hass, entry), {"camera_entity": made.id}, {}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    nameless = entity_registry.async_get_or_create("camera", "generic", "2", object_id_base="shed")
    values = {"camera_entity": nameless.entity_id}
    result = await answer(hass, await begin(hass, entry), values, {}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {camera.title: camera.data["camera_entity"] for camera in entry.subentries.values()} == {
        "Garage": made.entity_id,
        nameless.entity_id: nameless.entity_id,
    }


@pytest.mark.parametrize("method", METHODS)
async def test_each_method_has_its_step(hass: HomeAssistant, entry: MockConfigEntry, method: str) -> None:
    slug = method.replace("+", "_")
    assert read_texts()["selector"]["method"]["options"][slug]
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR, "method": slug})
    assert result["step_id"] == slug
    assert suggestions(result)["parameter"] == METHODS[method].default
    result = await answer(hass, result, {"parameter": METHODS[method].minimum}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    assert (camera.data["method"], camera.data["parameter"]) == (method, METHODS[method].minimum)


async def test_first_step_recovers_from_each_error(
    hass: HomeAssistant, entry: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    add_camera(hass, entry, "Yard", camera_entity=YARD)
    renamed = add_camera(hass, entry, "Old", camera_entity="camera.elsewhere")
    hass.config_entries.async_update_subentry(entry, renamed, title="New")
    off = entity_registry.async_get_or_create(
        "camera", "generic", "1", object_id_base="off", disabled_by=er.RegistryEntryDisabler.USER
    )
    wrong = (
        ({"camera_entity": "camera.gone"}, {"camera_entity": "entity_not_found"}),
        ({"camera_entity": "0" * 32}, {"camera_entity": "entity_not_found"}),
        ({"camera_entity": off.entity_id}, {"camera_entity": "entity_not_found"}),
        ({"camera_entity": YARD, "name": "Door"}, {"camera_entity": "camera_taken"}),
        ({"camera_entity": YARD}, {"camera_entity": "camera_taken", "name": "name_taken"}),
        ({"camera_entity": DOOR, "name": "yard!"}, {"name": "name_taken"}),
        ({"camera_entity": DOOR, "name": "Old"}, {"name": "name_taken"}),
        ({"camera_entity": DOOR, "name": "New"}, {"name": "name_taken"}),
    )
    result = await begin(hass, entry)
    for values, errors in wrong:
        result = await answer(hass, result, values)
        assert (result["step_id"], result["errors"]) == ("camera", errors), values
        assert suggestions(result)["camera_entity"] == values["camera_entity"]
    for bad in ({"camera_entity": "light.door"}, {"camera_entity": DOOR, "method": "none"}):
        with pytest.raises(InvalidData):
            await answer(hass, result, bad)
    result = await answer(hass, result, {"camera_entity": DOOR, "name": " "}, {}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert [camera.title for camera in entry.subentries.values()] == ["Yard", "New", "Front door"]


async def test_parameter_is_checked(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    gaussian = METHODS["gaussian"]
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR})
    for bad in (gaussian.minimum - gaussian.step, gaussian.useful + gaussian.step, 17.5, "nan", "much"):
        with pytest.raises(InvalidData):
            await answer(hass, result, {"parameter": bad})
    result = await answer(hass, result, {"parameter": 18})
    assert (result["step_id"], result["errors"]) == ("gaussian", {"parameter": "bad_parameter"})
    assert suggestions(result) == {"parameter": 18}
    result = await answer(hass, result, {"parameter": 19}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_looks_recover_from_each_error(
    hass: HomeAssistant, entry: MockConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    own = entity_registry.async_get_or_create("binary_sensor", DOMAIN, "1", object_id_base="door_unknown_person")
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR}, {})
    for field, bad in (("burst", 0), ("burst", 21), ("burst", 1.5), ("spacing", 0.1), ("spacing", 10.1),
                       ("spacing", "nan"), ("cooldown", -1), ("cooldown", 3601)):  # fmt: skip
        with pytest.raises(InvalidData):
            await answer(hass, result, {"frames": FRAMES | {field: bad}})
    refused: dict[str, Any]
    for refused in ({"interval": 0.5}, {"interval": -1}, {"interval": 86401}, {"triggers": ["light.door"]}):
        with pytest.raises(InvalidData):
            await answer(hass, result, {"frames": FRAMES, **refused})
    wrong = (
        ({"triggers": ["event.gone"]}, {"triggers": "entity_not_found"}),
        ({"triggers": ["binary_sensor.motion", own.entity_id]}, {"triggers": "own_trigger"}),
        ({"triggers": [own.id]}, {"triggers": "own_trigger"}),
        ({"condition_entity": "schedule.gone"}, {"condition_entity": "entity_not_found"}),
    )
    for values, errors in wrong:
        result = await answer(hass, result, {"frames": FRAMES | {"burst": 7}, **values})
        assert (result["step_id"], result["errors"]) == ("looks", errors)
        assert suggestions(result)["burst"] == 7
    result = await answer(hass, result, {"frames": FRAMES, "triggers": ["binary_sensor.motion"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    assert camera.data["triggers"] == ["binary_sensor.motion"]


async def test_condition_needs_states(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    looks = {"frames": {}, "condition_entity": "alarm_control_panel.home"}
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR}, {}, looks)
    nothings: tuple[dict[str, Any], ...] = ({}, {"condition_states": []})
    for nothing in nothings:
        result = await answer(hass, result, nothing)
        assert (result["step_id"], result["errors"]) == ("condition", {"condition_states": "states_missing"})
    result = await answer(hass, result, {"condition_states": ["anything"]})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_camera_that_was_added_meanwhile(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    first, second = await begin(hass, entry), await begin(hass, entry)
    steps: tuple[dict[str, Any], ...] = ({"camera_entity": DOOR}, {}, {"frames": {}})
    assert (await answer(hass, first, *steps[:2]))["step_id"] == "looks"
    assert (await answer(hass, second, *steps))["type"] is FlowResultType.CREATE_ENTRY
    result = await answer(hass, first, steps[2])
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert len(entry.subentries) == 1


@pytest.mark.parametrize(
    ("title", "name"), [("Haustür", "haustur"), ("!", "unknown"), ("x" * 80, "x" * 64), ("x" * 63 + " y", "x" * 63)]
)
def test_name_for_backend(title: str, name: str) -> None:
    assert camera_name(title) == name


# Changing


async def test_camera_is_changed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    add_camera(hass, entry, "Other", camera_entity="camera.other")
    camera = add_camera(
        hass, entry, "Front door", parameter=25, triggers=["binary_sensor.motion"], interval=30, burst=5, spacing=0.5,
        cooldown=20, condition_entity="alarm_control_panel.home", condition_states=["armed_away"],
    )  # fmt: skip
    result = await begin(hass, entry, camera)
    assert suggestions(result) == {"camera_entity": DOOR, "name": "Front door", "method": "gaussian"}
    result = await answer(hass, result, suggestions(result))
    assert suggestions(result) == {"parameter": 25}
    result = await answer(hass, result, suggestions(result))
    shown = suggestions(result)
    assert shown == {
        "triggers": ["binary_sensor.motion"],
        "interval": 30,
        "condition_entity": "alarm_control_panel.home",
        "burst": 5,
        "spacing": 0.5,
        "cooldown": 20,
    }
    frames = {key: shown.pop(key) for key in ("burst", "spacing", "cooldown")}
    result = await answer(hass, result, {**shown, "frames": frames})
    assert suggestions(result) == {"condition_states": ["armed_away"]}
    unchanged = dict(camera.data)
    result = await answer(hass, result, suggestions(result))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.subentries[camera.subentry_id].data == unchanged

    result = await begin(hass, entry, camera)
    result = await answer(
        hass, result, {"camera_entity": YARD, "name": "Back yard", "method": "pixelate"}, {}, {"frames": FRAMES}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    changed = entry.subentries[camera.subentry_id]
    assert (changed.title, changed.unique_id) == ("Back yard", "front_door"), "the backend's name is kept for good"
    assert changed.data == DATA | {
        "camera_entity": YARD,
        "method": "pixelate",
        "parameter": METHODS["pixelate"].default,
    }


async def test_the_advice_is_followed_within_limits_that_are_set(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR}, {"parameter": 25, "adaptive": True})
    assert (result["step_id"], result["errors"]) == ("limits", {})
    assert suggestions(result) == {"least": 25, "most": METHODS["gaussian"].useful}
    for bad, errors in (
        ({"least": 8, "most": 10}, {"least": "bad_parameter", "most": "bad_parameter"}),
        ({"least": 33, "most": 9}, {"most": "limits_crossed"}),
    ):
        result = await answer(hass, result, bad)
        assert (result["step_id"], result["errors"]) == ("limits", errors)
        assert suggestions(result) == bad
    result = await answer(hass, result, {"least": 9.0, "most": 41.0}, {"frames": {}})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    chosen = {"parameter": 25, "adaptive": True, "least": 9, "most": 41}
    assert camera.data == DATA | chosen
    assert all(type(camera.data[key]) is int for key in ("least", "most"))

    result = await answer(hass, await begin(hass, entry, camera), {"camera_entity": DOOR})
    assert suggestions(result) == {"parameter": 25, "adaptive": True}
    result = await answer(hass, result, suggestions(result))
    assert suggestions(result) == {"least": 9, "most": 41}
    result = await answer(hass, result, suggestions(result), {"frames": FRAMES})
    assert entry.subentries[camera.subentry_id].data == DATA | chosen
    result = await answer(hass, await begin(hass, entry, camera), {"camera_entity": DOOR}, {"parameter": 17})
    assert result["step_id"] == "looks"
    await answer(hass, result, {"frames": FRAMES})
    assert entry.subentries[camera.subentry_id].data == DATA


async def test_camera_with_noise(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    result = await answer(hass, await begin(hass, entry), {"camera_entity": DOOR, "method": "pixelate_noise"})
    assert (result["step_id"], result["errors"]) == ("pixelate_noise", {})
    assert suggestions(result) == {"parameter": METHODS["pixelate+noise"].default, "epsilon": 1.0, "sensitivity": 16}
    with pytest.raises(InvalidData):
        await answer(hass, result, {"parameter": 16.0, "epsilon": 0.0, "sensitivity": 16.0})
    result = await answer(hass, result, {"parameter": 12.0, "epsilon": 2.5, "sensitivity": 8.0}, {"frames": FRAMES})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (camera,) = entry.subentries.values()
    assert camera.data == DATA | {"method": "pixelate+noise", "parameter": 12, "epsilon": 2.5, "sensitivity": 8}
    settings = CameraSettings.from_subentry(camera)
    assert settings.strength == Strength(method="pixelate+noise", parameter=12, noise=Noise(epsilon=2.5, sensitivity=8))
    privacy = describe_privacy(settings.strength)
    assert (privacy.epsilon, privacy.sensitivity) == (2.5, 8)
    assert {strength.noise for strength in enrollment_strengths([settings.strength])} == {settings.strength.noise}

    result = await begin(hass, entry, camera)
    assert suggestions(result)["method"] == "pixelate_noise"
    result = await answer(hass, result, suggestions(result))
    assert suggestions(result) == {"parameter": 12, "epsilon": 2.5, "sensitivity": 8}


async def test_changed_camera_must_stay_unique(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    add_camera(hass, entry, "Yard", camera_entity=YARD)
    camera = add_camera(hass, entry, "Front door")
    result = await answer(hass, await begin(hass, entry, camera), {"camera_entity": YARD, "name": "Yard"})
    assert result["errors"] == {"camera_entity": "camera_taken", "name": "name_taken"}
    result = await answer(hass, result, {"camera_entity": DOOR, "name": "Door"}, {}, {"frames": {}})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.subentries[camera.subentry_id].title == "Door"


async def test_camera_that_is_gone_is_replaced(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    camera = add_camera(hass, entry, "Front door")
    hass.states.async_remove(DOOR)
    result = await begin(hass, entry, camera)
    result = await answer(hass, result, suggestions(result))
    assert result["errors"] == {"camera_entity": "entity_not_found"}
    values = {"camera_entity": YARD, "name": "Front door"}
    result = await answer(hass, result, values, {"parameter": 17}, {"frames": {}})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.subentries[camera.subentry_id].data == DATA | {"camera_entity": YARD}


async def test_another_condition_starts_from_on(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    camera = add_camera(hass, entry, "Front door", condition_entity="sun.sun", condition_states=["below_horizon"])
    values = {"camera_entity": DOOR, "name": "Front door"}
    looks = {"frames": {}, "condition_entity": "binary_sensor.motion"}
    result = await answer(hass, await begin(hass, entry, camera), values, {}, looks)
    assert suggestions(result) == {"condition_states": ["on"]}


# What is shown


async def test_forms_reach_the_browser(
    hass: HomeAssistant, entry: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await client.post(f"/api/config/config_entries/subentries/flow{path}", json=body)
        assert response.status == 200, await response.text()
        said: dict[str, Any] = await response.json()
        return said

    form = await post("", {"handler": [entry.entry_id, "camera"]})
    path = f"/{form['flow_id']}"
    camera, name, method = form["data_schema"]
    assert camera["selector"]["entity"]["domain"] == ["camera"]
    assert (name["name"], name.get("required", False)) == ("name", False)
    assert method["selector"]["select"]["options"] == [name.replace("+", "_") for name in METHODS]

    form = await post(path, {"camera_entity": DOOR})
    parameter, adaptive = form["data_schema"]
    assert (adaptive["name"], adaptive["selector"]) == ("adaptive", {"boolean": {}})
    slider = parameter["selector"]["number"]
    gaussian = METHODS["gaussian"]
    assert (slider["min"], slider["max"], slider["step"]) == (gaussian.minimum, gaussian.useful, gaussian.step)
    assert slider["mode"] == "slider"

    form = await post(path, {"parameter": gaussian.default})
    fields = {field["name"]: field for field in form["data_schema"]}
    assert fields["triggers"]["selector"]["entity"]["multiple"] is True
    assert fields["frames"]["type"] == "expandable"
    assert [field["name"] for field in fields["frames"]["schema"]] == ["burst", "spacing", "cooldown"]

    form = await post(path, {"frames": {}, "interval": 0, "condition_entity": "binary_sensor.motion"})
    (states,) = form["data_schema"]
    assert states["selector"]["state"]["entity_id"] == "binary_sensor.motion"
    with patch("custom_components.privface.async_setup_entry", return_value=True):
        assert (await post(path, {"condition_states": ["on"]}))["type"] == "create_entry"


def test_every_method_has_texts() -> None:
    steps = read_texts()["config_subentries"]["camera"]["step"]
    for method in METHODS:
        slug = method.replace("+", "_")
        assert hasattr(CameraFlow, f"async_step_{slug}")
        assert slug in steps
