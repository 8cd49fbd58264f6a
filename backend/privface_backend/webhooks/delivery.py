"""One attempt to deliver a message: signed, to a checked address, without following anybody elsewhere."""

from __future__ import annotations

import contextlib
import email.utils
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from privface_backend import __version__
from privface_backend.outages import explain
from privface_backend.resolver import Resolve, resolve_host
from privface_backend.settings_push import WebhookSettings, read_key
from privface_backend.webhooks.guard import GuardedResolver, RefusedAddressError, check_literal
from privface_backend.webhooks.messages import WebhookMessage
from privface_backend.webhooks.signing import signed_headers

MOST_ANSWER_BYTES: Final = 4096
_LONGEST_WAIT: Final = 86_400.0
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.USER_AGENT: f"PrivFace/{__version__}",
    hdrs.ACCEPT_ENCODING: "identity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt came out. ``status``: None where no answer came, for ``reason``, which holds no address.
    ``retry_after``: the seconds that the other side wants to be left alone; ``text``: the start of what it said."""

    status: int | None = None
    reason: str = ""
    retry_after: float = 0.0
    refused: bool = False
    text: str = field(default="", repr=False)

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The other side wants no more of this, ever."""
        return self.status == 410

    @property
    def words(self) -> str:
        """How it came out, for the log and the terminal."""
        return self.reason if self.status is None else f"it answered {self.status}"


class Sender:
    """Sends to one hook; made by ``open_sender``."""

    def __init__(self, hook: WebhookSettings, session: aiohttp.ClientSession, clock: Callable[[], datetime]) -> None:
        self._url: Final = URL(hook.url)
        self._key: Final = read_key(hook.secret)
        self._seconds: Final = hook.seconds
        self._session: Final = session
        self._clock: Final = clock

    async def send(self, message: WebhookMessage, *, seconds: float | None = None) -> Attempt:
        """Send once. ``seconds``: how long the attempt may take, where that is less than the hook's own time."""
        total = self._seconds if seconds is None else max(0.1, min(self._seconds, seconds))
        try:
            check_literal(self._url)
            return await self._post(message, aiohttp.ClientTimeout(total=total))
        except RefusedAddressError as error:
            return Attempt(reason=str(error), refused=True)
        except aiohttp.ClientConnectorDNSError as error:
            refused = isinstance(error.os_error, RefusedAddressError)
            return Attempt(reason=str(error.os_error) if refused else "the host has no address", refused=refused)
        except TimeoutError:
            return Attempt(reason=f"no answer within {total:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(reason=f"it can't be reached ({explain(error)})")

    async def _post(self, message: WebhookMessage, limit: aiohttp.ClientTimeout) -> Attempt:
        headers = _HEADERS | signed_headers(self._key, message.id, self._clock(), message.body)
        async with self._session.post(
            self._url, data=message.body, headers=headers, allow_redirects=False, timeout=limit
        ) as response:
            text = await _read_start(response)
            wait = _retry_after(response.headers.get(hdrs.RETRY_AFTER), self._clock())
            return Attempt(status=response.status, retry_after=wait, text=text)


@asynccontextmanager
async def open_sender(
    hook: WebhookSettings, clock: Callable[[], datetime], resolve: Resolve = resolve_host
) -> AsyncIterator[Sender]:
    """A sender for the length of the block. Each attempt makes a connection of its own, whose address is checked."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(resolve, allow_private=hook.allow_private), use_dns_cache=False, force_close=True
    )
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False) as session:
        yield Sender(hook, session, clock)


async def _read_start(response: aiohttp.ClientResponse) -> str:
    data = b""
    # The status has said it all: an answer that breaks off changes nothing.
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        while len(data) < MOST_ANSWER_BYTES and (chunk := await response.content.read(MOST_ANSWER_BYTES - len(data))):
            data += chunk
    if not response.content.at_eof():
        # The rest is not waited for.
        response.close()
    return data.decode("utf-8", "replace")


def _retry_after(text: str | None, now: datetime) -> float:
    """The seconds that a ``Retry-After`` asks for, in either of its forms; 0 where it isn't there, or is none."""
    if text is None:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return min(_LONGEST_WAIT, float(text))
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, min(_LONGEST_WAIT, (moment - now).total_seconds()))
