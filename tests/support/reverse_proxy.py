"""A reverse proxy on loopback that passes requests and websockets on, and keeps everything that goes in.

    async with RecordingProxy(backend.url) as proxy:
        client(proxy.url)
        proxy.save(path)

``support.crossing`` judges what was saved.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

_OWN: Final = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"})
_LARGEST: Final = 64 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What went in, and what came back. ``body``: of a request, or one message of a websocket."""

    method: str
    target: str
    content_type: str
    body: bytes = field(repr=False)
    status: int | None = None
    answer: bytes = field(default=b"", repr=False)

    @property
    def document(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.answer)

    @property
    def picture(self) -> bytes:
        """The JPEG file in the body."""
        return self.body[self.body.index(b"\xff\xd8\xff") : self.body.rindex(b"\xff\xd9") + 2]


class RecordingProxy:
    """Passes everything to ``upstream``. ``exchanges``: what went in so far, in order; ``may_answer``: while it isn't
    set, answers to requests are held back, and what comes over websockets isn't."""

    def __init__(self, upstream: str) -> None:
        self.exchanges: list[Exchange] = []
        self.url = ""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._upstream = upstream
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def save(self, path: Path) -> None:
        """Write down what went in."""
        path.write_text(
            json.dumps(
                [
                    {
                        "method": exchange.method,
                        "target": exchange.target,
                        "content_type": exchange.content_type,
                        "body": base64.b64encode(exchange.body).decode(),
                    }
                    for exchange in self.exchanges
                ]
            )
        )

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(
            method=request.method,
            target=request.raw_path,
            content_type=request.headers.get("Content-Type", ""),
            body=await request.read(),
        )
        self.exchanges.append(exchange)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._pass_socket(request)
            return await self._pass_request(request, exchange)
        except aiohttp.ClientConnectionError:
            # Whoever is behind is away: it looks like that from before, too.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _pass_request(self, request: web.Request, exchange: Exchange) -> web.Response:
        async with self._session.request(
            exchange.method,
            f"{self._upstream}{exchange.target}",
            data=exchange.body,
            headers=_passed_on(request.headers),
            allow_redirects=False,
        ) as response:
            answer = await response.read()
            await self.may_answer.wait()
            exchange.status, exchange.answer = response.status, answer
            return web.Response(status=response.status, headers=_passed_on(response.headers), body=answer)

    async def _pass_socket(self, request: web.Request) -> web.WebSocketResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() == "authorization"}
        async with self._session.ws_connect(f"{self._upstream}{request.raw_path}", headers=headers) as behind:
            before = web.WebSocketResponse()
            await before.prepare(request)
            async with _running(self._record(before, behind, request.raw_path)):
                async for message in behind:
                    await before.send_str(message.data)
            await before.close(code=behind.close_code or aiohttp.WSCloseCode.GOING_AWAY)
        return before

    async def _record(
        self, before: web.WebSocketResponse, behind: aiohttp.ClientWebSocketResponse, target: str
    ) -> None:
        async for message in before:
            body = message.data.encode() if isinstance(message.data, str) else message.data
            self.exchanges.append(Exchange(method="WEBSOCKET", target=target, content_type="", body=body))
            await behind.send_str(body.decode())
        await behind.close()


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that aren't about the connection itself."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OWN)
