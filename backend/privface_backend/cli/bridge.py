"""``privface bridge``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from privface_backend.bridge.bridge import bridge_id
from privface_backend.bridge.standalone import broker_of, check_standalone, keep_memory_small, open_bridge, utc_now
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say
from privface_backend.frigate.companion import make_companions
from privface_backend.settings import Settings

if TYPE_CHECKING:
    from privface_backend.sealed.user_side import UserSide


def run_bridge(call: Invocation) -> None:
    """Take cameras' pictures and send them, until a signal ends it."""
    settings = call.settings
    set_up_logging(settings.log.level)
    keep_memory_small()
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    check_standalone(settings)
    side = await _prepare_side(settings) if settings.bridge.sealed else None
    companions = make_companions(settings, clock=utc_now)
    async with open_bridge(settings, companions=companions, side=side) as bridge:
        say(_hello(settings))
        running = asyncio.create_task(bridge.run())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        waiting.cancel()


async def _prepare_side(settings: Settings) -> UserSide:
    """What seals. Without its engines or its key the bridge doesn't start: nothing leaves."""
    from privface_backend.sealed.engines import prepare_user_side  # noqa: PLC0415  # what blurs has no use for engines

    return await prepare_user_side(settings)


def _hello(settings: Settings) -> str:
    cameras = ", ".join(settings.cameras) or "none by name"
    patterns = "".join(f"\nTopics: {pattern}" for pattern in settings.bridge.topics)
    if settings.frigate.enabled:
        patterns += f"\nFrigate: {settings.frigate.topic}/events"
    mqtt = broker_of(settings)
    where = "none" if mqtt is None else f"{mqtt.host}:{mqtt.port}, as {mqtt.base_topic}/bridge/{bridge_id(settings)}"
    sealed = ", sealed: no picture leaves" if settings.bridge.sealed else ""
    return f"PrivFace's bridge sends to {settings.bridge.backend}{sealed}\nCameras: {cameras}{patterns}\nMQTT: {where}"
