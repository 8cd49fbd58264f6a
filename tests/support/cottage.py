"""A small home: the backend with synthetic engines behind a proxy that keeps what crosses, and Home Assistant with
PrivFace and cameras whose pictures a test sets and holds back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from support.backend_process import ADA, STRANGER, SYNTHETIC, BackendProcess, DrawnPictures
from support.fileserver import FileServer, serving
from support.hass import HomeAssistant
from support.reverse_proxy import Exchange, RecordingProxy
from support.still_camera import FRAME_SECONDS, add_still_camera

EVENT_SECONDS: Final = 5
"""For how long an event says something about the present."""
PARAMETER: Final = 17
NOBODY: Final = "nobody_128_160.jpg"
KNOWN: Final = f"{ADA}_128_160.jpg"
UNKNOWN: Final = f"{STRANGER}_128_160.jpg"
# What phones use.
_MORE: Final = "mobile_app:\n"


@dataclass(kw_only=True)
class Cottage:
    """What runs. ``clear``: a directory with all clear pictures."""

    home: HomeAssistant
    backend: BackendProcess = field(repr=False)
    proxy: RecordingProxy = field(repr=False)
    stills: FileServer = field(repr=False)
    clear: Path
    entry_id: str

    def show(self, camera: str, picture: str, gate: threading.Event | None = None) -> None:
        """Put a clear picture before a camera, which answers once ``gate`` is set, if there is one."""
        data = (self.clear / picture).read_bytes()
        self.stills.add(f"/{camera}", data, content_type="image/jpeg", gate=gate)

    async def add_camera(self, name: str, *, interval: int = 0) -> str:
        """A camera that shows nobody, and takes one picture at a time; its name in PrivFace."""
        camera = name.lower().replace(" ", "_")
        self.show(camera, NOBODY)
        entity_id = await add_still_camera(self.home, self.stills.url(f"/{camera}"), f"{name} lens")
        chosen = {"camera_entity": entity_id, "name": name, "method": "gaussian"}
        looks = {"interval": interval, "frames": {"burst": 1, "spacing": 1, "cooldown": 0}}
        await self.home.add_subentry(self.entry_id, "camera", chosen, {"parameter": PARAMETER}, looks)
        await self.home.until_state(f"sensor.{camera}_people_now", "nobody")
        return camera

    async def end_visits(self, camera: str) -> None:
        """Let what the camera shows next be another visit, however soon that is."""
        for enabled in (False, True):
            await asyncio.to_thread(self.backend.call, "PATCH", f"/api/v1/cameras/{camera}", {"enabled": enabled})

    async def press(self, camera: str) -> None:
        """Press *Look now*."""
        await self.home.call("button.press", entity_id=f"button.{camera}_look_now")

    async def look(self, camera: str, picture: str) -> Exchange:
        """Let a camera show a picture, press *Look now*, and wait until the backend has answered; what crossed."""
        self.show(camera, picture)
        await asyncio.sleep(2 * FRAME_SECONDS)
        before = len(self.frames(camera))
        await self.press(camera)
        return await self.answered(camera, before)

    async def answered(self, camera: str, number: int) -> Exchange:
        """Wait until the backend has answered to a camera's picture of that number."""

        async def find() -> Exchange | None:
            frames = self.frames(camera)
            return frames[number] if len(frames) > number and frames[number].status == 200 else None

        exchange = await self.home.until(find, "no picture was sent", 30)
        assert isinstance(exchange, Exchange)
        return exchange

    def frames(self, camera: str) -> list[Exchange]:
        """A camera's pictures that crossed so far."""
        return [exchange for exchange in self.proxy.exchanges if exchange.target.endswith(f"/{camera}/frames")]

    async def state(self, entity_id: str) -> dict[str, Any]:
        """An entity's state now."""
        return (await self.home.states())[entity_id]


@contextlib.asynccontextmanager
async def furnished(directory: Path, python: Path) -> AsyncIterator[Cottage]:
    """Start it all, with Ada enrolled and without a camera."""
    pictures = DrawnPictures(directory / "clear", python)
    await asyncio.to_thread(pictures.draw, [NOBODY, KNOWN, UNKNOWN])
    settings = {**SYNTHETIC, "decision__event_seconds": str(EVENT_SECONDS)}
    backend = BackendProcess(directory / "backend", python=python, settings=settings)
    async with contextlib.AsyncExitStack() as stack:
        stills = stack.enter_context(serving())
        stack.callback(backend.stop)
        await asyncio.to_thread(backend.start)
        token = await asyncio.to_thread(backend.create_token)
        proxy = await stack.enter_async_context(RecordingProxy(backend.url))
        home = await stack.enter_async_context(HomeAssistant(directory / "home", more=_MORE))
        entry = await home.add_entry("privface", {"url": proxy.url, "token": token.text, "verify_ssl": True})
        cottage = Cottage(
            home=home,
            backend=backend,
            proxy=proxy,
            stills=stills,
            clear=directory / "clear",
            entry_id=entry["entry_id"],
        )
        await _enroll(cottage)
        yield cottage


async def _enroll(cottage: Cottage) -> None:
    path = cottage.home.media / KNOWN
    path.write_bytes((cottage.clear / KNOWN).read_bytes())
    await cottage.home.call("privface.enroll", {"person": "Ada", "file": str(path)}, answers=True)
    await cottage.home.until_state("binary_sensor.ada_present", "off")
