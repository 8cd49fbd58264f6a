"""A button a camera: look now."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import PrivFaceConfigEntry
from .entity import CameraEntity, async_add_cameras

PARALLEL_UPDATES = 0

LOOK_NOW = ButtonEntityDescription(key="look_now", translation_key="look_now")


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add each camera's button."""
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [LookNowButton(coordinator, LOOK_NOW, subentry_id, looks)],
    )


class LookNowButton(CameraEntity, ButtonEntity):
    """Looks through the camera now."""

    @override
    async def async_press(self) -> None:
        self.looks.async_look_now()
