"""The core, opened for one command: engines made, missing weights fetched first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import typer

from privface_backend.audit.entries import ENDED_EARLY
from privface_backend.cli.acts import ACTS, doing
from privface_backend.cli.data_dir import make_data_dir
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.core import Core, open_core, weights_to_serve
from privface_backend.protocol import ErrorCode
from privface_backend.settings import Settings
from privface_backend.tasks import fetch_weights

T = TypeVar("T")


@asynccontextmanager
async def open_session(settings: Settings, *, engines: bool) -> AsyncIterator[Core]:
    """The core of the data directory; with ``engines``, ready to look at pictures."""
    make_data_dir(settings.data_dir)
    async with open_core(settings) as core:
        if engines:
            await fetch_weights(core.weights, weights_to_serve(settings, core.registry))
            await core.start_engines()
        yield core


def run_command(
    call: Invocation, command: Callable[[Core], Awaitable[T]], *, engines: bool, settings: Settings | None = None
) -> T:
    """Run one command on the opened core."""
    chosen = settings or call.settings
    set_up_logging("warning" if chosen.log.level == "info" else chosen.log.level)

    act = ACTS.get(call.command)

    async def body() -> T:
        async with open_session(chosen, engines=engines) as core:
            if act is None:
                return await command(core)
            async with core.audit.act(doing(act, call.command)) as told:
                try:
                    return await command(core)
                except typer.Exit:
                    told.failure = ENDED_EARLY
                    raise
                except typer.BadParameter:
                    told.failure = ErrorCode.BAD_REQUEST.value
                    raise

    return asyncio.run(body())
