"""Home Assistant's websocket: commands, and subscriptions to what it tells."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp


class CommandError(Exception):
    """Home Assistant refused a command; ``code`` as it says it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = str(error.get("code"))


class HassSocket:
    """A signed-in connection; ``async with HassSocket.connect(session, url, token) as socket``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: dict[int, asyncio.Queue[Any]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, session: aiohttp.ClientSession, url: str, token: str) -> AsyncIterator[Self]:
        async with session.ws_connect(f"{url}/api/websocket", max_msg_size=0) as socket:
            assert (await socket.receive_json())["type"] == "auth_required"
            await socket.send_json({"type": "auth", "access_token": token})
            answer = await socket.receive_json()
            assert answer["type"] == "auth_ok", answer
            connection = cls(socket)
            reader = asyncio.create_task(connection._read(), name="home-assistant-socket")
            try:
                yield connection
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._socket:
            data = message.json()
            for one in data if isinstance(data, list) else [data]:
                self._take(one)
        for waiting in self._answers.values():
            waiting.cancel("Home Assistant closed the connection")

    def _take(self, message: dict[str, Any]) -> None:
        number = message["id"]
        if message["type"] == "event" and number in self._events:
            self._events[number].put_nowait(message["event"])
        elif message["type"] == "result" and number in self._answers:
            waiting = self._answers.pop(number)
            if message["success"]:
                waiting.set_result(message["result"])
            else:
                waiting.set_exception(CommandError(message["error"]))

    async def command(self, kind: str, **fields: Any) -> Any:
        """Send a command; its result.

        Raises:
            CommandError: it was refused.
        """
        return await self._send(next(self._ids), kind, fields)

    async def _send(self, number: int, kind: str, fields: dict[str, Any]) -> Any:
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **fields})
        async with asyncio.timeout(60):
            return await self._answers[number]

    @contextlib.asynccontextmanager
    async def subscribe(self, kind: str, **fields: Any) -> AsyncIterator[asyncio.Queue[Any]]:
        """What a subscribing command tells (``subscribe_events``, ``subscribe_trigger``, ``logbook/event_stream`` …),
        for the length of the block."""
        number = next(self._ids)
        queue = self._events[number] = asyncio.Queue()
        await self._send(number, kind, fields)
        try:
            yield queue
        finally:
            del self._events[number]
            with contextlib.suppress(CommandError, ConnectionError):
                await self.command("unsubscribe_events", subscription=number)
