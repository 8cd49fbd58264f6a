"""Whether the process is alive, and whether it can do its work. No token: orchestrators have none."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.rest.operations import Operation, answer_json, component
from privface_backend.rest.services import SERVICES, Services

_SECONDS: Final = 3.0


async def show_alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def show_ready(request: web.Request) -> web.Response:
    reasons = await _reasons(request.app[SERVICES])
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


async def _reasons(services: Services) -> list[str]:
    """Why the backend can't work: codes and plain words, nothing that a stranger shouldn't read."""
    reasons = []
    if not services.recognition.ready:
        trouble = services.trouble()
        reasons.append("engines: starting" if trouble is None else f"engines: {trouble.code}")
    try:
        async with asyncio.timeout(_SECONDS):
            await services.storage.call(services.events.get, "")
    except TimeoutError:
        reasons.append("storage: slow")
    except PrivFaceError as error:
        reasons.append(f"storage: {error.code}")
    if services.lane.depth > services.settings.pipeline.waiting:
        reasons.append("lane: full")
    return reasons


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/healthz",
        handler=show_alive,
        tag="Service",
        summary="Whether the process is alive",
        answers={200: answer_json(component("Health"), "It is.")},
    ),
    Operation(
        method="GET",
        path="/readyz",
        handler=show_ready,
        tag="Service",
        summary="Whether frames can be looked at",
        answers={
            200: answer_json(component("Readiness"), "They can."),
            503: answer_json(component("Readiness"), "They can't, for these reasons."),
        },
    ),
)
