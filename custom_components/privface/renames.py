"""Entities that a user renames: the cameras' subentries follow."""

from collections.abc import Mapping
from typing import Any

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_entity_registry_updated_event

from .const import CONF_CAMERA, CONF_CONDITION, CONF_TRIGGERS
from .coordinator import PrivFaceConfigEntry


@callback
def async_follow_renames(hass: HomeAssistant, entry: PrivFaceConfigEntry) -> None:
    """Keep the subentries' camera, triggers and condition those that were chosen, whatever they are called."""
    used = {entity_id for subentry in entry.subentries.values() for entity_id in _entities(subentry.data)}

    @callback
    def follow(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        if event.data["action"] == "update" and "old_entity_id" in event.data:
            _rename(hass, entry, event.data["old_entity_id"], event.data["entity_id"])

    if used:
        entry.async_on_unload(async_track_entity_registry_updated_event(hass, used, follow))


def _entities(data: Mapping[str, Any]) -> set[str]:
    single = {data[key] for key in (CONF_CAMERA, CONF_CONDITION) if data.get(key)}
    return single | set(data.get(CONF_TRIGGERS, ()))


def _rename(hass: HomeAssistant, entry: PrivFaceConfigEntry, old: str, new: str) -> None:
    for subentry in tuple(entry.subentries.values()):
        if old not in _entities(subentry.data):
            continue
        data = dict(subentry.data)
        for key in (CONF_CAMERA, CONF_CONDITION):
            if data.get(key) == old:
                data[key] = new
        if CONF_TRIGGERS in data:
            data[CONF_TRIGGERS] = [new if entity_id == old else entity_id for entity_id in data[CONF_TRIGGERS]]
        hass.config_entries.async_update_subentry(entry, subentry, data=data)
