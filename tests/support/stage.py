"""Everything that PrivFace is made for, in one home: a broker, the backend with its own engines, a camera, and a Home
Assistant that reaches the backend through a proxy that keeps what crosses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt
from PIL import Image, ImageDraw

from support.backend_process import BackendProcess
from support.fileserver import FileServer, serving
from support.hass import HomeAssistant
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.reverse_proxy import Exchange, RecordingProxy
from support.still_camera import FRAME_SECONDS, add_still_camera

TESTS: Final = Path(__file__).parents[1]
STILL: Final = "/still"
CAMERA: Final = "camera.porch"
EMPTY_ROOM: Final = "room.jpg"
PLAIN: Final = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
MORE: Final = """\
counter:
  known:
  strangers:
"""


class UnreachableError(Exception):
    """Weights or pictures can't be fetched; the text says why."""


@dataclass(kw_only=True)
class Stage:
    """What runs. ``clear``: a directory with all clear pictures; ``shown``: the names of those that the camera showed
    when it was asked to look."""

    home: HomeAssistant
    backend: BackendProcess = field(repr=False)
    proxy: RecordingProxy = field(repr=False)
    clear: Path
    stills: FileServer = field(repr=False)
    published: asyncio.Queue[dict[str, Any]] = field(repr=False)
    shown: list[str] = field(default_factory=list)

    def show(self, name: str) -> None:
        """Put a clear picture before the camera."""
        data = (self.clear / name).read_bytes()
        self.stills.add(STILL, data, content_type="image/png" if name.endswith(".png") else "image/jpeg")

    async def look(self, name: str) -> list[str]:
        """Let the camera show a picture, press *Look now*, and wait until the backend has decided; the events' ids."""
        self.show(name)
        # The camera's integration gives the same picture again for this long.
        await asyncio.sleep(2 * FRAME_SECONDS)
        before = len(self.frames)
        await self.home.call("button.press", entity_id="button.front_door_look_now")
        self.shown.append(name)
        frame = await self.home.until(lambda: self._answered(before), "no picture was sent")
        return [str(event_id) for event_id in frame.document["events"]]

    async def _answered(self, number: int) -> Exchange | None:
        return self.frames[number] if len(self.frames) > number and self.frames[number].status == 200 else None

    @property
    def frames(self) -> list[Exchange]:
        return [exchange for exchange in self.proxy.exchanges if exchange.target.endswith("/frames")]

    async def heard(self, event_id: str) -> dict[str, Any]:
        """The event of that id as it was published at the broker."""
        async with asyncio.timeout(30):
            while (event := await self.published.get())["event_id"] != event_id:
                pass
        return event


@contextlib.asynccontextmanager
async def staged(directory: Path, python: Path, models_dir: Path) -> AsyncIterator[Stage]:
    """Start it all; Home Assistant has the broker and the camera, and PrivFace not yet.

    Raises:
        UnreachableError: weights or pictures can't be fetched.
    """
    clear = directory / "home" / "media"
    samples = await asyncio.to_thread(_fetch_samples, python, models_dir)
    async with contextlib.AsyncExitStack() as stack:
        broker = Mosquitto(directory)
        stack.enter_context(broker)
        stills = stack.enter_context(serving())
        port = free_port()
        proxy = await stack.enter_async_context(RecordingProxy(f"http://127.0.0.1:{port}"))
        settings = _settings(broker, proxy, models_dir)
        backend = BackendProcess(directory / "backend", python=python, port=port, settings=settings)
        await asyncio.to_thread(backend.start)
        stack.callback(backend.stop)
        published = await stack.enter_async_context(_subscribed(broker.port))
        home = await stack.enter_async_context(HomeAssistant(directory / "home", more=MORE))
        for name, path in samples.items():
            (clear / name).write_bytes(path.read_bytes())
        _draw_empty_room(clear / EMPTY_ROOM)
        stage = Stage(home=home, backend=backend, proxy=proxy, clear=clear, stills=stills, published=published)
        stage.show(EMPTY_ROOM)
        await _furnish(home, broker.port, stills.url(STILL))
        yield stage


def _settings(broker: Mosquitto, proxy: RecordingProxy, models_dir: Path) -> Mapping[str, str]:
    """The default engines, this broker, and no address but the proxy's told to anybody."""
    return {
        "models_dir": str(models_dir),
        "mqtt__enabled": "true",
        "mqtt__host": "127.0.0.1",
        "mqtt__port": str(broker.port),
        "discovery__url": proxy.url,
    }


def _fetch_samples(python: Path, models_dir: Path) -> dict[str, Path]:
    done = subprocess.run(
        [str(python), "-m", "support.samples", str(models_dir)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    if "unreachable" in found:
        raise UnreachableError(found["unreachable"])
    return {name: Path(path) for name, path in found.items()}


def _draw_empty_room(path: Path) -> None:
    """Nobody: a wall of bricks and a door."""
    room = Image.new("RGB", (1280, 720), (150, 140, 130))
    draw = ImageDraw.Draw(room)
    for row in range(0, 720, 24):
        for column in range(-40, 1280, 80):
            left = column + (row // 24 % 2) * 40
            shade = 90 + (row * 7 + column * 3) % 60
            draw.rectangle((left, row, left + 76, row + 20), fill=(shade + 40, shade, shade - 20))
    draw.rectangle((520, 160, 800, 720), fill=(60, 80, 110), outline=(30, 30, 30), width=6)
    room.save(path, quality=92)


@contextlib.asynccontextmanager
async def _subscribed(port: int) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """What the backend publishes as events from now on."""
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            events.put_nowait(json.loads(message.payload))

    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("privface/event", qos=1)
        task = asyncio.create_task(listen(client), name="mqtt-listener")
        try:
            yield events
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _furnish(home: HomeAssistant, broker: int, still: str) -> None:
    """Give Home Assistant its broker and its camera."""
    await home.add_entry("mqtt", {"broker": "127.0.0.1", "port": broker, "other_settings": PLAIN})
    assert await add_still_camera(home, still, "Porch") == CAMERA
