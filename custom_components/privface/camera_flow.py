"""The flow that adds a camera below the entry, and changes it: which, how it is anonymized, and when to look."""

from collections.abc import Mapping
from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    StateSelector,
    StateSelectorConfig,
    TextSelector,
)
from homeassistant.util import slugify

from .anonymize import METHODS, AnonymizationError, Method, Noise
from .anonymize.noisy import LEAST_EPSILON, MOST_EPSILON, MOST_SENSITIVITY
from .const import (
    CONF_ADAPTIVE,
    CONF_BURST,
    CONF_CAMERA,
    CONF_CONDITION,
    CONF_CONDITION_STATES,
    CONF_COOLDOWN,
    CONF_EPSILON,
    CONF_INTERVAL,
    CONF_LEAST,
    CONF_METHOD,
    CONF_MOST,
    CONF_PARAMETER,
    CONF_RECOGNITION,
    CONF_SENSITIVITY,
    CONF_SPACING,
    CONF_TRIGGERS,
    DEFAULT_BURST,
    DEFAULT_CONDITION_STATES,
    DEFAULT_COOLDOWN,
    DEFAULT_INTERVAL,
    DEFAULT_METHOD,
    DEFAULT_SPACING,
    DOMAIN,
    NOISY_METHOD,
)
from .fields import seconds, thousandths, whole_number

SECTION_BURST: Final = "frames"

_LONGEST_NAME: Final = 64  # what the backend takes
_TRIGGER_DOMAINS: Final = ["binary_sensor", "button", "event", "input_button"]

_METHODS: Final = {name.replace("+", "_"): method for name, method in METHODS.items()}
"""By names that steps and translations may have."""

_CAMERA_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_CAMERA): EntitySelector(EntitySelectorConfig(domain="camera")),
        vol.Optional(CONF_NAME): TextSelector(),
        vol.Required(CONF_METHOD, default=DEFAULT_METHOD): SelectSelector(
            SelectSelectorConfig(options=[*_METHODS], mode=SelectSelectorMode.LIST, translation_key=CONF_METHOD)
        ),
    }
)
_LOOKS_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_TRIGGERS): EntitySelector(EntitySelectorConfig(domain=_TRIGGER_DOMAINS, multiple=True)),
        vol.Required(CONF_INTERVAL, default=DEFAULT_INTERVAL): whole_number(0, 86400, unit="s"),
        vol.Optional(CONF_CONDITION): EntitySelector(),
        vol.Required(SECTION_BURST): section(
            vol.Schema(
                {
                    vol.Required(CONF_BURST, default=DEFAULT_BURST): whole_number(1, 20),
                    vol.Required(CONF_SPACING, default=DEFAULT_SPACING): seconds(0.2, 10, step=0.1),
                    vol.Required(CONF_COOLDOWN, default=DEFAULT_COOLDOWN): whole_number(0, 3600, unit="s"),
                }
            ),
            {"collapsed": True},
        ),
    }
)


_NOISE_FIELDS: Final = {
    vol.Required(CONF_EPSILON, default=Noise().epsilon): thousandths(LEAST_EPSILON, MOST_EPSILON),
    vol.Required(CONF_SENSITIVITY, default=Noise().sensitivity): whole_number(1, MOST_SENSITIVITY),
}


@callback
def async_find_entity(hass: HomeAssistant, entity_id_or_uuid: str) -> str | None:
    """The entity's id if it exists and isn't disabled, whether or not it has a state yet."""
    registry = er.async_get(hass)
    entity_id = er.async_resolve_entity_id(registry, entity_id_or_uuid)
    if entity_id is None or hass.states.get(entity_id) is not None:
        return entity_id
    entry = registry.async_get(entity_id)
    return None if entry is None or entry.disabled else entity_id


@callback
def async_entity_name(hass: HomeAssistant, entity_id: str) -> str:
    """What people call the entity."""
    if state := hass.states.get(entity_id):
        return state.name
    entry = er.async_get(hass).async_get(entity_id)
    return (entry and (entry.name or entry.original_name)) or entity_id


