"""All that the examples for Node-RED speak to: a broker with passwords, a backend, a camera's snapshots, a Node-RED."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import aiomqtt
from aiohttp import web

from support.backend_process import SYNTHETIC, BackendProcess, DrawnPictures, Token
from support.mosquitto import Mosquitto
from support.node_red import EXAMPLES, NodeRed, until
from support.ports import free_port

PASSWORD = "only for these tests"
EVENTS = "privface/event"


def _moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make_event(*, age: float = 0.0, **changes: object) -> dict[str, Any]:
    """An event about a visit of its own, as docs/MQTT.md says; ``age``: seconds since its frame was taken."""
    return {
        "schema": 1,
        "event_id": uuid.uuid4().hex,
        "visit_id": uuid.uuid4().hex,
        "seq": 1,
        "ts": _moment(-age),
        "captured_at": _moment(-age),
        "expires_at": _moment(30 - age),
        "camera": "front-door",
        "source": "upload",
        "outcome": "known",
        "phase": "confirmed",
        "person_id": "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10",
        "person": "Ada",
        "score": 0.73,
        "margin": 0.4,
        "threshold": 0.38,
        "stranger": None,
        "corrects": None,
        "reason": "ok",
        **changes,
    }


def make_stranger(number: int, visit: int, *, age: float = 0.0, **changes: object) -> dict[str, Any]:
    """An event about somebody unknown."""
    stranger = {"id": uuid.uuid4().hex, "number": number, "visit": visit}
    decision = {"outcome": "unknown", "reason": "below_threshold", "score": 0.09}
    nobody = {"person": None, "person_id": None, "stranger": stranger}
    return make_event(age=age) | decision | nobody | changes


@dataclass
class Cameras:
    """A server of snapshots. ``pictures``: by the camera's name; ``asked``: the names that were asked for.

    A camera called ``slow`` never answers; one called ``endless`` sends a stream of pictures that doesn't end.
    """

    url: str
    pictures: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["camera"]
        self.asked.append(name)
        if name == "slow":
            await asyncio.sleep(3600)
        if name == "endless":
            response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
            await response.prepare(request)
            while True:
                await response.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\r\n")
                await asyncio.sleep(0.1)
        if name not in self.pictures:
            return web.Response(status=503)
        return web.Response(body=self.pictures[name], content_type="image/jpeg")


@contextlib.asynccontextmanager
async def serve_cameras() -> AsyncIterator[Cameras]:
    port = free_port()
    cameras = Cameras(url=f"http://127.0.0.1:{port}")
    application = web.Application()
    application.router.add_get("/{camera}/snapshot.jpg", cameras.answer)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield cameras
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Workshop:
    """What runs. ``draw``: pictures of drawn faces, which the backend's synthetic engines understand."""

    broker: Mosquitto
    backend: BackendProcess
    cameras: Cameras
    draw: DrawnPictures
    node_red: NodeRed
    token: Token

    def client(self) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.broker.port, username="home", password=PASSWORD)

    async def deploy(self, flow: list[dict[str, Any]], **variables: str) -> None:
        """Run this flow and no other, until all that it subscribes to is subscribed."""
        before = len(self.broker.log())
        await self.node_red.deploy(flow, **variables)
        await self.until_subscribed(flow, since=before)

    async def until_subscribed(self, flow: list[dict[str, Any]], *, since: int) -> None:
        """Wait until the broker says so of all topics of the flow; ``since``: the length of its log before."""
        lines = {f" 1 {node['topic']}\n" for node in flow if node["type"] == "mqtt in"}
        await until(lambda: all(line in self.broker.log()[since:] for line in lines), f"subscriptions: {lines}")

    async def publish(self, *events: dict[str, Any] | str, topic: str = EVENTS, retain: bool = False) -> None:
        """Publish, in this order; what is no text, as JSON."""
        async with self.client() as client:
            for event in events:
                payload = event if isinstance(event, str) else json.dumps(event)
                await client.publish(topic, payload, qos=1, retain=retain)

    @contextlib.asynccontextmanager
    async def listening(self, topic: str) -> AsyncIterator[list[aiomqtt.Message]]:
        """The messages on ``topic``, as they come; subscribed when the block begins."""
        heard: list[aiomqtt.Message] = []

        async def collect(client: aiomqtt.Client) -> None:
            async for message in client.messages:
                heard.append(message)  # noqa: PERF401  # one by one, while the test looks

        async with self.client() as client:
            await client.subscribe(topic, qos=1)
            collecting = asyncio.create_task(collect(client))
            try:
                yield heard
            finally:
                collecting.cancel()
                await asyncio.gather(collecting, return_exceptions=True)

    async def forget_everybody(self) -> None:
        """So that nobody is there whom the test doesn't expect, strangers who may come back among them."""
        await asyncio.to_thread(self.backend.forget_everybody)
        for stranger in (await asyncio.to_thread(self.backend.call, "GET", "/api/v1/strangers"))["strangers"]:
            await asyncio.to_thread(self.backend.call, "DELETE", f"/api/v1/strangers/{stranger['id']}")

    async def enroll(self, name: str, picture: bytes) -> str:
        """Enroll somebody; their id."""
        people = f"{self.backend.url}/api/v1/people"
        headers = {"Authorization": f"Bearer {self.token.text}"}
        async with self.node_red.session.post(people, json={"name": name}, headers=headers) as answer:
            person = str((await answer.json())["id"])
        image = {**headers, "Content-Type": "image/jpeg"}
        async with self.node_red.session.post(f"{people}/{person}/faces", data=picture, headers=image) as answer:
            assert answer.status == 201, await answer.text()
        return person

    async def submit(
        self,
        page: str,
        *pictures: bytes,
        fields: Mapping[str, str] = MappingProxyType({}),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Fill a form of Node-RED in, as a browser does; the status and the page."""
        form = aiohttp.FormData(dict(fields))
        for place, picture in enumerate(pictures, 1):
            form.add_field("file", picture, filename=f"{place}.jpg", content_type="image/jpeg")
        sent = {"Origin": self.node_red.url} if headers is None else headers
        async with self.node_red.session.post(f"{self.node_red.url}{page}", data=form, headers=sent) as answer:
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def opened(directory: Path, backend_python: Path) -> AsyncIterator[Workshop]:
    """A workshop whose parts all write below ``directory``."""
    (directory / "broker").mkdir()
    users = dict.fromkeys(("home", "privface", "node-red"), PASSWORD)
    broker = Mosquitto(directory / "broker", users=users, extra=("log_type subscribe", "log_type error"))
    settings = {
        **SYNTHETIC,
        "mqtt__enabled": "true",
        "mqtt__host": "127.0.0.1",
        "mqtt__port": str(broker.port),
        "mqtt__username": "privface",
        "mqtt__password": PASSWORD,
    }
    backend = BackendProcess(directory / "backend", python=backend_python, settings=settings)
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.to_thread(broker.start)
        stack.callback(broker.kill)
        stack.callback(backend.stop)
        await asyncio.to_thread(backend.start)
        token = await asyncio.to_thread(backend.create_token)
        cameras = await stack.enter_async_context(serve_cameras())
        environment = {
            "PRIVFACE_MQTT_HOST": "127.0.0.1",
            "PRIVFACE_MQTT_PORT": str(broker.port),
            "PRIVFACE_MQTT_USER": "node-red",
            "PRIVFACE_MQTT_PASSWORD": PASSWORD,
            "PRIVFACE_URL": backend.url,
            "PRIVFACE_TOKEN": token.text,
        }
        node_red = NodeRed(directory / "node-red", environment=environment)
        await node_red.install(EXAMPLES / "nodes")
        await stack.enter_async_context(node_red)
        draw = DrawnPictures(directory / "pictures", backend_python)
        yield Workshop(broker=broker, backend=backend, cameras=cameras, draw=draw, node_red=node_red, token=token)
