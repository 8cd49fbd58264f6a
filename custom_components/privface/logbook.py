"""Logbook entries of events, in plain words."""

from collections.abc import Callable

from homeassistant.components.logbook import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.core import Event, HomeAssistant, callback

from .api import Outcome, Reason
from .const import DOMAIN, EVENT_TYPE
from .coordinator import PrivFaceConfigEntry

_WHY = {
    Reason.TOO_SMALL.value: "it is too small",
    Reason.TOO_BLURRY.value: "it is too blurred",
    Reason.POSE.value: "it looks away",
    Reason.LOW_DETECTION.value: "it is hardly a face",
}


@callback
def async_describe_events(
    hass: HomeAssistant, async_describe_event: Callable[[str, str, Callable[[Event], dict[str, str]]], None]
) -> None:
    """Describe the component's events."""

    @callback
    def describe(event: Event) -> dict[str, str]:
        camera = _title(hass, str(event.data.get("camera", "")))
        return {LOGBOOK_ENTRY_NAME: camera, LOGBOOK_ENTRY_MESSAGE: _say(event)}

    async_describe_event(DOMAIN, EVENT_TYPE, describe)


def _title(hass: HomeAssistant, camera: str) -> str:
    """What the user calls a camera."""
    entries: list[PrivFaceConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return next((title for entry in entries if (title := entry.runtime_data.title(camera)) != camera), camera)


def _say(event: Event) -> str:
    outcome, person = event.data.get("outcome"), event.data.get("person")
    if outcome == Outcome.KNOWN.value and person:
        return f"saw {person}"
    if outcome == Outcome.UNKNOWN.value:
        return "saw somebody unknown"
    why = _WHY.get(str(event.data.get("reason")))
    return f"saw a face that can't be recognized: {why}" if why else "saw a face that can't be recognized"
