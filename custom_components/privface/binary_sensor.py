"""Binary sensors: who is present, whether a stranger is, whether the backend answers."""

from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import PrivFaceConfigEntry
from .entity import BackendEntity, CameraEntity, PersonEntity, async_add_cameras, async_add_people

PARALLEL_UPDATES = 0

CONNECTED = BinarySensorEntityDescription(
    key="connected",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)
PRESENT = BinarySensorEntityDescription(
    key="present", translation_key="present", device_class=BinarySensorDeviceClass.OCCUPANCY
)
UNKNOWN_PERSON = BinarySensorEntityDescription(
    key="unknown_person", translation_key="unknown_person", device_class=BinarySensorDeviceClass.OCCUPANCY
)


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of the backend, of each person and of each camera."""
    async_add_entities([ConnectedSensor(entry.runtime_data.coordinator, CONNECTED)])
    async_add_people(
        entry, async_add_entities, lambda coordinator, person_id: [PresentSensor(coordinator, PRESENT, person_id)]
    )
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [UnknownPersonSensor(coordinator, UNKNOWN_PERSON, subentry_id, looks)],
    )


class ConnectedSensor(BackendEntity, BinarySensorEntity):
    """Whether the backend can be reached: the one entity that says so while it can't."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.available


class PresentSensor(PersonEntity, BinarySensorEntity):
    """Whether a person was seen just now."""

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.household.is_present(self.person_id, dt_util.utcnow())


class UnknownPersonSensor(CameraEntity, BinarySensorEntity):
    """Whether somebody unknown was before the camera just now."""

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.household.strangers_at(self.camera, dt_util.utcnow()) > 0
