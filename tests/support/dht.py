"""A real websocket server that plays a node of SIFIS-Home's distributed hash table."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from support.backend import serve

RESULT = "SIFIS:Privacy_Aware_Face_Recognition_Results"
FRAME_RESULT = "SIFIS:Privacy_Aware_Face_Recognition_Frame_Results"


@dataclass
class Node:
    """``came``: the messages that clients sent. ``forgetful``: it reads, but what it read is lost, and says nothing."""

    port: int = 0
    came: list[Any] = field(default_factory=list)
    forgetful: bool = False
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stop: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=not self.forgetful)
        await socket.prepare(request)
        self.sockets.add(socket)
        self.changed.set()
        try:
            async for message in socket:
                if message.type is web.WSMsgType.TEXT and not self.forgetful:
                    self.came.append(json.loads(message.data))
                    self.changed.set()
        finally:
            self.sockets.discard(socket)
        return socket

    async def wait(self, condition: Callable[[], Any]) -> Any:
        """What ``condition`` gives, once that is something."""
        async with asyncio.timeout(60):
            while not (found := condition()):
                self.changed.clear()
                await self.changed.wait()
        return found

    async def tell(self, message: Any) -> None:
        """Send something to every client, once there is one."""
        await self.wait(lambda: self.sockets)
        for socket in tuple(self.sockets):
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def ask(self, topic: str, **value: Any) -> None:
        """Tell of a value that another program posted."""
        posted = {"value": value, "topic_name": topic, "topic_uuid": "Face_Recognition", "deleted": False}
        await self.tell({"Persistent": posted})

    def values(self, topic: str) -> list[dict[str, Any]]:
        """What was posted under a topic."""
        posts = [message["RequestPostTopicUUID"] for message in self.came if "RequestPostTopicUUID" in message]
        return [post["value"] for post in posts if post["topic_name"] == topic]

    async def results(self, count: int = 1) -> list[dict[str, Any]]:
        return list(await self.wait(lambda: len(found := self.values(RESULT)) >= count and found))

    def hang_up(self) -> None:
        """Break every connection off."""
        for socket in tuple(self.sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def kill(self) -> None:
        """Be gone: nothing listens at the port any more."""
        self.hang_up()
        await self.stop.aclose()


@contextlib.asynccontextmanager
async def dht_node(port: int = 0, *, forgetful: bool = False) -> AsyncIterator[Node]:
    node = Node(forgetful=forgetful)
    app = web.Application()
    app.router.add_get("/ws", node.handle)
    async with node.stop:
        node.port = await node.stop.enter_async_context(serve(app, "127.0.0.1", port))
        try:
            yield node
        finally:
            node.hang_up()
