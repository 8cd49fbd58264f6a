"""The master key of a backend that waits for it: made here, kept in the entry, handed over at each connect."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant

from .api import ClientError, ErrorCode, Info
from .const import CONF_KEY
from .contact import ask_backend, make_client

_OPENING_SECONDS: Final = 30.0
_PAUSE: Final = 0.5


def make_key() -> str:
    """A new master key, as the backend reads it: 32 secret bytes with a check."""
    secret = secrets.token_bytes(32)
    return "pfk1_" + base64.urlsafe_b64encode(secret + hashlib.sha256(secret).digest()[:4]).decode()


async def ask_and_open(hass: HomeAssistant, data: Mapping[str, Any]) -> tuple[Info, dict[str, Any]]:
    """What the backend of an entry with ``data`` says of itself, and the data with the key that it was opened with,
    where it waited for one.

    Raises:
        ClientError: it can't be used so; ``key_missing``: it was sealed with another key.
    """
    try:
        return await ask_backend(hass, data), dict(data)
    except ClientError as error:
        if error.code is not ErrorCode.LOCKED:
            raise
    data = {CONF_KEY: make_key(), **data}
    await make_client(hass, data).hand_over_key(data[CONF_KEY])
    deadline = hass.loop.time() + _OPENING_SECONDS
    while True:
        try:
            return await ask_backend(hass, data), data
        except ClientError:
            if hass.loop.time() >= deadline:
                raise
        await asyncio.sleep(_PAUSE)
