"""Logbook entries of events, in plain words."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeassistant.components.logbook import LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.core import Event, HomeAssistant, callback

from .api import Outcome, Phase, Reason
from .const import DOMAIN, EVENT_TYPE
from .coordinator import PrivFaceConfigEntry

_WHY: Final = {
    Reason.TOO_SMALL.value: "it is too small",
    Reason.TOO_BLURRY.value: "it is too blurred",
    Reason.POSE.value: "it looks away",
    Reason.LIGHTING.value: "the light is bad",
    Reason.LOW_DETECTION.value: "it is hardly a face",
    Reason.IGNORED.value: "it is to be ignored",
}
_WHY_UNKNOWN: Final = {
    Reason.FEW_FACES.value: "only one picture looks like somebody enrolled",
    Reason.NOT_THEM.value: "you said that it isn't who it looks like",
}
_TIMES: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@callback
def async_describe_events(
    hass: HomeAssistant, async_describe_event: Callable[[str, str, Callable[[Event], dict[str, str]]], None]
) -> None:
    """Describe the component's events."""

    @callback
    def describe(event: Event) -> dict[str, str]:
        camera = _title(hass, str(event.data.get("camera", "")))
        return {LOGBOOK_ENTRY_NAME: camera, LOGBOOK_ENTRY_MESSAGE: _say(event.data)}

    async_describe_event(DOMAIN, EVENT_TYPE, describe)


def _title(hass: HomeAssistant, camera: str) -> str:
    """What the user calls a camera."""
    entries: list[PrivFaceConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return next((title for entry in entries if (title := entry.runtime_data.title(camera)) != camera), camera)


def _say(data: Mapping[str, Any]) -> str:
    seen = f"saw {_whom(data)}"
    if data.get("corrects"):
        return f"was wrong{_about(data.get('corrected'))}: took it back, {seen}"
    provisional = data.get("phase") == Phase.PROVISIONAL.value
    return f"probably {seen}" if provisional else seen


def _about(corrected: object) -> str:
    if not isinstance(corrected, Mapping):
        return ""
    if corrected.get("outcome") == Outcome.UNKNOWN.value:
        return " about somebody unknown"
    return f" about {corrected['person']}" if corrected.get("person") else ""


def _whom(data: Mapping[str, Any]) -> str:
    outcome, person, reason = data.get("outcome"), data.get("person"), str(data.get("reason"))
    if outcome == Outcome.KNOWN.value and person:
        return str(person)
    if outcome == Outcome.UNKNOWN.value:
        return _stranger(data.get("stranger")) + _because(_WHY_UNKNOWN.get(reason))
    return "a face that can't be recognized" + _because(_WHY.get(reason))


def _stranger(stranger: object) -> str:
    if not isinstance(stranger, Mapping) or not stranger.get("number"):
        return "somebody unknown"
    visit = stranger.get("visit")
    if not isinstance(visit, int) or visit < 1:
        return f"stranger {stranger['number']}"
    often = f"for the {_TIMES[visit - 1]} time" if visit <= len(_TIMES) else f"on visit {visit}"
    return f"stranger {stranger['number']} {often}"


def _because(why: str | None) -> str:
    return f": {why}" if why else ""
