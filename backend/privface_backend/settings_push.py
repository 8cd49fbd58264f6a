"""The settings of the ways by which PrivFace itself goes to others: webhooks, SIFIS-Home's distributed hash table."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import voluptuous as vol
from yarl import URL

from privface_backend.domain.addresses import is_never_reached, read_address, read_host
from privface_backend.protocol import Outcome, Phase
from privface_backend.settings_file import RULE, between

SHORTEST_SECRET: Final = 16
ENCODED_SECRET: Final = "whsec_"  # noqa: S105  # what a secret may begin with, no secret
_KEY_BYTES: Final = range(24, 65)
_LONGEST_ADDRESS: Final = 2048


def _web_address(text: str) -> str:
    expected = "expected http:// or https://, a host, and no fragment"
    try:
        url = URL(text)
        whole = bool(url.scheme in {"http", "https"} and url.raw_host and url.port) and not url.raw_fragment
    except ValueError:
        raise vol.Invalid(expected) from None
    if not whole or len(text) > _LONGEST_ADDRESS or not text.isprintable() or " " in text:
        raise vol.Invalid(expected)
    host = url.raw_host or ""
    if read_host(f"[{host}]" if ":" in host else host) is None:
        raise vol.Invalid("expected a host's name, or an IP address in its usual spelling")
    address = read_address(host)
    if address is not None and is_never_reached(address):
        raise vol.Invalid("nothing is ever sent to link-local, multicast and cloud metadata addresses")
    return text


def _secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise vol.Invalid(f"expected at least {SHORTEST_SECRET} characters")
    try:
        read_key(text)
    except ValueError:
        raise vol.Invalid(
            f"expected {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes in base64 after {ENCODED_SECRET}, or another "
            "beginning"
        ) from None
    return text


def read_key(secret: str) -> bytes:
    """The key that a secret stands for: behind ``whsec_`` in base64, otherwise the text itself in UTF-8.

    Raises:
        ValueError: what is behind ``whsec_`` is no base64, or of the wrong length.
    """
    if not secret.startswith(ENCODED_SECRET):
        return secret.encode("utf-8", "surrogatepass")
    try:
        key = base64.b64decode(secret.removeprefix(ENCODED_SECRET), validate=True)
    except binascii.Error:
        raise ValueError from None
    if len(key) not in _KEY_BYTES:
        raise ValueError
    return key


def _of(*allowed: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """The rule for a list of choices, one at least."""

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        if not values or not set(values) <= set(allowed):
            raise vol.Invalid(f"expected some of {', '.join(allowed)}")
        return values

    return check


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """One address that events are sent to.

    ``secret``: what the events are signed with. ``cameras``: none: all. ``names``: whether the events say who it was.
    ``allow_private``: send to a public name's host even where its address is this computer's or the home's.
    ``seconds``: for one attempt. ``waiting``: events that are kept for it.
    """

    url: str = field(repr=False, metadata={RULE: _web_address})
    secret: str = field(repr=False, metadata={RULE: _secret})
    outcomes: tuple[str, ...] = field(
        default=(Outcome.KNOWN.value, Outcome.UNKNOWN.value),
        metadata={RULE: _of(*(outcome.value for outcome in Outcome))},
    )
    phases: tuple[str, ...] = field(
        default=(Phase.PROVISIONAL.value, Phase.CONFIRMED.value),
        metadata={RULE: _of(Phase.PROVISIONAL.value, Phase.CONFIRMED.value)},
    )
    cameras: tuple[str, ...] = ()
    names: bool = True
    allow_private: bool = False
    attempts: int = field(default=10, metadata={RULE: between(1, 100)})
    seconds: float = field(default=10.0, metadata={RULE: between(0.5, 60)})
    waiting: int = field(default=100, metadata={RULE: between(1, 10_000)})

    @property
    def place(self) -> str:
        """The address to show: without login, path and query, which can be secrets."""
        return str(URL(self.url).origin())


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtSettings:
    """SIFIS-Home's distributed hash table. ``folder``: where requests' ``file_name`` is looked for; none: nowhere.
    ``events``: tell of every decision there too. ``frames_every``: a message each so many frames.
    ``waiting``: requests that may wait; ``outbox``: messages that are kept while it is away."""

    enabled: bool = False
    url: str = "ws://localhost:3000/ws"
    folder: Path | None = None
    events: bool = True
    frames_every: int = 60
    waiting: int = 8
    outbox: int = 256
