"""Work for a client that ends when the client has gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

_LOOK_SECONDS: Final = 0.1


@contextlib.asynccontextmanager
async def until_gone(request: web.Request) -> AsyncIterator[asyncio.Timeout]:
    """End the block when the client hangs up, or when what this gives is rescheduled to now; its ``expired()`` says
    afterwards whether it was ended."""
    block = asyncio.timeout(None)
    try:
        async with block:
            watch = asyncio.create_task(_expire_when_gone(request, block), name="client watch")
            try:
                yield block
            finally:
                watch.cancel()
    except TimeoutError:
        if not block.expired():
            raise


def is_gone(request: web.Request) -> bool:
    """Whether the client has hung up; aiohttp tells a handler by the missing transport alone."""
    return request.transport is None or request.transport.is_closing()


async def _expire_when_gone(request: web.Request, block: asyncio.Timeout) -> None:
    while not is_gone(request):  # noqa: ASYNC110  # aiohttp has no event for it
        await asyncio.sleep(_LOOK_SECONDS)
    block.reschedule(asyncio.get_running_loop().time())
