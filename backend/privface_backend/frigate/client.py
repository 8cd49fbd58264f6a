"""Frigate over HTTP: pictures, its configuration, sub labels. What it answers is not trusted; credentials stay here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from yarl import URL

from privface_backend.frigate.settings import FrigateSettings
from privface_backend.outages import explain

_CHUNK: Final = 64 * 1024
_LONGEST_SUB_LABEL: Final = 100
_QUALITY: Final = 95
_COOKIE: Final = "frigate_token"
_MEGABYTE: Final = 1024 * 1024


class FailureKind(StrEnum):
    """Why something could not be had. ``MISSING``: it has no such thing; ``BAD_ANSWER``: what came is of no use."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    MISSING = "missing"
    BAD_ANSWER = "bad_answer"


class FrigateError(Exception):
    """Frigate didn't give what it was asked for. ``reason``: in plain words, without addresses and secrets."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What Frigate may take: seconds to connect, for a whole answer, and bytes. ``login_pause``: seconds after a login
    that was refused in which there is no other; Frigate counts them."""

    connect_seconds: float = 5.0
    seconds: float = 15.0
    picture_bytes: int = 20 * _MEGABYTE
    json_bytes: int = 16 * _MEGABYTE
    login_pause: float = 60.0


@asynccontextmanager
async def open_client(
    settings: FrigateSettings,
    limits: ClientLimits | None = None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[FrigateClient]:
    """The client for the length of the block. Nothing is asked before it is needed."""
    limits = limits or ClientLimits()
    timeout = aiohttp.ClientTimeout(total=limits.seconds, connect=limits.connect_seconds)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=settings.verify_tls, limit=8),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield FrigateClient(session, settings, limits, monotonic)


