"""System health: whether the backend answers, and how it stands."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import PrivFaceConfigEntry


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register what is asked for."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    entries: list[PrivFaceConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        return {"loaded": False}
    coordinator = entries[0].runtime_data.coordinator
    info = coordinator.data
    return {
        "can_reach_backend": system_health.async_check_can_reach_url(hass, f"{coordinator.client.url}/healthz"),
        "backend_version": info.version,
        "backend_ready": info.ready,
        "connected": coordinator.is_connected,
        "cameras": len(entries[0].runtime_data.looks),
        "people": len(coordinator.household.people),
    }
