"""A switch a camera: whether its pictures are looked at."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import RestoreEntity

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


class RecognitionSwitch(LooksEntity, SwitchEntity, RestoreEntity):
    """While it is off, no picture is taken, and nothing is sent. It stays as it was over a restart."""

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

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        last = await self.async_get_last_state()
        self.looks.async_enable(enabled=last is None or last.state != STATE_OFF)