class FrigateClient:
    """Asks Frigate; made by ``open_client``. All methods raise ``FrigateError``."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: FrigateSettings,
        limits: ClientLimits,
        monotonic: Callable[[], float],
    ) -> None:
        self._session: Final = session
        self._settings: Final = settings
        self._limits: Final = limits
        self._monotonic: Final = monotonic
        self._api: Final = URL(settings.url) / "api"
        self._login: Final = asyncio.Lock()
        self._token: str | None = None
        self._no_login_before = float("-inf")

    async def snapshot(self, event_id: str) -> bytes:
        """The best picture of an object, as Frigate keeps it while it follows the object and, if it does, after."""
        query = {"crop": str(int(self._settings.crop)), "bbox": "0", "timestamp": "0", "quality": str(_QUALITY)}
        return await self._picture((self._api / "events" / event_id / "snapshot.jpg").with_query(query))

    async def latest(self, camera: str) -> bytes:
        """What a camera shows now, whole."""
        return await self._picture((self._api / camera / "latest.jpg").with_query({"quality": str(_QUALITY)}))

    async def set_sub_label(self, event_id: str, name: str, score: float | None = None) -> None:
        """Name an object; ``score`` from above 0 to 1. An empty name takes the name away."""
        body: dict[str, Any] = {"subLabel": name[:_LONGEST_SUB_LABEL]}
        if score is not None:
            body["subLabelScore"] = score
        await self._ask("POST", self._api / "events" / event_id / "sub_label", self._limits.json_bytes, body)

    async def recognizes_faces(self) -> bool:
        """Whether Frigate's own face recognition is on, anywhere."""
        answer = await self._ask("GET", self._api / "config", self._limits.json_bytes)
        config = _read_json(answer.body)
        cameras = config.get("cameras")
        if not isinstance(cameras, Mapping):
            raise FrigateError(FailureKind.BAD_ANSWER, "its configuration can't be read")
        return any(_may_recognize(part) for part in (config, *cameras.values()))

    async def _picture(self, url: URL) -> bytes:
        answer = await self._ask("GET", url, self._limits.picture_bytes)
        if not answer.content_type.startswith("image/") or not answer.body.startswith(b"\xff\xd8"):
            raise FrigateError(FailureKind.BAD_ANSWER, "what it gave is no JPEG picture")
        return answer.body

    async def _ask(self, method: str, url: URL, most: int, body: object = None) -> _Answer:
        """Ask, with a login where Frigate wants one: once, and once more when it has run out."""
        token = self._token
        answer = await self._request(method, url, most, body, token)
        if answer.wants_login and self._settings.username:
            answer = await self._request(method, url, most, body, await self._renew(token))
        answer.check()
        return answer

    async def _renew(self, used: str | None) -> str | None:
        """A token other than the one ``used``: somebody else's meanwhile, or that of a login."""
        async with self._login:
            if self._token is None or self._token == used:
                if self._monotonic() < self._no_login_before:
                    raise FrigateError(FailureKind.REFUSED, "the last login was refused; waiting before another")
                self._token = None
                self._token = await self._log_in()
            return self._token

    async def _log_in(self) -> str:
        body = {"user": self._settings.username, "password": self._settings.password}
        answer = await self._request("POST", self._api / "login", self._limits.json_bytes, body, None)
        if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._no_login_before = self._monotonic() + self._limits.login_pause
            raise FrigateError(FailureKind.REFUSED, f"user name or password are wrong (status {answer.status})")
        answer.check()
        if answer.token is None:
            self._no_login_before = self._monotonic() + self._limits.login_pause
            raise FrigateError(FailureKind.BAD_ANSWER, "its login gave no token")
        return answer.token

    async def _request(self, method: str, url: URL, most: int, body: object, token: str | None) -> _Answer:
        headers = {} if token is None else {aiohttp.hdrs.AUTHORIZATION: f"Bearer {token}"}
        problem = ""
        try:
            async with self._session.request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as response:
                return _Answer(
                    status=response.status,
                    content_type=response.content_type,
                    body=await _read(response, most),
                    token=_token(response),
                )
        except TimeoutError:
            problem = "it doesn't answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"it can't be reached ({explain(error)})"
        # Outside of the block: the other error's text has the address in it.
        raise FrigateError(FailureKind.UNREACHABLE, problem)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Answer:
    status: int
    content_type: str
    body: bytes
    token: str | None

    @property
    def wants_login(self) -> bool:
        """Frigate says that it does, or a proxy leads to its login."""
        return self.status == HTTPStatus.UNAUTHORIZED or 300 <= self.status < 400

    def check(self) -> None:
        status = self.status
        if 200 <= status < 300:
            return
        if status == HTTPStatus.NOT_FOUND:
            raise FrigateError(FailureKind.MISSING, "it has no such thing")
        if status == HTTPStatus.FORBIDDEN:
            raise FrigateError(FailureKind.REFUSED, "its user may not do that (status 403)")
        if self.wants_login or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise FrigateError(FailureKind.REFUSED, f"it doesn't let us in (status {status})")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise FrigateError(FailureKind.UNREACHABLE, f"it is in trouble (status {status})")
        raise FrigateError(FailureKind.BAD_ANSWER, f"it answers with status {status}")


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > most:
            response.close()
            raise FrigateError(FailureKind.BAD_ANSWER, "its answer is too long")
    return bytes(data)


def _token(response: aiohttp.ClientResponse) -> str | None:
    """The token of a login: Frigate's cookie, which may have been given another name."""
    cookies = response.cookies
    chosen = cookies.get(_COOKIE) or next(iter(cookies.values()), None)
    return None if chosen is None or not chosen.value.isprintable() else chosen.value or None


def _read_json(body: bytes) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(body)
        if isinstance(data, dict):
            return data
    raise FrigateError(FailureKind.BAD_ANSWER, "its configuration can't be read")


def _may_recognize(part: object) -> bool:
    """Whether a part of the configuration has face recognition on, or says something of it that we don't know."""
    recognition = part.get("face_recognition") if isinstance(part, Mapping) else None
    if recognition is None:
        return False
    return not isinstance(recognition, Mapping) or recognition.get("enabled") is not False
