"""``privface demo``: all of it on public pictures, in a data directory of its own."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import aiomqtt
import cv2
import numpy as np
from PIL import Image

from privface_backend.app import Backend
from privface_backend.cli.data_dir import make_data_dir
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say
from privface_backend.cli.watch import event_words
from privface_backend.domain.frames import WORKING_SIZE, Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.errors import PrivFaceError
from privface_backend.models.samples import fetch_samples
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.protocol import AppliedBy, ErrorCode, Event, FrameCard, Privacy
from privface_backend.server import run_server
from privface_backend.settings import Settings

KERNEL: Final = 17
_ENGINE_SECONDS: Final = 120
_EVENT_SECONDS: Final = 20
_PEOPLE: Final = {"The President": "president.jpg", "The Astronaut": "astronaut.png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What the pretended camera shows."""

    camera: str
    what: str
    pixels: Pixels


def run_demo(call: Invocation, *, keep: bool) -> None:
    """Run the demonstration; with ``keep``, serve on until interrupted."""
    set_up_logging("warning")
    settings = _demo_settings(call.settings)
    # Each by itself: what is made on the way to another would be for everybody to read.
    for data_dir in (call.settings.data_dir, settings.data_dir):
        make_data_dir(data_dir)
    asyncio.run(_demonstrate(settings, keep=keep))


def _demo_settings(settings: Settings) -> Settings:
    """Nothing of the user's own: another data directory, any free ports, the embedded broker."""
    return replace(
        settings,
        data_dir=settings.data_dir / "demo",
        broker_configured=False,
        server=replace(settings.server, host="127.0.0.1", port=0),
        mqtt=type(settings.mqtt)(),
        broker=replace(settings.broker, embedded=True, port=0),
        gallery=replace(settings.gallery, folder=None),
        privacy=replace(settings.privacy, method="gaussian", parameter=KERNEL, require_client=False),
    )


async def _demonstrate(settings: Settings, *, keep: bool) -> None:
    say("Fetching the demonstration's pictures (public domain), if they are not here yet …")
    samples = await asyncio.to_thread(fetch_samples, settings.models_dir / "samples")
    say("Starting PrivFace, with its own MQTT broker …")
    async with run_server(settings) as (backend, run):
        await _wait_for_engines(backend)
        say(f"PrivFace listens on {run['url']}, MQTT on {run['mqtt']['host']}:{run['mqtt']['port']}")
        await _enroll(run, samples)
        say(f"\nEach camera blurs its frame with k = {KERNEL} before it sends it. MQTT says:\n")
        outcomes: set[str] = set()
        async with _subscription(run) as events:
            for scene in _scenes(samples):
                outcomes.update(await _show(run, scene, events))
        say(f"\nDone: {', '.join(sorted(outcomes))}.")
        if keep:
            say(f"Try it yourself: {run['url']}/api/v1/docs  (token: {settings.data_dir}/run.json; Ctrl-C ends)")
            await asyncio.Event().wait()
    say("To go on with it in a browser: scripts/run --demo --keep")


async def _wait_for_engines(backend: Backend) -> None:
    try:
        async with asyncio.timeout(_ENGINE_SECONDS):
            await backend.engines_ready()
    except TimeoutError:
        trouble = backend.services.trouble()
        raise trouble or PrivFaceError(ErrorCode.TIMEOUT, "The engines took too long to start.") from None


async def _enroll(run: Mapping[str, Any], samples: Mapping[str, Path]) -> None:
    """Enroll over REST, as an integrator would."""
    async with _rest(run) as session:
        for name, file in _PEOPLE.items():
            async with session.post("/api/v1/people", json={"name": name}) as response:
                body = await response.json()
                if response.status == 409:
                    say(f"{name} is enrolled already")
                    continue
            form = aiohttp.FormData()
            form.add_field("file", samples[file].read_bytes(), filename=file)
            async with session.post(f"/api/v1/people/{body['id']}/faces", data=form) as response:
                if response.status >= 400:
                    raise PrivFaceError(ErrorCode.INTERNAL, f"Enrolling failed: {(await response.json())['error']}")
            say(f"Enrolled {name} from one picture; the picture is not kept")


