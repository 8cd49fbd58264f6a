"""Sensors: where a person was last seen, who is before a camera, how looks and backend do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .api import Info
from .coordinator import PrivFaceConfigEntry, PrivFaceCoordinator
from .entity import BackendEntity, CameraEntity, LooksEntity, PersonEntity, async_add_cameras, async_add_people
from .household import NOBODY, KnownPerson
from .looks import REASONS, CameraLooks
from .visits import STRANGER

PARALLEL_UPDATES = 0

_LONGEST_STATE = 255


@dataclass(frozen=True, kw_only=True)
class PersonSensorDescription(SensorEntityDescription):
    """A person's sensor. ``value_fn`` is given the person and how to call a camera."""

    value_fn: Callable[[KnownPerson, Callable[[str], str]], StateType | datetime]


@dataclass(frozen=True, kw_only=True)
class LooksSensorDescription(SensorEntityDescription):
    """A sensor of how a camera's looks go."""

    value_fn: Callable[[CameraLooks], StateType]


@dataclass(frozen=True, kw_only=True)
class BackendSensorDescription(SensorEntityDescription):
    """A sensor of how the backend stands."""

    value_fn: Callable[[Info], StateType]


PERSON_SENSORS = (
    PersonSensorDescription(
        key="last_camera",
        translation_key="last_camera",
        value_fn=lambda person, title: title(person.last.camera)[:_LONGEST_STATE] if person.last else None,
    ),
    PersonSensorDescription(
        key="last_seen",
        translation_key="last_seen",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda person, _title: person.last.captured_at if person.last else None,
    ),
)
PEOPLE_NOW = SensorEntityDescription(key="people_now", translation_key="people_now")
LAST_PERSON = SensorEntityDescription(key="last_person", translation_key="last_person")
LOOKS_SENSORS = (
    LooksSensorDescription(
        key="last_reason",
        translation_key="last_reason",
        device_class=SensorDeviceClass.ENUM,
        options=list(REASONS),
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda looks: looks.reason,
    ),
    LooksSensorDescription(
        key="latency",
        translation_key="latency",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda looks: looks.latency_ms,
    ),
    LooksSensorDescription(
        key="strength",
        translation_key="strength",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda looks: looks.strength.parameter,
    ),
    LooksSensorDescription(
        key="frames_sent",
        translation_key="frames_sent",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda looks: looks.sent,
    ),
    LooksSensorDescription(
        key="frames_skipped",
        translation_key="frames_skipped",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda looks: looks.skipped,
    ),
)
BACKEND_SENSORS = (
    BackendSensorDescription(
        key="version",
        translation_key="version",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda info: info.version,
    ),
    BackendSensorDescription(
        key="engine",
        translation_key="engine",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda info: f"{info.detector}, {info.recognizer}",
    ),
    BackendSensorDescription(
        key="queue_depth",
        translation_key="queue_depth",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda info: info.waiting,
    ),
    BackendSensorDescription(
        key="templates",
        translation_key="templates",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda info: info.templates,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: PrivFaceConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of the backend, of each person and of each camera."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities(BackendSensor(coordinator, description) for description in BACKEND_SENSORS)
    async_add_people(
        entry,
        async_add_entities,
        lambda coordinator, person_id: [
            PersonSensor(coordinator, description, person_id) for description in PERSON_SENSORS
        ],
    )
    async_add_cameras(entry, async_add_entities, _camera_sensors)


def _camera_sensors(coordinator: PrivFaceCoordinator, subentry_id: str, looks: CameraLooks) -> list[CameraEntity]:
    return [
        PeopleNowSensor(coordinator, PEOPLE_NOW, subentry_id, looks),
        LastPersonSensor(coordinator, LAST_PERSON, subentry_id, looks),
        *(LooksSensor(coordinator, description, subentry_id, looks) for description in LOOKS_SENSORS),
    ]


class BackendSensor(BackendEntity, SensorEntity):
    """How the backend stands."""

    entity_description: BackendSensorDescription

    @property
    @override
    def native_value(self) -> StateType:
        return self.entity_description.value_fn(self.coordinator.data)


class PersonSensor(PersonEntity, SensorEntity, RestoreEntity):
    """Where or when a person was last seen; kept over a restart with the time that it happened at."""

    entity_description: PersonSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        person = self.coordinator.household.people.get(self.person_id)
        title = self.coordinator.config_entry.runtime_data.title
        return None if person is None else self.entity_description.value_fn(person, title)

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData:
        person = self.coordinator.household.people.get(self.person_id)
        last = person.last if person else None
        kept = {} if last is None else {"camera": last.camera, "captured_at": last.captured_at.isoformat()}
        return RestoredExtraData(kept)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if kept := await self.async_get_last_extra_data():
            camera, captured_at = _restored(kept.as_dict(), "camera")
            if camera and captured_at:
                now = dt_util.utcnow()
                self.coordinator.household.restore_person(self.person_id, camera, captured_at, now)
                self.coordinator.async_changed()


class PeopleNowSensor(CameraEntity, SensorEntity):
    """Who is before the camera: names, strangers, or nobody."""

    _unrecorded_attributes = frozenset({"people"})

    @property
    @override
    def native_value(self) -> str:
        people, strangers = self._now()
        shown = [*people, *([STRANGER] if strangers else [])]
        return ", ".join(shown)[:_LONGEST_STATE] or NOBODY

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        people, strangers = self._now()
        return {"people": list(people), "strangers": strangers}

    def _now(self) -> tuple[tuple[str, ...], int]:
        household, now = self.coordinator.household, dt_util.utcnow()
        return household.people_at(self.camera, now), household.strangers_at(self.camera, now)


class LastPersonSensor(CameraEntity, SensorEntity, RestoreEntity):
    """Who was last before the camera: a name, or ``stranger``; kept over a restart."""

    @property
    @override
    def native_value(self) -> str | None:
        person = self.coordinator.household.last_person_at(self.camera)
        return None if person is None else person[:_LONGEST_STATE]

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData:
        last = self.coordinator.household.last_at(self.camera)
        kept = {} if last is None else {"person": last.person, "captured_at": last.captured_at.isoformat()}
        return RestoredExtraData(kept)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if kept := await self.async_get_last_extra_data():
            person, captured_at = _restored(kept.as_dict(), "person")
            if person and captured_at and captured_at <= dt_util.utcnow():
                self.coordinator.household.restore_camera(self.camera, person, captured_at)


class LooksSensor(LooksEntity, SensorEntity):
    """How the camera's looks go."""

    entity_description: LooksSensorDescription

    @property
    @override
    def native_value(self) -> StateType:
        return self.entity_description.value_fn(self.looks)


@callback
def _restored(kept: Mapping[str, Any], key: str) -> tuple[str | None, datetime | None]:
    """A text and the time that go together, as they were kept; None for what can't be read."""
    text, captured_at = kept.get(key), kept.get("captured_at")
    moment = dt_util.parse_datetime(captured_at) if isinstance(captured_at, str) else None
    aware = moment if moment is not None and moment.tzinfo is not None else None
    return (text if isinstance(text, str) else None), aware
