"""The connection to the distributed hash table: kept, and made again; what is to be sent waits until it has arrived."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from privface_backend.dht.messages import DhtRequest, read_request
from privface_backend.dht.outbox import Outbox, Outgoing
from privface_backend.domain.backoff import Backoff
from privface_backend.outages import explain
from privface_backend.settings_push import DhtSettings

_LOGGER: Final = logging.getLogger(__name__)
# Other programs' messages are larger than requests: they are read, and left alone.
_LONGEST_MESSAGE: Final = 4 * 1024 * 1024
_CLOSING: Final = aiohttp.ClientWSTimeout(ws_close=2.0)
_FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimes:
    """In seconds: for a connection to come about, for a sign of life, and between two where nothing is sent."""

    connect: float = 10.0
    answer: float = 20.0
    silence: float = 30.0


@dataclass(slots=True, kw_only=True)
class DhtCounters:
    """What was sent and what came: messages, requests in them, and connections."""

    sent: int = 0
    received: int = 0
    requests: int = 0
    connections: int = 0


class _LostError(Exception):
    """The connection is gone."""


class DhtLink:
    """Hands out the requests that come, and sends messages, each until the other side has shown that it was read.

    ``run`` is its whole life; all other methods are for the same event loop and never wait.
    """

    def __init__(
        self,
        settings: DhtSettings,
        on_request: Callable[[DhtRequest], None],
        clock: Callable[[], datetime],
        *,
        backoff: Backoff | None = None,
        times: LinkTimes | None = None,
    ) -> None:
        self.counters: Final = DhtCounters()
        self.outbox: Final = Outbox(settings.outbox)
        self._settings: Final = settings
        self._on_request: Final = on_request
        self._clock: Final = clock
        self._backoff: Final = backoff or Backoff()
        self._times: Final = times or LinkTimes()
        self._wake: Final = asyncio.Event()
        self._answered: Final = asyncio.Event()
        self._down = False
        self.connected = False

    def send(self, text: str, expires_at: datetime | None = None, people: frozenset[str] = frozenset()) -> None:
        """Send a message, now or when the other side is back; not at all once it has expired. ``people``: the ids of
        those whom it names."""
        self.outbox.push(Outgoing(text, expires_at, people))
        self._wake.set()

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop what waits and names these people. How many messages that was."""
        return self.outbox.forget(person_ids)

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled."""
        failures = 0
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._times.connect)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                started = time.monotonic()
                try:
                    await self._serve(session)
                except _LostError:
                    self._report_outage("the connection is lost")
                except _FAILURES as error:
                    self._report_outage(explain(error))
                finally:
                    self.connected = False
                failures = 1 if time.monotonic() - started >= self._backoff.settled else failures + 1
                await asyncio.sleep(self._backoff.delay(failures))

    async def _serve(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(self._times.connect):
            # Pongs are what shows that a message was read, so they are looked at here.
            socket = await session.ws_connect(
                self._settings.url, max_msg_size=_LONGEST_MESSAGE, autoping=False, timeout=_CLOSING
            )
        async with socket:
            self._report_connected()
            tasks = [
                asyncio.create_task(self._receive(socket), name="dht receive"),
                asyncio.create_task(self._send(socket), name="dht send"),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._answered.set()
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self.counters.received += 1
                self._take(message.data)
            else:
                raise _LostError

    def _take(self, text: str | bytes) -> None:
        request = read_request(text)
        if request is not None:
            self.counters.requests += 1
            self._on_request(request)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            self._wake.clear()
            message = self.outbox.first(self._clock())
            if message is not None:
                await socket.send_str(message.text)
                await self._ask_for_sign_of_life(socket)
                self.outbox.done(message)
                self.counters.sent += 1
                continue
            try:
                async with asyncio.timeout(self._times.silence):
                    await self._wake.wait()
            except TimeoutError:
                await self._ask_for_sign_of_life(socket)

    async def _ask_for_sign_of_life(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Wait for the answer to a ping: all that was sent before it was read by then."""
        self._answered.clear()
        await socket.ping()
        async with asyncio.timeout(self._times.answer):
            await self._answered.wait()

    def _report_connected(self) -> None:
        self.connected = True
        self.counters.connections += 1
        again = "again " if self.counters.connections > 1 else ""
        _LOGGER.info("The DHT is %sconnected, %d messages waited", again, len(self.outbox))
        self._down = False

    def _report_outage(self, reason: str) -> None:
        level = logging.DEBUG if self._down else logging.WARNING
        _LOGGER.log(level, "The DHT can't be reached (%s); trying again, messages wait", reason)
        self._down = True
