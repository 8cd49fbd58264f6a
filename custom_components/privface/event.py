"""Event entities: a person was seen, a camera's faces were decided about. Core's ``event.received`` takes them."""

from typing import Any, Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Event, Outcome, to_wire_time
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .entity import CameraEntity, PersonEntity, async_add_cameras, async_add_people, camera_identifier

PARALLEL_UPDATES = 0

SEEN_TYPE: Final = "seen"
FORGOTTEN_TYPE: Final = "forgotten"
SEEN = EventEntityDescription(key="seen", translation_key="seen", event_types=[SEEN_TYPE])
FACE = EventEntityDescription(
    key="face",
    translation_key="face",
    event_types=[Outcome.KNOWN.value, Outcome.UNKNOWN.value, Outcome.UNUSABLE.value, FORGOTTEN_TYPE],
)


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the event entities of each person and of each camera."""
    async_add_people(
        entry, async_add_entities, lambda coordinator, person_id: [SeenEvent(coordinator, SEEN, person_id)]
    )
    async_add_cameras(
        entry,
        async_add_entities,
        lambda coordinator, subentry_id, looks: [FaceEvent(coordinator, FACE, subentry_id, looks)],
    )


class SeenEvent(PersonEntity, EventEntity):
    """A camera saw the person."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen_events(self._async_take))

    @callback
    def _async_take(self, event: Event) -> None:
        if event.outcome is Outcome.KNOWN and event.person_id == self.person_id:
            self._trigger_event(SEEN_TYPE, _attributes(self.coordinator, event))
            self.async_write_ha_state()


class FaceEvent(CameraEntity, EventEntity):
    """A decision about a face before the camera; ``forgotten``: whom the last one named is enrolled no more."""

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen_events(self._async_take))

    @callback
    def _async_take(self, event: Event) -> None:
        if event.camera == self.camera and event.outcome.value in self.event_types:
            self._trigger_event(event.outcome.value, _attributes(self.coordinator, event))
            self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Let the last event, which is shown until the next comes, name nobody who was forgotten."""
        named = self.state_attributes.get("person_id")
        if named is not None and self.coordinator.available and named not in self.coordinator.household.people:
            self._trigger_event(FORGOTTEN_TYPE, {"camera": self.state_attributes.get("camera")})
        super()._handle_coordinator_update()


def _attributes(coordinator: PrivFaceCoordinator, event: Event) -> dict[str, Any]:
    """What an automation needs of an event, in the user's words: the camera's title and area."""
    return {
        "event_id": event.event_id,
        "visit_id": event.visit_id,
        "seq": event.seq,
        "corrects": event.corrects,
        "corrected": coordinator.corrected(event),
        "camera": coordinator.config_entry.runtime_data.title(event.camera),
        "area": _area(coordinator, event.camera),
        "person": event.person,
        "person_id": event.person_id,
        "reason": event.reason.value,
        "phase": event.phase.value,
        "score": event.score,
        "threshold": event.threshold,
        "evidence": event.evidence,
        "stranger": None if event.stranger is None else event.stranger.to_dict(),
        "seen_before": _seen_before(coordinator, event),
        "relative": event.privacy.relative,
        "captured_at": to_wire_time(event.captured_at),
        "expires_at": to_wire_time(event.expires_at),
    }


def _seen_before(coordinator: PrivFaceCoordinator, event: Event) -> str | None:
    """When the person was last seen before this visit."""
    if event.outcome is not Outcome.KNOWN or event.person_id is None:
        return None
    seen = coordinator.household.seen_before(event.person_id, event.visit_id)
    return None if seen is None else to_wire_time(seen)


def _area(coordinator: PrivFaceCoordinator, camera: str) -> str | None:
    """The id of the area that a camera's device is in."""
    for subentry_id, looks in coordinator.config_entry.runtime_data.looks.items():
        if looks.settings.name == camera:
            identifier, entry_id = camera_identifier(coordinator, subentry_id), coordinator.config_entry.entry_id
            device = dr.async_get(coordinator.hass).async_get_device_by_identifier(identifier, entry_id)
            return None if device is None else device.area_id
    return None
