"""The service: the backend and its REST server, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from privface_backend.app import Backend, open_backend
from privface_backend.audit.entries import By
from privface_backend.audit.telling import of_key
from privface_backend.discovery.addresses import Listening, announced_addresses, url_towards
from privface_backend.errors import PrivFaceError
from privface_backend.handover import wait_for_key
from privface_backend.mqtt.discovery import keep_telling
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.application import create_application
from privface_backend.rest.compreface import compreface_routes
from privface_backend.rest.deepstack import deepstack_routes
from privface_backend.rest.server import make_runner
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.settings import Settings
from privface_backend.storage.service_lock import only_service
from privface_backend.tasks import in_background, write_private

_LOGGER: Final = logging.getLogger(__name__)
RUN_FILE: Final = "run.json"
RUN_TOKEN: Final = "this run"  # noqa: S105  # a token's name


@contextlib.asynccontextmanager
async def run_server(settings: Settings) -> AsyncIterator[tuple[Backend, dict[str, Any]]]:
    """Serve for the length of the block; gives the backend and what stands in ``run.json``.

    Raises:
        PrivFaceError: ``port_in_use``; ``storage_failed``: another service uses the data directory; or what
            ``open_backend`` raises.
    """
    # Before anything is opened: a second service would speak for the first one on the broker.
    with only_service(settings.data_dir):
        async with open_backend(settings) as backend, _serving(settings, backend) as run:
            yield backend, run


@contextlib.asynccontextmanager
async def _serving(settings: Settings, backend: Backend) -> AsyncIterator[dict[str, Any]]:
    """REST for the length of the block; gives what stands in ``run.json``."""
    routes = (*ancestor_routes(settings), *deepstack_routes(settings), *compreface_routes(settings))
    runner = make_runner(create_application(backend.services, more_routes=routes))
    await runner.setup()
    try:
        listener = _listen(settings.server.host, settings.server.port)
        await web.SockSite(runner, listener).start()
        async with _run_token(backend) as token:
            run = _describe(backend, listener.getsockname()[1], token)
            path = settings.data_dir / RUN_FILE
            await asyncio.to_thread(write_private, path, json.dumps(run, indent=1))
            try:
                async with in_background(_tell_others(backend, Listening.of(listener))):
                    yield run
            finally:
                path.unlink(missing_ok=True)
    finally:
        await runner.cleanup()


def _tell_others(backend: Backend, listening: Listening) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """What tells others how REST is reached, by name."""
    settings, mqtt = backend.core.settings.discovery, backend.mqtt_settings

    async def find_url() -> str | None:
        # One home, one way: Home Assistant is offered its own integration, or shown devices.
        if not settings.mqtt or backend.core.settings.mqtt.home_assistant:
            return None
        return settings.url or await url_towards(listening, mqtt.host, mqtt.port)

    if mqtt.enabled:
        yield "mqtt discovery", keep_telling(backend.link, backend.core.instance_id, find_url)
    if settings.zeroconf and (listening.everywhere or announced_addresses(listening)):
        yield "zeroconf", _announce(backend.core.instance_id, listening)


async def _announce(instance_id: str, listening: Listening) -> None:
    await asyncio.to_thread(import_module, "privface_backend.discovery.announcement")
    from privface_backend.discovery.announcement import Announcement, keep_announced  # noqa: PLC0415  # loaded above, without holding up the start

    announcement = Announcement(instance_id=instance_id, port=listening.port)
    await keep_announced(announcement, partial(announced_addresses, listening))


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    opened = await wait_for_key(settings, stop, say_locked, _listen)
    if opened is None:
        return
    async with run_server(opened.settings) as (backend, run):
        first = await backend.core.storage.call(
            backend.core.tokens.ensure_first, besides=RUN_TOKEN, text=opened.first_token
        )
        if first is not None:
            backend.core.audit.tell(of_key("first_token", By.SERVICE))
        say_hello(run, None if opened.first_token else first, settings.data_dir)
        await stop.wait()
        _LOGGER.info("Stopping")


def say_locked(port: int, first: str | None) -> None:
    """Say on the terminal that the key is awaited, and the first token the one time that it can be read."""
    lines = [f"PrivFace waits on port {port} for its master key, from Home Assistant or PUT /api/v1/key."]
    print("\n".join((*lines, *_shown_once(first))), flush=True)  # noqa: T201  # as in say_hello


def _shown_once(token: str | None) -> list[str]:
    if token is None:
        return []
    return ["", "Your token, shown this once (keep it; `privface token create` makes others):", f"  {token}", ""]


def say_hello(run: dict[str, Any], first: str | None, data_dir: Path) -> None:
    """Say on the terminal where PrivFace listens, and the first token the one time that it can be read."""
    lines = [f"PrivFace listens on {run['url']}  (to try it: {run['url']}/api/v1/docs)", f"Data directory: {data_dir}"]
    if run["mqtt"] is not None:
        lines.append(f"MQTT: {run['mqtt']['host']}:{run['mqtt']['port']}, events on {run['mqtt']['event_topic']}")
    print("\n".join((*lines, *_shown_once(first))), flush=True)  # noqa: T201  # the service's one word to the terminal


@contextlib.asynccontextmanager
async def _run_token(backend: Backend) -> AsyncIterator[str]:
    """A token that lives as long as this run, for scripts on this computer; those of killed runs go."""
    tokens, storage = backend.core.tokens, backend.core.storage

    def renew() -> str:
        revoke()
        token = tokens.create(RUN_TOKEN, (Scope.ADMIN,))
        made = tokens.verify(token)
        backend.core.audit.tell(of_key("run_token", By.SERVICE, None if made is None else made.id))
        return token

    def revoke() -> None:
        for info in tokens.list():
            if info.name == RUN_TOKEN:
                tokens.revoke(info.id)

    token = await storage.call(renew)
    try:
        yield token
    finally:
        await storage.call(revoke)


def _describe(backend: Backend, port: int, token: str) -> dict[str, Any]:
    settings = backend.core.settings
    host = settings.server.host
    reach = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104  # compared with, not bound to
    mqtt = backend.mqtt_settings
    return {
        "pid": os.getpid(),
        "url": f"http://{f'[{reach}]' if ':' in reach else reach}:{port}",
        "host": host,
        "port": port,
        "token": token,
        "mqtt": None
        if not mqtt.enabled
        else {
            "host": mqtt.host,
            "port": mqtt.port,
            "embedded": backend.broker is not None,
            "username": mqtt.username if backend.broker is not None else None,
            "password": mqtt.password if backend.broker is not None else None,
            "event_topic": backend.link.topics.event,
        },
    }


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PrivFaceError(
                ErrorCode.PORT_IN_USE,
                f"Port {port} is in use by another program.",
                allowed="another one: privface serve --port N",
                details={"port": port},
            ) from None
        raise PrivFaceError(
            ErrorCode.PORT_IN_USE, f"Port {port} can't be opened: {error.strerror}.", details={"port": port}
        ) from None
    listener.listen(128)
    listener.setblocking(False)
    return listener
