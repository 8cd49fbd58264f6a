"""Delivery to a backend's REST interface."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from privface_backend.bridge.clock import BackendClock
from privface_backend.bridge.deliver import Answer, Wishes
from privface_backend.bridge.jpeg import encode_picture
from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Pixels
from privface_backend.outages import explain
from privface_backend.protocol import (
    API_VERSION,
    MIN_API_VERSION,
    ErrorCode,
    FrameCard,
    WireError,
    from_wire_time,
    to_wire_time,
)

_LOGGER: Final = logging.getLogger(__name__)
API: Final = "/api/v1"
_LONGEST_ANSWER: Final = 256 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15.0, connect=5.0)
_TOUCH_SECONDS: Final = 60.0
_MEETING_SECONDS: Final = 0.05
_MOST_KINDS: Final = 100
_DENIED: Final = frozenset({401, 403, 429})
_UNAVAILABLE: Final = frozenset({502, 504})
BACKOFF: Final = Backoff(first=0.5, ceiling=10.0)


class HttpDeliver:
    """Sends pictures to the backend at ``url``. ``token``: of the scope identify; ``clock`` gives aware times.

    One that is away is tried again with growing waits; so is one that doesn't let us in, after a minute.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: str | None,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._session: Final = session
        self._url: Final = url.rstrip("/")
        self._headers: Final = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._clock: Final = clock
        self._monotonic: Final = monotonic
        self._backoff: Final = backoff
        self._not_before = float("-inf")
        self._failures = 0
        self._refused: Final[set[str]] = set()
        self._met = False
        self.backend_clock: Final = BackendClock()
        self.state = "connecting"

    def pack(self, content: Pixels) -> Any:
        return encode_picture(content)

    def wishes(self, camera: str) -> Wishes:  # noqa: ARG002  # it says so over MQTT
        return Wishes()

    def ready_in(self) -> float:
        # The first picture's time is right if what the backend's clock shows is known by then.
        return max(self._wait(), 0.0 if self._met else _MEETING_SECONDS)

    def _wait(self) -> float:
        return max(0.0, self._not_before - self._monotonic())

    async def send(self, card: FrameCard, packed: Any) -> Answer:
        path = f"{self._url}{API}/cameras/{quote(card.camera, safe='')}/frames"
        # Written just before it goes, as what is known of the backend's clock may be new.
        data = _form(card, self.backend_clock.to_backend(card.captured_at), packed)
        return await self._ask("POST", path, data, self._judge)

    async def keep_in_touch(self) -> None:
        """Ask now and then what the backend is, and what its clock shows."""
        while True:
            await asyncio.sleep(self._wait())
            answer = await self._ask("GET", f"{self._url}{API}/info", None, self._judge_info)
            if answer is not Answer.AWAY:
                self._met = True
                await asyncio.sleep(_TOUCH_SECONDS)

    async def _ask(
        self,
        method: str,
        url: str,
        data: aiohttp.FormData | aiohttp.Payload | None,
        judge: Callable[[int, Mapping[str, Any] | None, datetime, datetime], Answer],
    ) -> Answer:
        asked = self._clock()
        try:
            async with self._session.request(
                method, url, data=data, headers=self._headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                body = await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # Its text may hold the address.
            return self._away(explain(error))
        answered = self._clock()
        self.backend_clock.note_header(response.headers.get("Date"), asked=asked, answered=answered)
        if response.status in _DENIED:
            return self._denied(response.status)
        if response.status in _UNAVAILABLE or (response.status == 503 and body is None):
            return self._away(f"status {response.status}")
        return judge(response.status, body, asked, answered)

    def _judge(self, status: int, body: Mapping[str, Any] | None, _asked: datetime, _answered: datetime) -> Answer:
        if 200 <= status < 300:
            if body is None or "events" not in body:
                return self._not_ours()
            self._reached()
            self._refused.clear()
            return Answer.TAKEN
        code, text = _error(body)
        # What stands between, such as a proxy, may refuse too.
        if code:
            self._reached()
        if code == ErrorCode.CAMERA_DISABLED:
            return Answer.DISABLED
        if code == ErrorCode.SUPERSEDED:
            return Answer.SUPERSEDED
        self._warn_once(code or f"status {status}", f"The backend refused a picture ({code or status}): {text}")
        return Answer.REFUSED

    def _judge_info(self, status: int, body: Mapping[str, Any] | None, asked: datetime, answered: datetime) -> Answer:
        if status != 200 or body is None or "api_version" not in body:
            return self._not_ours()
        self._reached()
        newest, oldest = body.get("api_version"), body.get("min_api_version")
        if (
            isinstance(newest, int)
            and isinstance(oldest, int)
            and not (oldest <= API_VERSION and newest >= MIN_API_VERSION)
        ):
            self._warn_once("version", "The backend and this bridge are of versions that don't understand each other")
        try:
            told = from_wire_time(body.get("time"), "time")
        except WireError:
            return Answer.TAKEN
        self.backend_clock.note(told, asked=asked, answered=answered)
        seconds = self.backend_clock.offset.total_seconds()
        if abs(seconds) > 10:
            self._warn_once(
                "clock", f"The backend's clock is {seconds:+.0f} s from this one; times are sent as its clock has them"
            )
        return Answer.TAKEN

    def _reached(self) -> None:
        if self.state in {"away", "refused"}:
            _LOGGER.info("The backend takes pictures again")
        self.state = "reached"
        self._failures, self._not_before = 0, float("-inf")

    def _not_ours(self) -> Answer:
        self._warn_once("not privface", "What answers at bridge.backend is no PrivFace backend")
        self.state = "not_privface"
        return Answer.REFUSED

    def _away(self, why: str) -> Answer:
        level = logging.DEBUG if self.state == "away" else logging.WARNING
        _LOGGER.log(level, "The backend can't be reached (%s); pictures are dropped until it can", why)
        self.state = "away"
        if self._wait() <= 0:
            # Several pictures on their way fail together: that is one failure.
            self._failures += 1
            self._not_before = self._monotonic() + self._backoff.delay(self._failures)
        return Answer.AWAY

    def _denied(self, status: int) -> Answer:
        if self.state != "refused":
            text = {
                401: "doesn't know the token: make one with `privface token create`, and set bridge.token",
                403: "doesn't let this token send pictures: it needs the scope identify",
            }.get(status, "was asked with wrong tokens too often, and waits")
            _LOGGER.error("The backend %s", text)
        self.state = "refused"
        self._not_before = self._monotonic() + self._backoff.refused
        return Answer.REFUSED

    def _warn_once(self, kind: str, text: str) -> None:
        level = logging.DEBUG if kind in self._refused else logging.WARNING
        if len(self._refused) < _MOST_KINDS:
            self._refused.add(kind)
        _LOGGER.log(level, "%s", text)


async def _read(response: aiohttp.ClientResponse) -> Mapping[str, Any] | None:
    """The answer's JSON object; None where it is none, or a long one."""
    data = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        data += chunk
        if len(data) > _LONGEST_ANSWER:
            response.close()
            return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def _error(body: Mapping[str, Any] | None) -> tuple[str, str]:
    """The code and the text of an error, for the log: short and printable."""
    error = None if body is None else body.get("error")
    if not isinstance(error, Mapping):
        return "", "it gave no reason"
    text = " ".join(str(error.get(key, "")) for key in ("message", "allowed") if error.get(key))
    return str(error.get("code", ""))[:40], "".join(letter for letter in text[:200] if letter.isprintable())


def _form(card: FrameCard, captured_at: datetime, picture: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    document = {**card.to_dict(), "captured_at": to_wire_time(captured_at)}
    form.add_field("card", json.dumps(document), content_type="application/json")
    form.add_field("file", picture, filename="picture.jpg", content_type="image/jpeg")
    return form