class CameraFlow(ConfigSubentryFlow):
    """Adds a camera, or changes one: the name that the backend knows stays as it was first."""

    def __init__(self) -> None:
        """Start with nothing chosen."""
        self._title = ""
        self._chosen: dict[str, Any] = {}

    @property
    def _known(self) -> Mapping[str, Any]:
        """What was set before, by its keys in the subentry, with the title as the name."""
        if self.source != SOURCE_RECONFIGURE:
            return {}
        subentry = self._get_reconfigure_subentry()
        return {CONF_NAME: subentry.title, **subentry.data}

    async def async_step_user(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add a camera."""
        return await self.async_step_camera()

    async def async_step_reconfigure(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a camera."""
        return await self.async_step_camera()

    async def async_step_camera(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose the camera, its name, and how its pictures are anonymized."""
        errors: dict[str, str] = {}
        if user_input is not None:
            entity_id = async_find_entity(self.hass, user_input[CONF_CAMERA])
            if entity_id is None:
                errors[CONF_CAMERA] = "entity_not_found"
            else:
                title = user_input.get(CONF_NAME, "").strip() or async_entity_name(self.hass, entity_id)
                errors = self._check_unique(entity_id, title)
                if not errors:
                    self._title = title
                    method = _METHODS[user_input[CONF_METHOD]]
                    self._chosen = {CONF_CAMERA: entity_id, CONF_METHOD: method.name}
                    return await self._async_step_method(None)
        return self.async_show_form(
            step_id="camera",
            data_schema=self.add_suggested_values_to_schema(_CAMERA_SCHEMA, user_input or _with_slug(self._known)),
            errors=errors,
            last_step=False,
        )

    def _check_unique(self, entity_id: str, title: str) -> dict[str, str]:
        errors = {}
        for subentry in self._get_entry().subentries.values():
            if self.source == SOURCE_RECONFIGURE and subentry.subentry_id == self._reconfigure_subentry_id:
                continue
            if subentry.data.get(CONF_CAMERA) == entity_id:
                errors[CONF_CAMERA] = "camera_taken"
            if camera_name(title) in (subentry.unique_id, camera_name(subentry.title)):
                errors[CONF_NAME] = "name_taken"
        return errors

    # A step a method: its own range, in its own words.

    async def async_step_gaussian(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose how strong the blur is."""
        return await self._async_step_method(user_input)

    async def async_step_pixelate(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose how large the cells are."""
        return await self._async_step_method(user_input)

    async def async_step_pixelate_noise(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose how large the cells are, and how much noise they get."""
        return await self._async_step_method(user_input)

    async def _async_step_method(self, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        method = METHODS[self._chosen[CONF_METHOD]]
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                method.validate(user_input[CONF_PARAMETER])
            except AnonymizationError:
                errors[CONF_PARAMETER] = "bad_parameter"
            else:
                self._chosen |= {key: value for key, value in user_input.items() if key != CONF_ADAPTIVE}
                if not user_input.get(CONF_ADAPTIVE, False):
                    return await self.async_step_looks()
                self._chosen[CONF_ADAPTIVE] = True
                return await self.async_step_limits()
        schema = vol.Schema(
            {
                vol.Required(CONF_PARAMETER, default=method.default): _slider(method),
                **(_NOISE_FIELDS if method.name == NOISY_METHOD else {}),
                vol.Optional(CONF_ADAPTIVE): BooleanSelector(),
            }
        )
        known = self._known if self._known.get(CONF_METHOD) == method.name else None
        return self.async_show_form(
            step_id=method.name.replace("+", "_"),
            data_schema=self.add_suggested_values_to_schema(schema, user_input or known),
            errors=errors,
            description_placeholders={**_describe_range(method), "camera": self._title},
            last_step=False,
        )

    async def async_step_limits(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose between which strengths the backend's advice is followed."""
        method = METHODS[self._chosen[CONF_METHOD]]
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = _check_limits(method, user_input)
            if not errors:
                self._chosen |= user_input
                return await self.async_step_looks()
        schema = vol.Schema(
            {
                vol.Required(CONF_LEAST, default=self._chosen[CONF_PARAMETER]): _slider(method),
                vol.Required(CONF_MOST, default=method.useful): _slider(method),
            }
        )
        known = self._known if self._known.get(CONF_METHOD) == method.name else None
        return self.async_show_form(
            step_id="limits",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or known),
            errors=errors,
            description_placeholders={
                **_describe_range(method),
                "camera": self._title,
                "parameter": str(self._chosen[CONF_PARAMETER]),
            },
            last_step=False,
        )

    async def async_step_looks(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose when to look, how often, and what must hold."""
        errors: dict[str, str] = {}
        if user_input is not None:
            triggers, condition, errors = self._check_entities(user_input)
            if not errors:
                self._chosen |= {CONF_TRIGGERS: triggers, CONF_INTERVAL: user_input[CONF_INTERVAL]}
                self._chosen |= user_input[SECTION_BURST]
                if condition is None:
                    return self._finish()
                self._chosen[CONF_CONDITION] = condition
                return await self.async_step_condition()
        known = {**self._known, SECTION_BURST: self._known}
        return self.async_show_form(
            step_id="looks",
            data_schema=self.add_suggested_values_to_schema(_LOOKS_SCHEMA, user_input or known),
            errors=errors,
            description_placeholders={"camera": self._title},
        )

    def _check_entities(self, user_input: Mapping[str, Any]) -> tuple[list[str], str | None, dict[str, str]]:
        """The triggers and the condition as entity ids, and what is wrong with them."""
        errors = {}
        triggers = [async_find_entity(self.hass, trigger) for trigger in user_input.get(CONF_TRIGGERS, ())]
        if None in triggers:
            errors[CONF_TRIGGERS] = "entity_not_found"
        found = [trigger for trigger in triggers if trigger is not None]
        registry = er.async_get(self.hass)
        if any((entry := registry.async_get(trigger)) and entry.platform == DOMAIN for trigger in found):
            errors[CONF_TRIGGERS] = "own_trigger"
        condition: str | None = user_input.get(CONF_CONDITION)
        if condition is not None and (condition := async_find_entity(self.hass, condition)) is None:
            errors[CONF_CONDITION] = "entity_not_found"
        return found, condition, errors

    async def async_step_condition(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose in which states of the condition's entity to look."""
        entity_id = self._chosen[CONF_CONDITION]
        errors: dict[str, str] = {}
        if user_input is not None:
            if states := user_input.get(CONF_CONDITION_STATES):
                self._chosen[CONF_CONDITION_STATES] = states
                return self._finish()
            errors[CONF_CONDITION_STATES] = "states_missing"
        states_field = StateSelector(StateSelectorConfig(entity_id=entity_id, multiple=True))
        known: Mapping[str, Any] = {CONF_CONDITION_STATES: list(DEFAULT_CONDITION_STATES)}
        if self._known.get(CONF_CONDITION) == entity_id:
            known = self._known
        return self.async_show_form(
            step_id="condition",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema({vol.Optional(CONF_CONDITION_STATES): states_field}), known
            ),
            errors=errors,
            description_placeholders={"entity": async_entity_name(self.hass, entity_id)},
        )

    @callback
    def _finish(self) -> SubentryFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            subentry = self._get_reconfigure_subentry()
            # The switch's, which no form shows.
            kept = {key: subentry.data[key] for key in (CONF_RECOGNITION,) if key in subentry.data}
            return self.async_update_and_abort(
                self._get_entry(), subentry, title=self._title, data={**self._chosen, **kept}
            )
        return self.async_create_entry(title=self._title, data=self._chosen, unique_id=camera_name(self._title))


def _slider(method: Method) -> vol.All[int]:
    """A field for a method's parameter."""
    return whole_number(method.minimum, method.useful, step=method.step, mode=NumberSelectorMode.SLIDER)


def _describe_range(method: Method) -> dict[str, str]:
    return {"minimum": str(method.minimum), "maximum": str(method.useful), "step": str(method.step)}


def _check_limits(method: Method, given: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the limits."""
    errors = {}
    for key in (CONF_LEAST, CONF_MOST):
        try:
            method.validate(given[key])
        except AnonymizationError:
            errors[key] = "bad_parameter"
    if not errors and given[CONF_LEAST] > given[CONF_MOST]:
        errors[CONF_MOST] = "limits_crossed"
    return errors


def _with_slug(known: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**known, CONF_METHOD: known[CONF_METHOD].replace("+", "_")} if CONF_METHOD in known else known


def camera_name(title: str) -> str:
    """The name that the backend gets for a camera that is called ``title`` when it is added."""
    return slugify(title)[:_LONGEST_NAME].rstrip("_")
