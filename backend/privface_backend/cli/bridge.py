"""``privface bridge``."""

from __future__ import annotations

import asyncio
import signal

from privface_backend.bridge.bridge import bridge_id
from privface_backend.bridge.standalone import broker_of, keep_memory_small, open_bridge, utc_now
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say
from privface_backend.frigate.companion import make_companions
from privface_backend.settings import Settings


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
    async with open_bridge(settings, companions=make_companions(settings, clock=utc_now)) as bridge:
        say(_hello(settings))
        running = asyncio.create_task(bridge.run())
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        waiting.cancel()


def _hello(settings: Settings) -> str:
    cameras = ", ".join(settings.cameras) or "none by name"
    patterns = "".join(f"\nTopics: {pattern}" for pattern in settings.bridge.topics)
    if settings.frigate.enabled:
        patterns += f"\nFrigate: {settings.frigate.topic}/events"
    mqtt = broker_of(settings)
    where = "none" if mqtt is None else f"{mqtt.host}:{mqtt.port}, as {mqtt.base_topic}/bridge/{bridge_id(settings)}"
    return f"PrivFace's bridge sends to {settings.bridge.backend}\nCameras: {cameras}{patterns}\nMQTT: {where}"
