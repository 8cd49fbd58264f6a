"""PrivFace: who is at the door, from pictures that are anonymized before they leave Home Assistant."""

from collections.abc import Mapping
from typing import Any

from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.typing import ConfigType

from . import calibration, issues
from .actions import async_register_actions
from .api import PrivFaceClient, StreamRules
from .const import CONF_PARAMETER, CONF_RECOGNITION, DOMAIN, SUBENTRY_CAMERA
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator, PrivFaceData
from .devices import async_follow_people, async_register_backend, is_in_use
from .looks import CameraLooks
from .renames import async_follow_renames

PLATFORMS = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.IMAGE,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SWITCH,
)
_STREAM_RULES = StreamRules(longest=30.0)
_LIVE = frozenset({CONF_PARAMETER, CONF_RECOGNITION})
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, which exist whether an entry is loaded or not."""
    async_register_actions(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: PrivFaceConfigEntry) -> bool:
    """Connect to a backend, show its people and cameras, and begin to look."""
    session = async_get_clientsession(hass, entry.data[CONF_VERIFY_SSL])
    client = PrivFaceClient(session, entry.data[CONF_URL], entry.data[CONF_TOKEN], stream_rules=_STREAM_RULES)
    coordinator = PrivFaceCoordinator(hass, entry, client)
    await coordinator.async_config_entry_first_refresh()
    await coordinator.async_start()
    cameras = [
        subentry_id for subentry_id, subentry in entry.subentries.items() if subentry.subentry_type == SUBENTRY_CAMERA
    ]
    looks = {subentry_id: CameraLooks(hass, entry, coordinator, subentry_id) for subentry_id in cameras}
    entry.runtime_data = PrivFaceData(coordinator=coordinator, looks=looks)
    async_register_backend(coordinator)
    async_follow_people(coordinator)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    for camera in looks.values():
        camera.async_start()
        entry.async_on_unload(camera.async_stop)
    async_follow_renames(hass, entry)
    entry.async_on_unload(entry.add_update_listener(_Updates(entry).async_take))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: PrivFaceConfigEntry) -> bool:
    """Take everything of the entry down."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        issues.async_clear(hass, entry)
        calibration.async_clear(hass, entry)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: PrivFaceConfigEntry) -> None:
    """Take the entry's repairs back."""
    issues.async_clear(hass, entry)
    calibration.async_clear(hass, entry, dismissed=True)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, device: dr.AnyDeviceEntry
) -> bool:
    """Let a device be deleted by hand where neither backend, person nor camera stands behind it."""
    return not is_in_use(entry.runtime_data.coordinator, entry.runtime_data.looks, device)


class _Updates:
    """Reloads an entry when it is changed, unless in what is in force with the next look anyway."""

    def __init__(self, entry: PrivFaceConfigEntry) -> None:
        self._seen = _signature(entry)

    async def async_take(self, hass: HomeAssistant, entry: PrivFaceConfigEntry) -> None:
        """Compare the entry with how it was."""
        signature = _signature(entry)
        if signature != self._seen:
            self._seen = signature
            hass.config_entries.async_schedule_reload(entry.entry_id)
            return
        for looks in entry.runtime_data.looks.values():
            looks.async_tell()


@callback
def _signature(entry: PrivFaceConfigEntry) -> tuple[object, ...]:
    """What of an entry takes a reload when it changes."""
    cameras = {
        subentry_id: (subentry.title, _without_live(subentry.data))
        for subentry_id, subentry in entry.subentries.items()
    }
    return dict(entry.data), dict(entry.options), entry.title, cameras


def _without_live(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in _LIVE}
