"""A bridge in tests: beside a real backend, fed over a real broker, with waits short enough for a test."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from PIL import Image

from privface_backend.bridge.bridge import Bridge, Timing
from privface_backend.bridge.line import CameraLine
from privface_backend.bridge.settings import BridgeSettings, CameraFeed
from privface_backend.bridge.standalone import open_bridge
from privface_backend.domain.frames import Pixels
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import Scope
from privface_backend.settings import Settings
from support.backend import Api
from support.mqtt import FAST, PATIENCE
from support.reverse_proxy import RecordingProxy

FAST_TIMING = Timing(broker=FAST, sources=FAST, state_seconds=0.05)


def clear_picture(seed: int = 0, size: tuple[int, int] = (1280, 720)) -> Image.Image:
    """A picture with detail everywhere, another one for each seed: noise of several sizes."""
    noise = np.random.default_rng(seed)
    width, height = size
    layers = [
        np.asarray(Image.fromarray(noise.integers(0, 256, (height // cell, width // cell, 3), np.uint8)).resize(size))
        for cell in (2, 8, 40)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def make_settings(
    directory: Path,
    backend: str,
    *,
    port: int | None,
    cameras: Mapping[str, CameraFeed] | None = None,
    token: str | None = None,
    **bridge: Any,
) -> Settings:
    """Settings of a bridge. ``port``: the broker's; None: there is none."""
    return Settings(
        data_dir=directory / "bridge",
        models_dir=directory / "models",
        mqtt=MqttSettings(host="127.0.0.1", port=port or 1883, enabled=port is not None),
        broker_configured=port is not None,
        cameras=cameras or {},
        bridge=BridgeSettings(backend=backend, token=token, **{"id": "attic", **bridge}),
    )


@contextlib.asynccontextmanager
async def bridging(settings: Settings, **options: Any) -> AsyncIterator[Bridge]:
    """The bridge, running for the length of the block; with a broker, from when it listens there."""
    async with open_bridge(settings, **{"timing": FAST_TIMING, "backoff": FAST, **options}) as bridge:
        task = asyncio.create_task(bridge.run())
        try:
            if settings.mqtt.enabled:
                await until(lambda: bridge.connected)
            yield bridge
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, seconds: float = 3 * PATIENCE) -> None:
    """Wait until ``condition()`` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # conditions of tests have no event to wait for
            await asyncio.sleep(0.005)


def line(bridge: Bridge, camera: str) -> CameraLine:
    """The camera's line, which may be a new one."""
    found = bridge.line(camera)
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Crossed:
    """What reached the backend: a card, and the picture's file."""

    card: Mapping[str, Any]
    picture: bytes

    @property
    def captured_at(self) -> datetime:
        return datetime.fromisoformat(self.card["captured_at"])

    @property
    def pixels(self) -> Pixels:
        with Image.open(io.BytesIO(self.picture)) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def crossed(proxy: RecordingProxy) -> list[Crossed]:
    """All frames that went through, in order."""
    found = []
    for exchange in proxy.exchanges:
        if exchange.target.endswith("/frames"):
            start = exchange.body.index(b'{"camera"')
            card, _ = json.JSONDecoder().raw_decode(exchange.body[start : start + 2000].decode("utf-8", "ignore"))
            found.append(Crossed(card, exchange.picture))
    return found


def recording(proxy: RecordingProxy) -> list[dict[str, str]]:
    """The proxy's recording, as ``support.crossing`` takes it."""
    return [
        {
            "method": one.method,
            "target": one.target,
            "content_type": one.content_type,
            "body": base64.b64encode(one.body).decode(),
        }
        for one in proxy.exchanges
    ]


@contextlib.asynccontextmanager
async def publisher(port: int) -> AsyncIterator[aiomqtt.Client]:
    """A client to publish with; a broker that ends ends it too."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.suppress(aiomqtt.MqttError))
        yield await stack.enter_async_context(aiomqtt.Client("127.0.0.1", port, timeout=PATIENCE))


def identify_token(api: Api) -> str:
    """The backend's token for a bridge."""
    return api.tokens[Scope.IDENTIFY]
