"""What every sink does, whichever it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from privface_backend.dht.link import DhtLink
from privface_backend.models.store import WeightsStore
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.plugins.ports import EngineContext, Sink
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.settings_push import DhtSettings, WebhookSettings
from support import weights
from support.engines import names
from support.mqtt import make_event
from support.ports import free_port

FEW = 5


def options(name: str) -> Mapping[str, Any]:
    """What a sink is made with, so that it takes in ``FEW`` events and nobody takes them off it."""
    port = free_port()
    if name == "mqtt":
        return {"link": MqttLink(MqttSettings(port=port, outbox_limit=FEW))}
    if name == "dht":
        settings = DhtSettings(url=f"ws://127.0.0.1:{port}/ws", outbox=FEW)
        return {"link": DhtLink(settings, lambda _request: None, lambda: datetime.now(UTC))}
    if name == "webhook":
        hook = WebhookSettings(url=f"http://127.0.0.1:{port}/", secret="x" * 16, waiting=FEW)
        return {"hooks": (hook,)}
    return {}


@pytest.fixture(params=names(EngineKind.SINK))
async def sink(request: pytest.FixtureRequest) -> Sink:
    context = EngineContext(weights=WeightsStore(weights.ROOT), options=dict(options(request.param)))
    made = Registry().create(EngineKind.SINK, request.param, context)
    assert isinstance(made, Sink)
    assert made.name == request.param
    return made


async def test_it_takes_events_at_once_however_many_come(sink: Sink) -> None:
    """Far more than it keeps, while nobody takes them off it: none is waited for, and none of the callers is told."""
    event = make_event(1)
    began = time.monotonic()
    for _ in range(2000):
        sink.publish(event)
    assert time.monotonic() - began < 30


async def test_it_runs_until_it_is_cancelled(sink: Sink) -> None:
    running = asyncio.create_task(sink.run())
    for number in range(2 * FEW):
        sink.publish(make_event(number))
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    assert not running.done()
    running.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("name", names(EngineKind.SINK))
def test_what_it_needs_must_be_there(name: str) -> None:
    context = EngineContext(weights=WeightsStore(weights.ROOT))
    with pytest.raises(TypeError, match="option"):
        Registry().create(EngineKind.SINK, name, context)
