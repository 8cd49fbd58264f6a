"""Diagnostics of an entry: how it stands, without a name, a token, an address or a picture."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .api import Info
from .const import CONF_CAMERA, CONF_CONDITION, CONF_CONDITION_STATES, CONF_KEY, CONF_TRIGGERS
from .coordinator import PrivFaceConfigEntry
from .looks import CameraLooks

# Entities' ids hold what a user calls them: rooms, and people.
_REDACTED = {CONF_TOKEN, CONF_KEY, CONF_URL, CONF_CAMERA, CONF_TRIGGERS, CONF_CONDITION, CONF_CONDITION_STATES, "title"}


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: PrivFaceConfigEntry) -> dict[str, Any]:
    """How the entry, its backend and its cameras do."""
    coordinator = entry.runtime_data.coordinator
    return {
        "entry": {
            "data": async_redact_data(dict(entry.data), _REDACTED),
            "options": dict(entry.options),
            "version": entry.version,
        },
        "connected": coordinator.is_connected,
        "last_update_success": coordinator.last_update_success,
        "backend": _describe_backend(coordinator.data),
        "people": len(coordinator.household.people),
        "present": sum(
            coordinator.household.is_present(person_id, dt_util.utcnow()) for person_id in coordinator.household.people
        ),
        "cameras": [
            _describe_camera(looks, entry.subentries[subentry_id].data)
            for subentry_id, looks in entry.runtime_data.looks.items()
        ],
    }


def _describe_backend(info: Info) -> dict[str, Any]:
    return {
        "version": info.version,
        "api_version": info.api_version,
        "min_api_version": info.min_api_version,
        "ready": info.ready,
        "trouble": None if info.trouble is None else info.trouble.value,
        "detector": info.detector,
        "recognizer": info.recognizer,
        "contract": info.contract,
        "faces": info.faces,
        "templates": info.templates,
        "people_to_enroll_again": info.people_to_enroll_again,
        "waiting": info.waiting,
        "weights": dict(info.weights),
    }


def _describe_camera(looks: CameraLooks, data: Any) -> dict[str, Any]:
    return {
        "settings": async_redact_data(dict(data), _REDACTED),
        "enabled": looks.enabled,
        "parameter": looks.strength.parameter,
        "sent": looks.sent,
        "skipped": looks.skipped,
        "reason": looks.reason,
        "latency_ms": looks.latency_ms,
    }
