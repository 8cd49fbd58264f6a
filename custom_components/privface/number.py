"""A number a camera: its privacy parameter."""

from typing import override

from homeassistant.components.number import NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .anonymize import METHODS, AnonymizationError
from .const import CONF_PARAMETER, DOMAIN
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .entity import LooksEntity, async_add_cameras
from .looks import CameraLooks

PARALLEL_UPDATES = 1

PRIVACY = NumberEntityDescription(
    key="privacy", translation_key="privacy", entity_category=EntityCategory.CONFIG, mode=NumberMode.SLIDER
)


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add each camera's number."""
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [PrivacyNumber(coordinator, subentry_id, looks)],
    )


class PrivacyNumber(LooksEntity, NumberEntity):
    """How strongly the camera's pictures are anonymized: kept in the camera's subentry, in force with the next look."""

    def __init__(self, coordinator: PrivFaceCoordinator, subentry_id: str, looks: CameraLooks) -> None:
        """Belong to the camera of that subentry."""
        super().__init__(coordinator, PRIVACY, subentry_id, looks)
        self._subentry_id = subentry_id
        method = METHODS[looks.settings.strength.method]
        self._attr_native_min_value = method.minimum
        self._attr_native_max_value = method.useful
        self._attr_native_step = method.step

    @property
    @override
    def native_value(self) -> float:
        return self.looks.settings.strength.parameter

    @override
    async def async_set_native_value(self, value: float) -> None:
        method = METHODS[self.looks.settings.strength.method]
        try:
            method.validate(int(value))
        except AnonymizationError as error:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="bad_privacy_parameter",
                translation_placeholders={"allowed": error.allowed or "-"},
            ) from error
        entry = self.coordinator.config_entry
        subentry = entry.subentries[self._subentry_id]
        data = {**subentry.data, CONF_PARAMETER: int(value)}
        self.hass.config_entries.async_update_subentry(entry, subentry, data=data)
        self.async_write_ha_state()
