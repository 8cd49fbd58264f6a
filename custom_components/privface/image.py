"""The anonymized picture of the last face, as it was sent: off by default, in memory only, and not for long."""

from datetime import datetime
from typing import override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .anonymize import crop_face
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .entity import LooksEntity, async_add_cameras
from .looks import CameraLooks

PARALLEL_UPDATES = 0

LAST_FACE = ImageEntityDescription(key="last_face", translation_key="last_face", entity_registry_enabled_default=False)


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add each camera's picture."""
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [LastFaceImage(hass, coordinator, subentry_id, looks)],
    )


class LastFaceImage(LooksEntity, ImageEntity):
    """The last face before the camera; unavailable where there is none to show."""

    _attr_content_type = "image/jpeg"

    def __init__(
        self, hass: HomeAssistant, coordinator: PrivFaceCoordinator, subentry_id: str, looks: CameraLooks
    ) -> None:
        """Belong to the camera of that subentry."""
        LooksEntity.__init__(self, coordinator, LAST_FACE, subentry_id, looks)
        ImageEntity.__init__(self, hass)

    @property
    @override
    def available(self) -> bool:
        return self.looks.last_face is not None

    @property
    @override
    def image_last_updated(self) -> datetime | None:
        return None if self.looks.last_face is None else self.looks.last_face.captured_at

    @override
    async def async_image(self) -> bytes | None:
        face = self.looks.last_face
        if face is None:
            return None
        return await self.hass.async_add_executor_job(crop_face, face.picture, face.box)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.looks.keeps_pictures = True
        self.async_on_remove(self._async_keep_none)

    @callback
    def _async_keep_none(self) -> None:
        self.looks.keeps_pictures = False
