"""The repair that fits the cameras' blur to the people: measures, shows what came of it, and sets the cameras."""

from typing import Any, Final

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import NumberSelectorMode

from .api import Calibration, CalibrationLevel, ClientError, ErrorCode
from .calibration import CameraChange, async_apply, async_suggest, find_changes
from .coordinator import PrivFaceConfigEntry
from .fields import whole_number

CONF_FLOOR: Final = "floor"
_DEFAULT_FLOOR: Final = 90
_TOLD: Final = frozenset({ErrorCode.TOO_FEW_FACES, ErrorCode.OVERLOADED, ErrorCode.FORBIDDEN})
_FLOOR_SCHEMA = vol.Schema(
    {vol.Required(CONF_FLOOR, default=_DEFAULT_FLOOR): whole_number(50, 100, unit="%", mode=NumberSelectorMode.SLIDER)}
)


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Make the flow of a suggestion, which knows its entry and why it was made."""
    del hass, issue_id
    told = data or {}
    return CalibrationFlow(entry_id=str(told.get("entry_id")), reason=str(told.get("reason")))


class CalibrationFlow(RepairsFlow):
    """Asks what should still be known, measures at the backend, and applies what the user has seen."""

    def __init__(self, *, entry_id: str, reason: str) -> None:
        """Belong to a suggestion; nothing is asked yet."""
        self._entry_id = entry_id
        self._reason = reason
        self._changes: tuple[CameraChange, ...] = ()
        self._shown: dict[str, str] = {}

    @property
    def _entry(self) -> PrivFaceConfigEntry | None:
        """The entry while it is loaded."""
        entry: PrivFaceConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        return entry if entry is not None and entry.state is ConfigEntryState.LOADED else None

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say why, in words of its own for each reason."""
        return await self._async_step_floor(None)

    async def async_step_missing(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Measure for the first time, or since the people changed."""
        return await self._async_step_floor(user_input)

    async def async_step_weaker(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Measure where a camera blurs more than people can be known by."""
        return await self._async_step_floor(user_input)

    async def async_step_stronger(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Measure where a camera could blur more."""
        return await self._async_step_floor(user_input)

    async def _async_step_floor(self, user_input: dict[str, Any] | None) -> RepairsFlowResult:
        if (entry := self._entry) is None:
            return self.async_abort(reason="not_loaded")
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                calibration = await entry.runtime_data.coordinator.client.calibrate(user_input[CONF_FLOOR] / 100)
            except ClientError as error:
                errors["base"] = error.code.value if error.code in _TOLD else "unavailable"
            else:
                if calibration.chosen is not None:
                    return self._show(entry, calibration, calibration.chosen)
                errors["base"] = "no_level"
        return self.async_show_form(
            step_id=self._reason,
            data_schema=self.add_suggested_values_to_schema(_FLOOR_SCHEMA, user_input or {}),
            errors=errors,
            description_placeholders={"title": entry.title},
            last_step=False,
        )

    def _show(
        self, entry: PrivFaceConfigEntry, calibration: Calibration, chosen: CalibrationLevel
    ) -> RepairsFlowResult:
        """Show the result, and what it comes to for each camera."""
        self._changes = find_changes(entry, calibration)
        if all(change.before == change.after for change in self._changes):
            async_suggest(self.hass, entry, calibration)
            return self.async_abort(reason="nothing_to_change")
        self._shown = {
            "strength": f"{100 * chosen.relative:.1f}",
            "known": str(chosen.known),
            "probes": str(chosen.probes),
            "percent": str(round(100 * chosen.share)),
            "low": str(round(100 * chosen.low)),
            "high": str(round(100 * chosen.high)),
            "mistaken": str(chosen.mistaken),
            "named": str(chosen.named),
            "strangers": str(chosen.strangers),
            "cameras": "\n".join(f"- {one.title}: {one.before} → {one.after}" for one in self._changes),
        }
        return self._show_result()

    def _show_result(self) -> RepairsFlowResult:
        return self.async_show_form(step_id="apply", data_schema=vol.Schema({}), description_placeholders=self._shown)

    async def async_step_apply(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Set the cameras."""
        if (entry := self._entry) is None:
            return self.async_abort(reason="not_loaded")
        if user_input is None:
            return self._show_result()
        async_apply(self.hass, entry, self._changes)
        return self.async_create_entry(data={})
