"""Waiting for the master key, which another program hands over: until then nothing that is sealed can be read.

Home Assistant keeps the key and hands it over whenever it connects, so that this computer's disk alone is never enough.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.authentication import AttemptLimit, bearer_token
from privface_backend.rest.key import read_key
from privface_backend.rest.middleware import answer_errors, log_access, set_headers
from privface_backend.rest.server import make_runner
from privface_backend.settings import Settings
from privface_backend.storage.integrity import is_new
from privface_backend.storage.locked import needed_key, token_scopes
from privface_backend.storage.service_lock import only_service
from privface_backend.storage.tokens import make_token

_MOST_BYTES: Final = 4096


class Locked:
    """What answers while the key is awaited. ``first``: the token of a new database, which isn't there yet."""

    def __init__(self, database: Path, first: str | None) -> None:
        self._database: Final = database
        self._first: Final = first
        self._attempts: Final = AttemptLimit(time.monotonic)
        self.key: Final[asyncio.Future[MasterKey]] = asyncio.get_running_loop().create_future()

    def application(self) -> web.Application:
        app = web.Application(middlewares=(log_access, answer_errors), client_max_size=_MOST_BYTES)
        app.on_response_prepare.append(set_headers)
        app.router.add_get("/healthz", self._show_alive)
        app.router.add_get("/readyz", self._show_ready)
        app.router.add_put("/api/v1/key", self._take_key)
        app.router.add_route("*", "/{anything:.*}", self._refuse)
        return app

    async def _show_alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _show_ready(self, _request: web.Request) -> web.Response:
        return web.json_response({"ready": False, "reasons": ["key: locked"]}, status=503)

    async def _refuse(self, _request: web.Request) -> web.Response:
        raise PrivFaceError(
            ErrorCode.LOCKED,
            "The backend waits for its master key.",
            allowed="PUT /api/v1/key, by whoever keeps it",
        )

    async def _take_key(self, request: web.Request) -> web.Response:
        await self._authorize(request)
        key = await read_key(request)
        needed = await asyncio.to_thread(needed_key, self._database)
        if needed not in {None, key.id}:
            raise PrivFaceError(
                ErrorCode.KEY_MISSING,
                "The database is sealed with another master key.",
                allowed=f"the key {needed}",
                details={"key": needed},
            )
        if not self.key.done():
            self.key.set_result(key)
        return web.json_response({"key": key.id})

    async def _authorize(self, request: web.Request) -> None:
        token = bearer_token(request) or ""
        if self._first is not None and hmac.compare_digest(token.encode(), self._first.encode()):
            return
        scopes: frozenset[Scope] = frozenset()
        if token and self._first is None:
            scopes = await asyncio.to_thread(token_scopes, self._database, token)
        if Scope.ADMIN in scopes or Scope.ENROLL in scopes:
            return
        if wait := self._attempts.take(request.remote or ""):
            raise PrivFaceError(
                ErrorCode.TOO_MANY_ATTEMPTS,
                "Too many wrong tokens came from this address.",
                details={"retry_after": wait},
            )
        raise PrivFaceError(ErrorCode.UNAUTHENTICATED, "That token can't hand over the key.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The settings with the key in them; ``first_token``: the one that was told already, for a new database."""

    settings: Settings
    first_token: str | None = field(default=None, repr=False)


async def wait_for_key(
    settings: Settings,
    stop: asyncio.Event,
    say: Callable[[int, str | None], None],
    listen: Callable[[str, int], socket.socket],
) -> Opened | None:
    """Serve nothing but the way in for the key until it came; None: ``stop`` was set before. Without the setting
    ``protection.handover`` there is nothing to wait for. ``say`` is told of the port and of the first token.

    Raises:
        PrivFaceError: ``port_in_use``, ``gallery_corrupt``, ``gallery_too_new``, ``storage_failed``.
    """
    if not settings.protection.handover:
        return Opened(settings=settings)
    database = settings.data_dir / "privface.db"
    with only_service(settings.data_dir):
        first = make_token() if await asyncio.to_thread(is_new, database) else None
        locked = Locked(database, first)
        runner = make_runner(locked.application())
        await runner.setup()
        try:
            listener = listen(settings.server.host, settings.server.port)
            await web.SockSite(runner, listener).start()
            say(listener.getsockname()[1], first)
            ended = asyncio.ensure_future(stop.wait())
            await asyncio.wait((ended, locked.key), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        finally:
            await runner.cleanup()
    if not locked.key.done():
        return None
    protection = replace(settings.protection, key=locked.key.result().to_text(), handover=False)
    return Opened(settings=replace(settings, protection=protection), first_token=first)
