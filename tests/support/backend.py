"""A whole backend with synthetic engines on a real socket, and a client that holds every answer against the OpenAPI."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import av
import cv2
import jsonschema
import numpy as np
from aiohttp import web

from privface_backend.app import Backend, open_backend
from privface_backend.domain.frames import Pixels
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.pipeline.lane import Lane
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import Scope
from privface_backend.rest.application import OPERATIONS, create_application
from privface_backend.rest.event_stream import EventStreamRules
from privface_backend.rest.openapi import describe
from privface_backend.rest.server import make_runner
from privface_backend.rest.stream import StreamRules
from privface_backend.rest.uploads import CARD_HEADER
from privface_backend.rest.videos import VideoRules
from privface_backend.settings import Settings
from privface_backend.settings_sections import EngineSettings

DESCRIPTION: dict[str, Any] = describe(OPERATIONS)
# Drawn faces that stay in one piece under blur.
ADA, BEN, STRANGER = 1, 2, 5


def make_settings(directory: Path, **sections: Any) -> Settings:
    """Settings of a backend that needs neither weights nor a broker."""
    return replace(
        Settings(
            data_dir=directory / "data",
            models_dir=directory / "models",
            engines=EngineSettings(detector="synthetic", recognizer="synthetic"),
            mqtt=MqttSettings(enabled=False),
        ),
        **sections,
    )


def picture(*identities: int, side: int = 160, kind: str = ".png", kernel: int = 1) -> bytes:
    """A picture's file with the drawn faces of ``identities`` side by side, blurred by ``kernel`` pixels."""
    return encode(pixels(*identities, side=side, kernel=kernel), kind)


def pixels(*identities: int, side: int = 160, kernel: int = 1) -> Pixels:
    frame = ground(640, 360)
    for place, identity in enumerate(identities):
        draw_face(frame, identity, 20 + place * 200, 80, side)
    return frame if kernel == 1 else np.asarray(cv2.GaussianBlur(frame, (kernel, kernel), 0), dtype=np.uint8)


def encode(frame: Pixels, kind: str = ".png") -> bytes:
    done, data = cv2.imencode(kind, frame)
    assert done
    return bytes(data)


