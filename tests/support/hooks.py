"""A real HTTP server that plays the receiver of webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from support.backend import serve


@dataclass(frozen=True)
class Delivery:
    """One request that came in."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """``answers``: what the next requests get: a status, a response, or what makes one; then 204."""

    port: int = 0
    answers: list[int | web.Response | Answering] = field(default_factory=list)
    came: list[Delivery] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-path"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.came.append(Delivery(dict(request.headers), body, asyncio.get_running_loop().time()))
        self._changed.set()
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, int):
            return web.Response(status=answer)
        return answer if isinstance(answer, web.Response) else await answer(request)

    async def wait(self, count: int) -> list[Delivery]:
        """What came, once that is ``count`` requests."""
        async with asyncio.timeout(20):
            while len(self.came) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.came


@contextlib.asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", receiver.handle)
    async with serve(app, "127.0.0.1", port) as bound:
        receiver.port = bound
        yield receiver
