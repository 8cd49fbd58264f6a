"""The flows of the entry: added by hand or discovered, its token renewed, its address changed, its options."""

import logging
from collections.abc import Mapping
from typing import Any, Final, override

import probatio as vol
from homeassistant.config_entries import (
    SOURCE_IGNORE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from homeassistant.helpers.typing import UNDEFINED, UndefinedType
from homeassistant.util.json import json_loads_object
from yarl import URL

from .address import normalize_url
from .api import ClientError, Info
from .api.protocol import DEFAULT_PORT
from .camera_flow import CameraFlow
from .const import (
    CONF_KEY,
    DEFAULT_PICTURE,
    DEFAULT_PRESENT,
    DEFAULT_STRANGER,
    DOMAIN,
    OPTION_PICTURE,
    OPTION_PRESENT,
    OPTION_STRANGER,
    SUBENTRY_CAMERA,
)
from .contact import error_key, may_have_moved
from .fields import whole_number
from .keys import ask_and_open

_LOGGER = logging.getLogger(__name__)
_TITLE: Final = "PrivFace"
_LONGEST_ID: Final = 64
_ADDRESSES: Final = {"port": str(DEFAULT_PORT), "example_url": "https://home.example.com/privface"}

_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.TEXT, autocomplete="url"))
_TOKEN = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_USER_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_URL): _URL,
        vol.Optional(CONF_TOKEN, default=""): _TOKEN,
        vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector(),
    }
)
_TOKEN_SCHEMA = vol.Schema({vol.Optional(CONF_TOKEN, default=""): _TOKEN})
_TOKEN_TLS_SCHEMA = _TOKEN_SCHEMA.extend({vol.Required(CONF_VERIFY_SSL, default=True): BooleanSelector()})


class PrivFaceConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds a backend, and changes how it is reached."""

    VERSION = 1

    _discovered_url: str

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> PrivFaceOptionsFlow:
        """Return the flow that changes the options."""
        return PrivFaceOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added below the entry."""
        return {SUBENTRY_CAMERA: CameraFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Add a backend by its address."""
        errors: dict[str, str] = {}
        if user_input is not None and (found := await self._async_try(user_input, errors)):
            info, data = found
            entry = await self.async_set_unique_id(info.instance_id, raise_on_progress=False)
            if entry is None or entry.source == SOURCE_IGNORE:
                return self.async_create_entry(title=_TITLE, data=data)
            return self._async_update(entry, data, "already_configured")
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_USER_SCHEMA, user_input),
            errors=errors,
            description_placeholders=_ADDRESSES,
        )

    @override
    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Meet a backend that announces itself on the network."""
        properties = discovery_info.properties
        url = URL.build(
            scheme="http",
            host=discovery_info.host,
            port=discovery_info.port or DEFAULT_PORT,
            path="/" + str(properties.get("path") or "").strip("/"),
        )
        return await self._async_discovered(properties.get("instance_id"), str(url))

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Meet a backend that announces itself at the broker."""
        try:
            payload = json_loads_object(discovery_info.payload)
        except ValueError:
            return self.async_abort(reason="invalid_discovery_info")
        return await self._async_discovered(payload.get("instance_id"), payload.get("url"))

    async def _async_discovered(self, instance_id: object, address: object) -> ConfigFlowResult:
        if not isinstance(instance_id, str) or not 0 < len(instance_id) <= _LONGEST_ID or not isinstance(address, str):
            return self.async_abort(reason="invalid_discovery_info")
        try:
            url = normalize_url(address)
        except ValueError:
            return self.async_abort(reason="invalid_discovery_info")
        entry = await self.async_set_unique_id(instance_id)
        if entry is not None and not await may_have_moved(self.hass, entry, url):
            self._abort_if_unique_id_configured()
        self._discovered_url = url
        self.context["title_placeholders"] = {"name": URL(url).authority}
        return await (self.async_step_discovery_moved() if entry else self.async_step_discovery_confirm())

    async def async_step_discovery_moved(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take the address that was announced for the entry's backend, once somebody has said that it is right."""
        errors: dict[str, str] = {}
        entry = await self.async_set_unique_id(self.unique_id, raise_on_progress=False)
        if entry is None:  # removed while the question stood
            return await self.async_step_discovery_confirm()
        wanted = {**entry.data, CONF_URL: self._discovered_url}
        if user_input is not None and (found := await self._async_try(wanted, errors)):
            info, data = found
            if info.instance_id == self.unique_id:
                return self._async_update(entry, data, "address_changed")
            errors["base"] = "another_backend"
        return self.async_show_form(
            step_id="discovery_moved",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders={"title": entry.title, "old": entry.data[CONF_URL], "url": self._discovered_url},
        )

    @override
    async def async_step_ignore(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Ignore a backend that was discovered; one that is configured stays, and only the question goes."""
        entry = await self.async_set_unique_id(user_input["unique_id"], raise_on_progress=False)
        if entry is None or entry.source == SOURCE_IGNORE:
            return await super().async_step_ignore(user_input)
        for flow in self._async_in_progress(match_context={"unique_id": entry.unique_id}):
            if flow["step_id"] == "discovery_moved":
                self.hass.config_entries.flow.async_abort(flow["flow_id"])
        return self.async_abort(reason="already_configured")

    async def async_step_discovery_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Add a backend that was discovered: it lacks only the token."""
        errors: dict[str, str] = {}
        if user_input is not None:
            wanted = {CONF_URL: self._discovered_url, CONF_VERIFY_SSL: True, **user_input}
            if found := await self._async_try(wanted, errors):
                info, data = found
                if info.instance_id == self.unique_id:
                    return self.async_create_entry(title=_TITLE, data=data)
                errors["base"] = "another_backend"
        schema = _TOKEN_TLS_SCHEMA if URL(self._discovered_url).scheme == "https" else _TOKEN_SCHEMA
        return self.async_show_form(
            step_id="discovery_confirm",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"url": self._discovered_url},
        )

    async def async_step_reauth(self, _entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start over with another token."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take another token."""
        errors: dict[str, str] = {}
        entry = self._get_reauth_entry()
        if user_input is not None and (found := await self._async_try({**entry.data, **user_input}, errors)):
            return await self._async_change(entry, *found)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(_TOKEN_SCHEMA, user_input),
            errors=errors,
            description_placeholders={"url": entry.data[CONF_URL]},
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take another address; the token stays where none is given."""
        errors: dict[str, str] = {}
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            token = user_input[CONF_TOKEN].strip() or entry.data[CONF_TOKEN]
            wanted = {**_key_of(entry), **user_input, CONF_TOKEN: token}
            if found := await self._async_try(wanted, errors):
                return await self._async_change(entry, *found)
        known = {key: value for key, value in entry.data.items() if key not in {CONF_TOKEN, CONF_KEY}}
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(_USER_SCHEMA, user_input or known),
            errors=errors,
            description_placeholders=_ADDRESSES,
        )

    async def _async_try(self, wanted: Mapping[str, Any], errors: dict[str, str]) -> tuple[Info, dict[str, Any]] | None:
        """Ask the backend that ``wanted`` leads to, and give the entry's data; else say in ``errors`` what is wrong."""
        try:
            url = normalize_url(wanted[CONF_URL])
        except ValueError as error:
            errors[CONF_URL] = str(error)
            return None
        token = wanted[CONF_TOKEN].strip()
        if not (token.isascii() and token.isprintable()):
            errors["base"] = "invalid_auth"
            return None
        data = {CONF_URL: url, CONF_TOKEN: token, CONF_VERIFY_SSL: wanted[CONF_VERIFY_SSL]}
        if CONF_KEY in wanted:
            data[CONF_KEY] = wanted[CONF_KEY]
        try:
            return await ask_and_open(self.hass, data)
        except ClientError as error:
            errors["base"] = error_key(error)
        except Exception:  # a mistake of ours must not close the form over what was typed
            _LOGGER.exception("Asking the backend failed in a way that wasn't foreseen")
            errors["base"] = "unknown"
        return None

    async def _async_change(self, entry: ConfigEntry, info: Info, data: dict[str, Any]) -> ConfigFlowResult:
        await self.async_set_unique_id(info.instance_id, raise_on_progress=False)
        self._abort_if_unique_id_mismatch()
        return self._async_update(entry, data)

    def _async_update(
        self, entry: ConfigEntry, data: dict[str, Any], reason: str | UndefinedType = UNDEFINED
    ) -> ConfigFlowResult:
        # A backend that is open doesn't ask for its key: it stays for the day when it does.
        data = {**_key_of(entry), **data}
        changed = data != entry.data
        result = self.async_update_and_abort(entry, data=data, reason=reason)
        # Listeners reload the entry on a change; one that failed has none, and must start all the same.
        if not (changed and entry.update_listeners):
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result


def _key_of(entry: ConfigEntry) -> dict[str, Any]:
    """The master key that an entry keeps, if it does, as a part of data."""
    return {CONF_KEY: entry.data[CONF_KEY]} if CONF_KEY in entry.data else {}


class PrivFaceOptionsFlow(OptionsFlow):
    """Changes how long things count."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take the times, in seconds."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        schema = vol.Schema(
            {
                vol.Required(OPTION_PRESENT, default=DEFAULT_PRESENT): whole_number(10, 3600, unit="s"),
                vol.Required(OPTION_STRANGER, default=DEFAULT_STRANGER): whole_number(10, 3600, unit="s"),
                vol.Required(OPTION_PICTURE, default=DEFAULT_PICTURE): whole_number(0, 86400, unit="s"),
            }
        )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )
