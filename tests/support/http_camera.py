"""A camera that speaks HTTP: snapshots, MJPEG, or whatever a test wants of a path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import cv2
import numpy as np
from aiohttp import web

from privface_backend.domain.frames import Pixels

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def jpeg(pixels: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return bytes(data)


async def _call(handler: Handler, request: web.Request) -> web.StreamResponse:
    return await handler(request)


@asynccontextmanager
async def camera(port: int = 0, **handlers: Handler) -> AsyncIterator[str]:
    """An HTTP server with a handler a path; gives its address."""
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", partial(_call, handler))
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def snapshot(pixels: Pixels) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=jpeg(pixels), content_type="image/jpeg")

    return handle


class Mjpeg:
    """Sends frames whose brightness is their number, as fast as they are taken or every ``pause`` seconds."""

    def __init__(self, *, pause: float = 0.01, most: int | None = None, then_stall: bool = False) -> None:
        self.sent = 0
        self.open = 0
        self._pause, self._most, self._then_stall = pause, most, then_stall

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        self.open += 1
        try:
            while self._most is None or self.sent < self._most:
                body = jpeg(np.full((120, 160, 3), self.sent % 250, dtype=np.uint8))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                await response.write(head.encode() + body + b"\r\n")
                self.sent += 1
                await asyncio.sleep(self._pause)
            if self._then_stall:
                await asyncio.Event().wait()
        finally:
            self.open -= 1
        return response
