"""A switch a camera: whether its pictures are looked at."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import PrivFaceConfigEntry
from .entity import LooksEntity, async_add_cameras

PARALLEL_UPDATES = 0

RECOGNITION = SwitchEntityDescription(key="recognition", translation_key="recognition")


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add each camera's switch."""
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [RecognitionSwitch(coordinator, RECOGNITION, subentry_id, looks)],
    )


class RecognitionSwitch(LooksEntity, SwitchEntity):
    """While it is off, no picture is taken, and nothing is sent. It is kept with the camera's settings."""

    @property
    @override
    def is_on(self) -> bool:
        return self.looks.enabled

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        self.looks.async_enable(enabled=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        self.looks.async_enable(enabled=False)
