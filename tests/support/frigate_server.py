"""A small Frigate: its HTTP interface as far as PrivFace asks for it, on a real port, and the messages that it sends.

    async with FrigateServer() as frigate:
        frigate.snapshots[EVENT] = jpeg(1)
        open_client(FrigateSettings(url=frigate.url))

It can want a login, be slow, answer garbage, be killed in the middle of an answer and come back on the same port.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from aiohttp import web

from support.ports import free_port


def jpeg(shade: int) -> bytes:
    """A picture of its own for each ``shade``, 0 to 255."""
    done, data = cv2.imencode(".jpg", np.full((48, 64, 3), shade, np.uint8))
    assert done
    return data.tobytes()


def make_config(*cameras: str, enabled: bool = False) -> dict[str, Any]:
    """The part of ``/api/config`` that matters."""
    recognition = {"face_recognition": {"enabled": enabled, "min_area": 750}}
    return {**recognition, "version": "0.16.0", "cameras": {name: dict(recognition) for name in cameras or ("door",)}}


def make_event(kind: str, event_id: str, *, at: float | None = None, camera: str = "door", **keys: Any) -> bytes:
    """A message of ``frigate/events``, of a person whose snapshot is kept, ``at`` seconds since 1970."""
    at = time.time() if at is None else at
    after = {
        "id": event_id,
        "camera": camera,
        "frame_time": at,
        "snapshot": {"frame_time": at, "attributes": []},
        "label": "person",
        "sub_label": None,
        "false_positive": False,
        "start_time": at,
        "end_time": at if kind == "end" else None,
        "box": [424, 500, 536, 712],
        "stationary": False,
        "current_zones": [],
        "entered_zones": [],
        "has_snapshot": True,
        "attributes": {},
        "current_attributes": [],
        **keys,
    }
    return json.dumps({"type": kind, "before": after, "after": after}).encode()


@dataclass(kw_only=True, eq=False)
class FrigateServer:
    """The server. ``password``: of the user anna, who must log in where it is set; ``role``: what she may do;
    ``open``: cleared, answers to pictures wait; ``garbage``: what is answered instead of pictures."""

    snapshots: dict[str, bytes] = field(default_factory=dict)
    latest: dict[str, bytes] = field(default_factory=dict)
    config: object = field(default_factory=make_config)
    password: str | None = None
    role: str = "admin"
    cookie: str = "frigate_token"
    certificate: ssl.SSLContext | None = None
    garbage: web.Response | None = None
    trouble: int | None = None
    port: int = field(default_factory=free_port)
    asked: list[str] = field(default_factory=list)
    agents: list[dict[str, str]] = field(default_factory=list)
    sub_labels: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    logins: int = 0
    most_at_once: Counter[str] = field(default_factory=Counter)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    _now: Counter[str] = field(default_factory=Counter)
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self.open.set()

    @property
    def url(self) -> str:
        return f"{'http' if self.certificate is None else 'https'}://127.0.0.1:{self.port}"

    def asked_for(self, what: str) -> int:
        """How many requests named that."""
        return sum(what in path for path in self.asked)

    async def start(self) -> None:
        application = web.Application(middlewares=[self._check])
        application.add_routes(
            [
                web.post("/api/login", self._log_in),
                web.get("/api/config", self._give_config),
                web.get("/api/events/{id}/snapshot.jpg", self._give_snapshot),
                web.post("/api/events/{id}/sub_label", self._take_sub_label),
                web.get("/api/{camera}/latest.jpg", self._give_latest),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(
            self._runner, "127.0.0.1", self.port, ssl_context=self.certificate, reuse_address=True
        ).start()

    async def kill(self) -> None:
        """Be gone, in the middle of what is being answered."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    @web.middleware
    async def _check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        self.agents.append(dict(request.headers))
        if self.trouble is not None:
            return web.json_response({"message": "trouble"}, status=self.trouble)
        if self.password is not None and request.path != "/api/login":
            if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                return web.json_response({"message": "Unauthorized"}, status=401)
            if request.method == "POST" and self.role != "admin":
                return web.json_response({"detail": "Role viewer not authorized"}, status=403)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _log_in(self, request: web.Request) -> web.Response:
        self.logins += 1
        if await request.json() != {"user": "anna", "password": self.password}:
            return web.json_response({"message": "Login failed"}, status=401)
        self.tokens.append(f"token.number.{self.logins}")
        answer = web.json_response({})
        answer.set_cookie(self.cookie, self.tokens[-1], httponly=True, secure=True)
        return answer

    async def _give_config(self, _request: web.Request) -> web.Response:
        return web.json_response(self.config)

    async def _give_snapshot(self, request: web.Request) -> web.Response:
        event_id = request.match_info["id"]
        return await self._give(event_id, lambda: self.snapshots.get(event_id))

    async def _give_latest(self, request: web.Request) -> web.Response:
        camera = request.match_info["camera"]
        return await self._give(camera, lambda: self.latest.get(camera))

    async def _give(self, what: str, find: Any) -> web.Response:
        self._now[what] += 1
        self.most_at_once[what] = max(self.most_at_once[what], self._now[what])
        try:
            await self.open.wait()
        finally:
            self._now[what] -= 1
        if self.garbage is not None:
            return web.Response(body=self.garbage.body, status=self.garbage.status, headers={**self.garbage.headers})
        data = find()
        if data is None:
            return web.json_response({"success": False, "message": "Event not found"}, status=404)
        return web.Response(body=data, content_type="image/jpeg")

    async def _take_sub_label(self, request: web.Request) -> web.Response:
        event_id, body = request.match_info["id"], await request.json()
        if event_id not in self.snapshots:
            return web.json_response({"success": False, "message": f"Event {event_id} not found."}, status=404)
        score = body.get("subLabelScore")
        if len(body["subLabel"]) > 100 or (score is not None and not 0 < score <= 1):
            return web.json_response({"detail": "unprocessable"}, status=422)
        self.sub_labels.append((event_id, body))
        return web.json_response({"success": True})
