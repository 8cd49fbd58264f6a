"""The devices of the backend and of people: there as long as what they stand for is."""

from collections.abc import Iterable
from typing import Any

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .coordinator import PrivFaceCoordinator
from .entity import backend_device, camera_identifier, person_identifier


@callback
def async_register_backend(coordinator: PrivFaceCoordinator) -> None:
    """Register the backend's device, to which all others point."""
    devices = dr.async_get(coordinator.hass)
    devices.async_get_or_create(
        config_entry_id=coordinator.config_entry.entry_id, **_plain(backend_device(coordinator))
    )


def _plain(info: dr.DeviceInfo) -> dict[str, Any]:
    return dict(info)


@callback
def async_follow_people(coordinator: PrivFaceCoordinator) -> None:
    """Rename and remove people's devices as people are, now and from now on."""
    shown: dict[str, str] | None = None

    @callback
    def follow() -> None:
        nonlocal shown
        names = {person.person_id: person.name for person in coordinator.household.people.values()}
        if names != shown:
            shown = names
            _remove_gone(coordinator, names)
            _rename(coordinator, names)

    follow()
    coordinator.config_entry.async_on_unload(coordinator.async_add_listener(follow))


def _remove_gone(coordinator: PrivFaceCoordinator, people: Iterable[str]) -> None:
    devices = dr.async_get(coordinator.hass)
    kept = {person_identifier(coordinator, person_id) for person_id in people}
    prefix = person_identifier(coordinator, "")[1]
    for device in dr.async_entries_for_config_entry(devices, coordinator.config_entry.entry_id):
        of_people = {identifier for identifier in device.identifiers if identifier[1].startswith(prefix)}
        if of_people and not of_people & kept:
            devices.async_remove_device(device.id)


def _rename(coordinator: PrivFaceCoordinator, names: dict[str, str]) -> None:
    devices = dr.async_get(coordinator.hass)
    for person_id, name in names.items():
        identifier = person_identifier(coordinator, person_id)
        device = devices.async_get_device_by_identifier(identifier, coordinator.config_entry.entry_id)
        if device is not None and device.name != name:
            devices.async_update_device(device.id, name=name)


@callback
def is_in_use(coordinator: PrivFaceCoordinator, cameras: Iterable[str], device: dr.AnyDeviceEntry) -> bool:
    """Whether something stands behind a device. ``cameras``: the ids of their subentries."""
    used = {
        (DOMAIN, coordinator.instance_id),
        *(person_identifier(coordinator, person_id) for person_id in coordinator.household.people),
        *(camera_identifier(coordinator, subentry_id) for subentry_id in cameras),
    }
    return bool(used & device.identifiers)