def _rest(run: Mapping[str, Any]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(run["url"], headers={"Authorization": f"Bearer {run['token']}"})


@asynccontextmanager
async def _subscription(run: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Event]]:
    mqtt = run["mqtt"]
    async with aiomqtt.Client(
        mqtt["host"], mqtt["port"], username=mqtt["username"], password=mqtt["password"]
    ) as client:
        await client.subscribe(mqtt["event_topic"], qos=1)
        async with aclosing(_events(client)) as events:
            yield events


async def _events(client: aiomqtt.Client) -> AsyncGenerator[Event, None]:
    async for message in client.messages:
        if isinstance(message.payload, bytes):
            yield Event.from_dict(json.loads(message.payload))


async def _show(run: Mapping[str, Any], scene: _Scene, events: AsyncIterator[Event]) -> list[str]:
    """Send a frame and print the events that come of it over MQTT."""
    async with _rest(run) as session:
        form = aiohttp.FormData()
        form.add_field("file", _encode(scene.pixels), filename="frame.jpg", content_type="image/jpeg")
        privacy = Privacy(method="gaussian", parameter=KERNEL, applied_by=AppliedBy.CLIENT)
        # No other frame of what this one shows will follow, so that it is decided at once.
        card = FrameCard(
            camera=scene.camera, captured_at=datetime.now(UTC), privacy=privacy, trigger="demo", more=False
        )
        form.add_field("card", json.dumps(card.to_dict()), content_type="application/json")
        async with session.post(f"/api/v1/cameras/{scene.camera}/frames", data=form) as response:
            body = await response.json()
            if response.status >= 400:
                raise PrivFaceError(ErrorCode.INTERNAL, f"The frame was refused: {body['error']}")
    outcomes = []
    for number in range(len(body["events"])):
        try:
            async with asyncio.timeout(_EVENT_SECONDS):
                event = await anext(events)
        except TimeoutError:
            raise PrivFaceError(ErrorCode.TIMEOUT, f"No event came for: {scene.what}.") from None
        say(f"  {scene.what if number == 0 else '':34} → {event_words(event)}")
        outcomes.append(event.outcome.value)
    return outcomes


def _scenes(samples: Mapping[str, Path]) -> Iterator[_Scene]:
    pictures = {name: decode_picture(path.read_bytes(), PictureLimits()) for name, path in samples.items()}
    mirrored = (pictures["astronaut.png"][:, ::-1] * 0.7).astype(np.uint8)
    yield _scene("front-door", "somebody who isn't enrolled", pictures["visitor.jpg"])
    yield _scene("front-door", "the President, another day", pictures["president2.jpg"])
    yield _scene("garden", "the President, a third picture", pictures["president3.jpg"])
    yield _scene("garden", "the Astronaut, mirrored, darker", mirrored)
    yield _scene("garage", "who wasn't enrolled, comes again", pictures["visitor.jpg"])
    yield _scene("street", "somebody far away", _far_away(pictures["visitor.jpg"]))


def _scene(camera: str, what: str, picture: Pixels) -> _Scene:
    """The user side's work: working size, then blur."""
    size = working_size(Size(picture.shape[1], picture.shape[0]), WORKING_SIZE)
    frame = cv2.resize(np.ascontiguousarray(picture), (size.width, size.height), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(frame, (KERNEL, KERNEL), 0)
    return _Scene(camera=camera, what=what, pixels=np.asarray(blurred, dtype=np.uint8))


def _far_away(picture: Pixels) -> Pixels:
    """The same picture small in the middle of a gray wall."""
    wall = np.full((480, 640, 3), 140, dtype=np.uint8)
    height = 200
    width = round(picture.shape[1] * height / picture.shape[0])
    wall[200 : 200 + height, 240 : 240 + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return wall


def _encode(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(out, "JPEG", quality=92)
    return out.getvalue()
