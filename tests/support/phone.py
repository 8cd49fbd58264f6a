"""A phone with Home Assistant's app, as far as notifications go: signed in, registered, and reached by push."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from support.hass import HomeAssistant

NAME: Final = "Phone"
_PUSH_TOKEN: Final = "of-the-phone"
_APP: Final = {
    "app_id": "io.example.app",
    "app_name": "App",
    "app_version": "1.0",
    "device_id": "of-the-test",
    "device_name": NAME,
    "manufacturer": "Maker",
    "model": "Model",
    "os_name": "System",
    "os_version": "1",
    "supports_encryption": False,
}


class Phone:
    """Registers in ``home``; ``device_id``: of its device there; ``notifications``: what came and wasn't taken."""

    def __init__(self, home: HomeAssistant) -> None:
        self.device_id = ""
        self.notifications: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._home = home
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/push", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        token = await self._home.command("auth/long_lived_access_token", client_name=NAME, lifespan=1)
        headers = {"Authorization": f"Bearer {token}"}
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        await self._register(f"http://127.0.0.1:{runner.addresses[0][1]}/push")
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def _register(self, push_url: str) -> None:
        app = {**_APP, "app_data": {"push_url": push_url, "push_token": _PUSH_TOKEN}}
        async with self._session.post(f"{self._home.url}/api/mobile_app/registrations", json=app) as answer:
            assert answer.status == 201, await answer.text()
        devices = await self._home.command("config/device_registry/list")
        (self.device_id,) = (device["id"] for device in devices if device["name"] == NAME)

    async def _take(self, request: web.Request) -> web.Response:
        """What the server of the phone's maker would pass on."""
        notification = await request.json()
        assert notification["push_token"] == _PUSH_TOKEN
        self.notifications.put_nowait(notification)
        return web.json_response({}, status=201)

    async def notification(self) -> dict[str, Any]:
        """Wait for the next notification."""
        async with asyncio.timeout(30):
            return await self.notifications.get()

    async def fetch(self, url: str) -> bytes:
        """What a notification's address, relative to Home Assistant's, leads to."""
        async with self._session.get(f"{self._home.url}{url}") as answer:
            assert answer.status == 200, f"{url}: {answer.status}"
            return await answer.read()