def video(frames: Sequence[Pixels]) -> bytes:
    """An MP4 of ``frames`` at 10 frames a second."""
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 360, "yuv420p", 8_000_000
        container.start_encoding()
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
    return file.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.document["error"]["code"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A client. Each JSON answer must be one that the description declares, without a key that it doesn't."""

    backend: Backend
    session: aiohttp.ClientSession
    port: int
    tokens: Mapping[Scope, str] = field(repr=False)
    stop: Callable[[], Coroutine[Any, Any, None]]
    """Stops the server; the backend behind it goes on."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def call(
        self,
        method: str,
        path: str,
        *,
        pattern: str | None = None,
        scope: Scope | None = Scope.ADMIN,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Reply:
        """Send a request. ``pattern``: the path as the description has it, where that differs; ``scope``: of the token
        to send; None: none."""
        sent = dict(headers or {})
        if scope is not None:
            sent.setdefault("Authorization", f"Bearer {self.tokens[scope]}")
        address = path if path.startswith("http") else self.url + path
        async with self.session.request(method, address, headers=sent, **options) as response:
            reply = Reply(status=response.status, headers=response.headers, body=await response.read())
        check_reply(reply, method, (pattern or path).partition("?")[0])
        return reply

    async def create(self, name: str, *identities: int) -> str:
        """Create a person with an enrolled face for each of ``identities``; the id."""
        made = await self.call("POST", "/api/v1/people", json={"name": name})
        assert made.status == 201, made.body
        person = str(made.document["id"])
        for identity in identities:
            enrolled = await self.enroll(person, picture(identity))
            assert enrolled.status == 201, enrolled.body
        return person

    async def enroll(self, person: str, *files: bytes, **fields: str) -> Reply:
        return await self.call(
            "POST",
            f"/api/v1/people/{person}/faces",
            pattern="/api/v1/people/{person}/faces",
            data=form(*files, **fields),
        )

    async def frame(self, camera: str, data: bytes, **options: Any) -> Reply:
        """Send a camera's frame: one that comes alone, unless ``headers`` say otherwise."""
        options.setdefault("headers", {"Content-Type": "image/png", CARD_HEADER: '{"more": false}'})
        return await self.call(
            "POST",
            f"/api/v1/cameras/{camera}/frames",
            pattern="/api/v1/cameras/{camera}/frames",
            data=data,
            **options,
        )

    async def event(self, event_id: str) -> dict[str, Any]:
        """An event, once it is in the log."""
        async with asyncio.timeout(10):
            while True:
                reply = await self.call("GET", f"/api/v1/events/{event_id}", pattern="/api/v1/events/{event}")
                if reply.status == 200:
                    return dict(reply.document)
                await asyncio.sleep(0.01)

    async def logged(self, count: int) -> list[dict[str, Any]]:
        """The log's events, once there are ``count``."""
        async with asyncio.timeout(10):
            while True:
                events = list((await self.call("GET", "/api/v1/events")).document["events"])
                if len(events) >= count:
                    return events
                await asyncio.sleep(0.01)

    async def identify(self, data: bytes, query: str = "", **options: Any) -> Reply:
        return await self.call("POST", f"/api/v1/identify{query}", data=form(data), **options)


def form(*files: bytes, name: str = "picture.png", **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for key, value in fields.items():
        data.add_field(key, value)
    for file in files:
        data.add_field("file", file, filename=name)
    return data


def check_reply(reply: Reply, method: str, pattern: str) -> None:
    """Hold a reply against the description."""
    operation = DESCRIPTION["paths"].get(pattern, {}).get(method.lower())
    if operation is None:
        assert reply.status in {404, 405}, f"{method} {pattern} is not described"
        check_document(reply.document, {"$ref": "#/components/schemas/Error"})
        return
    declared = operation["responses"].get(str(reply.status))
    if reply.status == 500:
        declared = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    assert declared is not None, f"{method} {pattern} doesn't declare {reply.status}: {reply.body!r}"
    media_type = reply.headers.get("Content-Type", "").partition(";")[0]
    if not declared.get("content"):
        assert not reply.body
        return
    assert media_type in declared["content"], media_type
    schema = declared["content"][media_type].get("schema")
    if media_type == "application/json":
        check_document(reply.document, schema)
        if reply.status >= 400 and "error" in reply.document:
            assert reply.code in declared["description"], f"{method} {pattern} doesn't declare {reply.code}"
    elif media_type == "application/x-ndjson":
        for line in reply.lines:
            check_document(line, {"$ref": "#/components/schemas/Error"} if "error" in line else schema)


def check_document(document: Any, schema: Mapping[str, Any]) -> None:
    """Hold a document against a schema of the description; a key that it doesn't name is an error here."""
    components = {"schemas": {name: _closed(shape) for name, shape in DESCRIPTION["components"]["schemas"].items()}}
    jsonschema.Draft202012Validator({**_closed(schema), "components": components}).validate(document)


def _closed(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        closed = {key: _closed(value) for key, value in schema.items()}
        if "properties" in schema and isinstance(schema["properties"], Mapping):
            closed.setdefault("additionalProperties", False)
        return closed
    return [_closed(item) for item in schema] if isinstance(schema, list) else schema


@contextlib.asynccontextmanager
async def running(
    directory: Path,
    *,
    stream_rules: StreamRules | None = None,
    event_stream_rules: EventStreamRules | None = None,
    video_rules: VideoRules | None = None,
    ready: bool = True,
    registry: Registry | None = None,
    more_routes: Sequence[web.AbstractRouteDef] = (),
    **sections: Any,
) -> AsyncIterator[Api]:
    """A backend that listens on a free port, with a token for each scope."""
    async with open_backend(make_settings(directory, **sections), registry=registry) as backend:
        if ready:
            await backend.engines_ready()
        tokens = {}
        for scope in (Scope.IDENTIFY, Scope.ENROLL, Scope.ADMIN):
            tokens[scope] = await backend.core.storage.call(backend.core.tokens.create, scope.value, {scope})
        app = create_application(
            backend.services,
            stream_rules=stream_rules,
            event_stream_rules=event_stream_rules,
            video_rules=video_rules,
            more_routes=more_routes,
        )
        async with contextlib.AsyncExitStack() as server, aiohttp.ClientSession() as session:
            port = await server.enter_async_context(serve(app, "127.0.0.1", 0))
            yield Api(backend=backend, session=session, port=port, tokens=tokens, stop=server.aclose)


@contextlib.asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listen for the length of the block; gives the port."""
    runner = make_runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class HeldLane:
    """Keeps the lane's thread busy until it is let go."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._go = threading.Event()

    def work(self) -> None:
        self._running.set()
        assert self._go.wait(60)

    def let_go(self) -> None:
        self._go.set()

    @property
    def running(self) -> bool:
        return self._running.is_set()


@contextlib.asynccontextmanager
async def held(lane: Lane) -> AsyncIterator[HeldLane]:
    """The lane, busy for the length of the block or until it is let go."""
    hold = HeldLane()
    job = asyncio.create_task(lane.run(hold.work))
    try:
        await until(lambda: hold.running)
        yield hold
    finally:
        hold.let_go()
        await job


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until ``condition()`` is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)
