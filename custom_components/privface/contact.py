"""What a backend answers to an entry's address and token, and what its errors are called in forms."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN, CONF_URL, CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .api import (
    ApiVersionError,
    AuthenticationError,
    ClientError,
    ErrorCode,
    ForbiddenError,
    Info,
    NotPrivFaceError,
    PrivFaceClient,
    UnavailableError,
)

_LOGGER = logging.getLogger(__name__)
_SECONDS: Final = 10.0

_ERROR_KEYS: Final = (
    (AuthenticationError, "invalid_auth"),
    (ForbiddenError, "forbidden"),
    (NotPrivFaceError, "not_privface"),
)
_CODE_KEYS: Final = {
    ErrorCode.TOO_MANY_ATTEMPTS: "too_many_attempts",
    ErrorCode.NOT_FOUND: "not_privface",  # a backend, but not at this path
    ErrorCode.KEY_MISSING: "other_key",
}
_GONE_KEYS: Final = frozenset({"cannot_connect", "tls", "not_privface"})


def make_client(hass: HomeAssistant, data: Mapping[str, Any]) -> PrivFaceClient:
    """A client for one or two questions."""
    session = async_get_clientsession(hass, data[CONF_VERIFY_SSL])
    return PrivFaceClient(session, data[CONF_URL], data[CONF_TOKEN], timeout=_SECONDS)


async def ask_backend(hass: HomeAssistant, data: Mapping[str, Any]) -> Info:
    """What the backend of an entry with ``data`` says of itself, if the token allows what the component does.

    Raises:
        ClientError: it can't be used so.
    """
    client = make_client(hass, data)
    info = await client.info()
    await client.people()  # asks for the other scope that is needed
    return info


def error_key(error: ClientError) -> str:
    """The key of the text that says what is wrong, and what to do about it."""
    match error:
        case ApiVersionError():
            return "too_old" if error.too_old else "too_new"
        case UnavailableError():
            return "tls" if error.tls else "cannot_connect"
    for kind, key_of_kind in _ERROR_KEYS:
        if isinstance(error, kind):
            return key_of_kind
    if key := _CODE_KEYS.get(error.code):
        return key
    _LOGGER.error("The backend refused to say what it is (%s)", error.code)
    return "unknown"


async def may_have_moved(hass: HomeAssistant, entry: ConfigEntry, url: str) -> bool:
    """Whether to ask if the entry's backend is at ``url`` now: it is gone from where it was, and HTTPS is not left.

    Anybody on the network can announce anything, so ``url`` itself is not asked: the token would go there.
    """
    known = entry.data.get(CONF_URL)  # an ignored entry has none
    if known is None or known == url or (known.startswith("https:") and not url.startswith("https:")):
        return False
    try:
        info = await ask_backend(hass, entry.data)
    except ClientError as error:
        return error_key(error) in _GONE_KEYS
    return info.instance_id != entry.unique_id
