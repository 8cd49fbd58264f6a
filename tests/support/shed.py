"""A home without PrivFace's own integration: Home Assistant reads from a broker what the backend shows there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt

from support.backend_process import ADA, STRANGER, SYNTHETIC, BackendProcess, DrawnPictures
from support.hass import HomeAssistant
from support.mosquitto import Mosquitto
from support.stage import PLAIN

HOLD_SECONDS: Final = 4
"""For how long somebody counts as present after they were last seen."""
CAMERA: Final = "front-door"


@dataclass(kw_only=True)
class Shed:
    """What runs."""

    home: HomeAssistant
    backend: BackendProcess = field(repr=False)
    broker: Mosquitto = field(repr=False)
    pictures: DrawnPictures = field(repr=False)

    async def send(self, *people: int, camera: str = CAMERA, source: str = "mqtt") -> list[str]:
        """Send a frame of a camera that comes alone; the events' ids."""
        picture = await asyncio.to_thread(self.pictures, *people)
        answer = await asyncio.to_thread(self.backend.send_frame, camera, picture, more=False, source=source)
        return [str(event_id) for event_id in answer["events"]]

    async def end_visits(self) -> None:
        """Let what the camera shows next be another visit, however soon that is."""
        for enabled in (False, True):
            await self.call("PATCH", f"/api/v1/cameras/{CAMERA}", {"enabled": enabled})

    async def restart_backend(self, **settings: str) -> None:
        """Start the backend again with other settings."""
        await asyncio.to_thread(self.backend.stop)
        self.backend.change(**settings)
        await asyncio.to_thread(self.backend.start)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the backend over REST."""
        return await asyncio.to_thread(self.backend.call, method, path, body)

    async def publish(self, topic: str, payload: str) -> None:
        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.publish(topic, payload, qos=1)

    @contextlib.asynccontextmanager
    async def listening(self, topic: str) -> AsyncIterator[asyncio.Queue[bytes]]:
        """What is published on a topic during the block."""
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen(client: aiomqtt.Client) -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard.put_nowait(message.payload)

        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.subscribe(topic, qos=1)
            task = asyncio.create_task(listen(client))
            try:
                yield heard
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def devices(self) -> dict[str, dict[str, Any]]:
        """PrivFace's devices by name, with their children."""
        listed = await self.home.command("config/device_registry/list")
        own = {device["id"] for device in listed if device.get("manufacturer") == "PrivFace"}
        return {device["name"]: device for device in listed if own & {device["id"], device.get("parent_device_id")}}

    async def entities(self) -> dict[str, dict[str, Any]]:
        """The registered entities of PrivFace's devices by their ids."""
        of_ours = {device["id"] for device in (await self.devices()).values()}
        listed = await self.home.command("config/entity_registry/list")
        return {entity["entity_id"]: entity for entity in listed if entity["device_id"] in of_ours}

    async def until_devices(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        """Wait until the devices by name are as wanted."""

        async def look() -> bool:
            return wanted(await self.devices())

        await self.home.until(look, "the devices don't get there", 60)


@contextlib.asynccontextmanager
async def built(directory: Path, python: Path, **settings: str) -> AsyncIterator[Shed]:
    """Start it all, with Ada enrolled. ``settings``: more of the backend's."""
    pictures = DrawnPictures(directory / "clear", python)
    people = directory / "people"
    people.mkdir(parents=True)
    await asyncio.to_thread(pictures.draw, [f"{ADA}_128_160.jpg", f"{STRANGER}_128_160.jpg"])
    (people / "Ada.jpg").write_bytes(pictures(ADA))
    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(Mosquitto(directory))
        backend = BackendProcess(
            directory / "backend", python=python, settings={**_settings(broker, people), **settings}
        )
        stack.callback(backend.stop)
        await asyncio.to_thread(backend.start)
        home = await stack.enter_async_context(HomeAssistant(directory / "home", component=False))
        await home.add_entry("mqtt", {"broker": "127.0.0.1", "port": broker.port, "other_settings": PLAIN})
        yield Shed(home=home, backend=backend, broker=broker, pictures=pictures)


def _settings(broker: Mosquitto, people: Path) -> Mapping[str, str]:
    return {
        **SYNTHETIC,
        "mqtt__enabled": "true",
        "mqtt__host": "127.0.0.1",
        "mqtt__port": str(broker.port),
        "mqtt__home_assistant": "true",
        "decision__hold_seconds": str(HOLD_SECONDS),
        "gallery__folder": str(people),
    }
