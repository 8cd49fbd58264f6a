"""A Home Assistant with PrivFace in it: an entry on a real backend, cameras whose pictures a test sets, waiting."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, override

from homeassistant.components.camera import Camera
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, setup_test_component_platform

from custom_components.privface.const import (
    CONF_BURST,
    CONF_CAMERA,
    CONF_COOLDOWN,
    CONF_INTERVAL,
    CONF_METHOD,
    CONF_PARAMETER,
    CONF_SPACING,
    DOMAIN,
    SUBENTRY_CAMERA,
)
from support.backend_process import BackendProcess

SECONDS: Final = 15.0


async def wait_until(true: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Wait for a condition; fails when it doesn't come true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for has no event to wait on
            await asyncio.sleep(0.01)


def state_of(entry: ConfigEntry) -> ConfigEntryState:
    """An entry's state now: each time that it is asked for."""
    return entry.state


class StillCamera(Camera):
    """A camera that shows what a test puts before it; None: nothing comes."""

    _attr_has_entity_name = False

    def __init__(self, name: str) -> None:
        super().__init__()
        self._attr_name = name
        self._attr_unique_id = f"still_{name}"
        self.shown: bytes | Exception | None = None
        self.asked = 0
        self.hold: asyncio.Event | None = None

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


async def add_cameras(hass: HomeAssistant, *names: str) -> list[StillCamera]:
    """Cameras called ``names``, with the entities ``camera.<name>``."""
    cameras = [StillCamera(name) for name in names]
    setup_test_component_platform(hass, "camera", cameras)
    assert await async_setup_component(hass, "camera", {"camera": {"platform": "test"}})
    await hass.async_block_till_done()
    return cameras


def camera_subentry(title: str, entity_id: str, **data: Any) -> ConfigSubentryData:
    """A camera's subentry, one picture at each trigger unless ``data`` says otherwise."""
    name = title.lower().replace(" ", "_")
    settings: Mapping[str, Any] = {
        CONF_CAMERA: entity_id,
        CONF_METHOD: "gaussian",
        CONF_PARAMETER: 9,
        CONF_INTERVAL: 0,
        CONF_BURST: 1,
        CONF_SPACING: 0.2,
        CONF_COOLDOWN: 0,
    }
    return ConfigSubentryData(
        data=MappingProxyType({**settings, **data}), subentry_type=SUBENTRY_CAMERA, title=title, unique_id=name
    )


@dataclass
class Home:
    """An entry that is set up on a backend."""

    hass: HomeAssistant
    entry: MockConfigEntry
    backend: BackendProcess = field(repr=False)

    def entity_id(self, domain: str, owner: str, key: str) -> str:
        """An entity by its owner (``backend``, ``person_<id>``, ``camera_<subentry id>``) and key."""
        unique_id = f"{self.entry.unique_id}_{owner}_{key}"
        found = er.async_get(self.hass).async_get_entity_id(domain, DOMAIN, unique_id)
        assert found is not None, unique_id
        return found

    def state(self, domain: str, owner: str, key: str) -> State:
        state = self.hass.states.get(self.entity_id(domain, owner, key))
        assert state is not None
        return state

    def camera(self, title: str = "Front door") -> str:
        """The owner of a camera's entities."""
        (subentry_id,) = (key for key, subentry in self.entry.subentries.items() if subentry.title == title)
        return f"camera_{subentry_id}"

    def person(self, name: str) -> str:
        """The owner of a person's entities."""
        people = self.entry.runtime_data.coordinator.household.people.values()
        (person_id,) = (person.person_id for person in people if person.name == name)
        return f"person_{person_id}"

    async def act(self, action: str, **data: Any) -> Any:
        """Call one of the component's actions; its answer."""
        return await self.hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)

    async def press(self, title: str = "Front door") -> None:
        """Press *Look now*, and wait until that look is over."""
        looks = self.entry.runtime_data.looks[self.camera(title).removeprefix("camera_")]
        before = looks.sent + looks.skipped
        entity_id = self.entity_id("button", self.camera(title), "look_now")
        await self.hass.services.async_call("button", "press", {"entity_id": entity_id}, blocking=True)
        await wait_until(lambda: looks.sent + looks.skipped > before)


def make_entry(backend: BackendProcess, token: str, *cameras: ConfigSubentryData, **options: Any) -> MockConfigEntry:
    """An entry for a backend that runs."""
    instance_id = backend.call("GET", "/api/v1/info")["instance_id"]
    return MockConfigEntry(
        domain=DOMAIN,
        title="PrivFace",
        unique_id=instance_id,
        data={"url": backend.url, "token": token, "verify_ssl": True},
        options=options,
        subentries_data=list(cameras),
    )


async def set_up(
    hass: HomeAssistant, backend: BackendProcess, token: str, *cameras: ConfigSubentryData, **options: Any
) -> Home:
    """Add an entry and set it up."""
    entry = await hass.async_add_executor_job(lambda: make_entry(backend, token, *cameras, **options))
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return Home(hass=hass, entry=entry, backend=backend)
