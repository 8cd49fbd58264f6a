"""What all entities share: which device they belong to, when they are available, and when they change."""

from collections.abc import Callable, Iterable
from typing import override

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .looks import CameraLooks

MANUFACTURER = "PrivFace"


def person_identifier(coordinator: PrivFaceCoordinator, person_id: str) -> tuple[str, str]:
    """The identifier of a person's device."""
    return DOMAIN, f"{coordinator.instance_id}_person_{person_id}"


def camera_identifier(coordinator: PrivFaceCoordinator, subentry_id: str) -> tuple[str, str]:
    """The identifier of a camera's device."""
    return DOMAIN, f"{coordinator.instance_id}_camera_{subentry_id}"


class PrivFaceEntity(CoordinatorEntity[PrivFaceCoordinator]):
    """An entity of the backend, a person or a camera."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: PrivFaceCoordinator, description: EntityDescription, owner: str) -> None:
        """Belong to ``owner``, a key that is unique in the backend."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.instance_id}_{owner}_{description.key}"

    @property
    @override
    def available(self) -> bool:
        return self.coordinator.available


class BackendEntity(PrivFaceEntity):
    """An entity of the backend's own device."""

    def __init__(self, coordinator: PrivFaceCoordinator, description: EntityDescription) -> None:
        """Belong to the backend."""
        super().__init__(coordinator, description, "backend")
        self._attr_device_info = backend_device(coordinator)


class PersonEntity(PrivFaceEntity):
    """An entity of an enrolled person."""

    def __init__(self, coordinator: PrivFaceCoordinator, description: EntityDescription, person_id: str) -> None:
        """Belong to the person of that id."""
        super().__init__(coordinator, description, f"person_{person_id}")
        self.person_id = person_id
        self._attr_device_info = DeviceInfo(
            identifiers={person_identifier(coordinator, person_id)},
            name=coordinator.household.people[person_id].name,
            manufacturer=MANUFACTURER,
            model="Person",
            via_device_id=_backend_device_id(coordinator),
        )

    @property
    @override
    def available(self) -> bool:
        return super().available and self.person_id in self.coordinator.household.people


class CameraEntity(PrivFaceEntity):
    """An entity of a camera's subentry."""

    def __init__(
        self, coordinator: PrivFaceCoordinator, description: EntityDescription, subentry_id: str, looks: CameraLooks
    ) -> None:
        """Belong to the camera of that subentry."""
        super().__init__(coordinator, description, f"camera_{subentry_id}")
        self.looks = looks
        settings = looks.settings
        self.camera = settings.name
        self._attr_device_info = DeviceInfo(
            identifiers={camera_identifier(coordinator, subentry_id)},
            name=settings.title,
            suggested_area=_area_name(coordinator, settings.entity_id),
            manufacturer=MANUFACTURER,
            model="Camera",
            via_device_id=_backend_device_id(coordinator),
        )


class LooksEntity(CameraEntity):
    """An entity that shows or sets how a camera is looked through: there whether the backend is or not."""

    @property
    @override
    def available(self) -> bool:
        return True

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.looks.async_listen(self.async_write_ha_state))


def backend_device(coordinator: PrivFaceCoordinator) -> DeviceInfo:
    """The backend's device."""
    info = coordinator.data
    return DeviceInfo(
        identifiers={(DOMAIN, coordinator.instance_id)},
        name=coordinator.config_entry.title,
        manufacturer=MANUFACTURER,
        model="Backend",
        sw_version=info.version,
        entry_type=DeviceEntryType.SERVICE,
        configuration_url=f"{coordinator.client.url}/api/v1/docs",
    )


def _backend_device_id(coordinator: PrivFaceCoordinator) -> str:
    """The id of the backend's device, which is registered before any entity."""
    return dr.async_get_device_id_by_identifier(
        coordinator.hass, (DOMAIN, coordinator.instance_id), config_entry_id=coordinator.config_entry.entry_id
    )


def _area_name(coordinator: PrivFaceCoordinator, entity_id: str) -> str | None:
    """The name of the area that the camera's own entity or device is in."""
    entity = er.async_get(coordinator.hass).async_get(entity_id)
    device = dr.async_get(coordinator.hass).async_get(entity.device_id) if entity and entity.device_id else None
    area_id = (entity.area_id if entity else None) or (device.area_id if device else None)
    area = ar.async_get(coordinator.hass).async_get_area(area_id) if area_id else None
    return None if area is None else area.name


@callback
def async_add_people(
    entry: PrivFaceConfigEntry,
    add: AddConfigEntryEntitiesCallback,
    make: Callable[[PrivFaceCoordinator, str], Iterable[Entity]],
) -> None:
    """Add ``make``'s entities for each person, now and whenever one comes."""
    coordinator = entry.runtime_data.coordinator
    added: set[str] = set()

    @callback
    def follow() -> None:
        if entry.state is ConfigEntryState.UNLOAD_IN_PROGRESS:
            return
        people = coordinator.household.people
        added.intersection_update(people)
        new = [person_id for person_id in people if person_id not in added]
        added.update(new)
        if entities := [entity for person_id in new for entity in make(coordinator, person_id)]:
            add(entities)

    follow()
    entry.async_on_unload(coordinator.async_add_listener(follow))


@callback
def async_add_cameras(
    entry: PrivFaceConfigEntry,
    add: AddConfigEntryEntitiesCallback,
    make: Callable[[PrivFaceCoordinator, str, CameraLooks], Iterable[Entity]],
) -> None:
    """Add ``make``'s entities for each camera to its subentry."""
    for subentry_id, looks in entry.runtime_data.looks.items():
        add(make(entry.runtime_data.coordinator, subentry_id, looks), config_subentry_id=subentry_id)
