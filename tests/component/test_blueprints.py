"""The blueprints, as automations of a real Home Assistant."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
import yaml
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import automation
from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint import models
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util import yaml as yaml_util
from pytest_homeassistant_custom_component.common import async_mock_service

FOLDER: Final = Path(__file__).parents[2] / "blueprints/automation/privface"
MILLISECONDS: Final = count()
NAMES: Final = ("greet_person", "notify_unknown_person", "person_arrives")


@pytest.fixture(autouse=True)
def blueprints() -> Iterator[None]:
    """Find our blueprints as if they had been imported."""
    load = models.DomainBlueprints._load_blueprint

    @callback
    def load_ours(self: models.DomainBlueprints, path: str) -> models.Blueprint:
        if not path.startswith("privface/"):
            return load(self, path)
        data = yaml_util.load_yaml_dict(str(FOLDER / path.removeprefix("privface/")))
        # A device's action needs a phone that is registered.
        data["actions"] = replace_phone(data["actions"])
        return models.Blueprint(data, expected_domain=self.domain, path=path, schema=AUTOMATION_BLUEPRINT_SCHEMA)

    with patch("homeassistant.components.blueprint.models.DomainBlueprints._load_blueprint", load_ours):
        yield


def replace_phone(actions: Any) -> Any:
    if not isinstance(actions, list):
        return actions
    parts = ("title", "message", "data")
    return [
        {"action": "test.notify", "data": {part: action[part] for part in parts}}
        if action.get("domain") == "mobile_app"
        else action
        for action in actions
    ]


async def use(hass: HomeAssistant, name: str, **inputs: Any) -> None:
    config = {"use_blueprint": {"path": f"privface/{name}.yaml", "input": inputs}, "alias": "under test"}
    assert await async_setup_component(hass, automation.DOMAIN, {automation.DOMAIN: config})
    await hass.async_block_till_done()
    state = hass.states.get("automation.under_test")
    assert state is not None
    assert state.state == "on"


def show(hass: HomeAssistant, entity_id: str, event_type: str, *, seconds: float = 0, **attributes: Any) -> None:
    """Let an event entity fire; ``seconds``: how long ago its frame was taken."""
    captured_at = dt_util.utcnow() - timedelta(seconds=seconds)
    # No two within a millisecond.
    fired_at = dt_util.utcnow() + timedelta(milliseconds=next(MILLISECONDS))
    hass.states.async_set(
        entity_id,
        fired_at.isoformat(timespec="milliseconds"),
        {
            "event_type": event_type,
            "person": "Ada",
            "camera": "Front door",
            "area": "porch",
            "visit_id": f"visit {captured_at}",
            "phase": "confirmed",
            "corrects": None,
            "stranger": None,
            "captured_at": captured_at.isoformat(),
            "expires_at": (captured_at + timedelta(seconds=30)).isoformat(),
            **attributes,
        },
    )


async def fired(hass: HomeAssistant, calls: list[ServiceCall]) -> int:
    await hass.async_block_till_done()
    return len(calls)


@pytest.mark.parametrize("name", NAMES)
def test_where_it_comes_from_and_what_it_warns_of(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.count(f"privface/privface/blob/main/blueprints/automation/privface/{name}.yaml") == 1
    assert "This is not a lock" in text
    assert "disarm an" in text.replace("\n", " ").replace("  ", " ")
    assert "expires_at) > now()" in text
    assert set(NAMES) == {path.stem for path in FOLDER.glob("*.yaml")}


GREETING: Final = [{"action": "test.greet", "data": {"text": "Hello {{ person }} at {{ camera }}"}}]


class TestGreet:
    async def test_once_in_a_while(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        calls = async_mock_service(hass, "test", "greet")
        hass.states.async_set("event.ada_seen", "unknown")
        await use(hass, "greet_person", person_event=["event.ada_seen"], pause=10, greeting=GREETING)
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 1
        assert calls[0].data["text"] == "Hello Ada at Front door"
        freezer.tick(60)
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 1
        freezer.tick(600)
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 2

    async def test_a_late_event_greets_nobody(self, hass: HomeAssistant) -> None:
        calls = async_mock_service(hass, "test", "greet")
        hass.states.async_set("event.ada_seen", "unknown")
        await use(hass, "greet_person", person_event=["event.ada_seen"], greeting=GREETING)
        show(hass, "event.ada_seen", "seen", seconds=31)
        assert await fired(hass, calls) == 0

    @pytest.mark.parametrize(("sureness", "greeted_at"), [("first", [1, 1]), ("confirmed", [0, 1])])
    async def test_once_a_visit(self, hass: HomeAssistant, sureness: str, greeted_at: list[int]) -> None:
        calls = async_mock_service(hass, "test", "greet")
        hass.states.async_set("event.ada_seen", "unknown")
        await use(hass, "greet_person", person_event=["event.ada_seen"], pause=0, sureness=sureness, greeting=GREETING)
        for phase, expected in zip(("provisional", "confirmed"), greeted_at, strict=True):
            show(hass, "event.ada_seen", "seen", visit_id="v", phase=phase)
            assert await fired(hass, calls) == expected
        show(hass, "event.ada_seen", "seen", visit_id="w")
        assert await fired(hass, calls) == 2

    @pytest.mark.parametrize("sureness", ["first", "confirmed"])
    async def test_a_correction_greets_nobody(self, hass: HomeAssistant, sureness: str) -> None:
        calls = async_mock_service(hass, "test", "greet")
        hass.states.async_set("event.ada_seen", "unknown")
        await use(hass, "greet_person", person_event=["event.ada_seen"], sureness=sureness, greeting=GREETING)
        show(hass, "event.ada_seen", "seen", corrects="e")
        assert await fired(hass, calls) == 0

    async def test_an_older_backend_says_less(self, hass: HomeAssistant) -> None:
        calls = async_mock_service(hass, "test", "greet")
        await use(hass, "greet_person", person_event=["event.ada_seen"], greeting=GREETING)
        hass.states.async_set("event.ada_seen", "unavailable")
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 0, "nothing that comes back"
        show(hass, "event.ada_seen", "seen", seconds=1)
        assert await fired(hass, calls) == 1


class TestArrive:
    @pytest.fixture
    async def calls(self, hass: HomeAssistant) -> list[ServiceCall]:
        calls: list[ServiceCall] = async_mock_service(hass, "test", "greet")
        hass.states.async_set("event.ada_seen", "unknown")
        await use(hass, "person_arrives", person_event=["event.ada_seen"], area="porch", away=30, welcome=GREETING)
        return calls

    async def test_after_having_been_away(
        self, hass: HomeAssistant, calls: list[ServiceCall], freezer: FrozenDateTimeFactory
    ) -> None:
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 1
        freezer.tick(29 * 60)
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 1
        freezer.tick(31 * 60)
        show(hass, "event.ada_seen", "seen")
        assert await fired(hass, calls) == 2

    async def test_only_there_and_only_now(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        show(hass, "event.ada_seen", "seen", area="garden")
        assert await fired(hass, calls) == 0
        hass.states.async_set("event.ada_seen", "unknown")
        show(hass, "event.ada_seen", "seen", seconds=40)
        assert await fired(hass, calls) == 0

    async def test_what_counts_is_when_they_were_seen(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        """Somebody who stays makes no event: another visit after that is no arrival."""
        now = dt_util.utcnow()
        show(hass, "event.ada_seen", "seen", seen_before=(now - timedelta(minutes=2)).isoformat())
        assert await fired(hass, calls) == 0
        show(hass, "event.ada_seen", "seen", visit_id="v", seen_before=(now - timedelta(minutes=40)).isoformat())
        assert await fired(hass, calls) == 1
        show(hass, "event.ada_seen", "seen", visit_id="v", seen_before=(now - timedelta(minutes=40)).isoformat())
        assert await fired(hass, calls) == 1, "once a visit"

    async def test_nobody_arrives_by_a_correction(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        show(hass, "event.ada_seen", "seen", seen_before=None, corrects="e")
        assert await fired(hass, calls) == 0


FACE: Final = "event.front_door_face"
LABEL: Final = {"id": "s", "number": 12, "visit": 3}


class TestNotify:
    @pytest.fixture
    async def calls(self, hass: HomeAssistant) -> list[ServiceCall]:
        calls: list[ServiceCall] = async_mock_service(hass, "test", "notify")
        hass.states.async_set(FACE, "unknown")
        await use(hass, "notify_unknown_person", camera_event=FACE, notify_device="phone", pause=0)
        return calls

    async def test_which_stranger_it_is(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        show(hass, FACE, "unknown", person=None, stranger=LABEL)
        assert await fired(hass, calls) == 1
        assert calls[0].data["title"] == "Somebody unknown"
        assert calls[0].data["message"].startswith("Front door, ")
        assert calls[0].data["message"].endswith(", stranger 12, visit 3")
        show(hass, FACE, "unknown", person=None, stranger=LABEL | {"number": 13, "visit": 1}, seconds=1)
        assert await fired(hass, calls) == 2
        assert calls[1].data["message"].endswith(", stranger 13")
        show(hass, FACE, "unknown", person=None, seconds=2)
        assert await fired(hass, calls) == 3
        assert "stranger" not in calls[2].data["message"]

    async def test_once_a_visit(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        for phase in ("provisional", "confirmed"):
            show(hass, FACE, "unknown", visit_id="v", phase=phase)
            assert await fired(hass, calls) == 1
        show(hass, FACE, "unknown", visit_id="v", seconds=31)
        assert await fired(hass, calls) == 1

    async def test_a_name_that_is_taken_back(self, hass: HomeAssistant, calls: list[ServiceCall]) -> None:
        show(hass, FACE, "known", visit_id="v")
        assert await fired(hass, calls) == 0
        show(hass, FACE, "unknown", visit_id="v", corrects="e")
        assert await fired(hass, calls) == 1


def test_the_notification_is_well_formed() -> None:
    """Its action needs a phone that is registered, so its parts are looked at."""
    text = (FOLDER / "notify_unknown_person.yaml").read_text(encoding="utf-8")

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!input", lambda _loader, node: f"input:{node.value}")
    blueprint = yaml.load(text, Loader)  # noqa: S506  # a subclass of the safe loader
    *_, action = blueprint["actions"]
    assert (action["domain"], action["type"]) == ("mobile_app", "notify")
    assert action["data"]["image"] == "{{ image }}"
    (trigger,) = blueprint["triggers"]
    assert trigger["options"]["event_type"] == ["unknown"]
    used = {node.value for node in _inputs(text)}
    assert used == set(blueprint["blueprint"]["input"])


def _inputs(text: str) -> Iterator[yaml.ScalarNode]:
    def walk(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
        if isinstance(node, yaml.ScalarNode) and node.tag == "!input":
            yield node
        elif isinstance(node, yaml.SequenceNode):
            for part in node.value:
                yield from walk(part)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from walk(key)
                yield from walk(value)

    yield from walk(yaml.compose(text, yaml.SafeLoader))
