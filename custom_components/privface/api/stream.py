"""The backend's stream: everything as it happens, over a websocket that is opened again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import aiohttp

from .answers import LARGEST_ANSWER, make_error, parse_object, translated_errors
from .errors import (
    ApiVersionError,
    AuthenticationError,
    ClientError,
    ForbiddenError,
    NotPrivFaceError,
    UnavailableError,
)
from .models import CameraState, Hello, Person, PersonState, Snapshot, check_version, read_advice
from .protocol import Advice, ErrorCode, Event, StreamMessage, WireError
from .shapes import read_list, read_object, read_text

_LOGGER: Final = logging.getLogger(__name__)
# Seconds that a backend has to answer a goodbye.
_FAREWELL: Final = 2.0
# The codes with which the backend closes, as HTTP statuses.
_CLOSED_AS: Final[Mapping[int | None, int]] = {4401: 401, 4403: 403, 4429: 429}
_ENDS: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


class StreamListener(Protocol):
    """Who follows a backend. All are called on the event loop, and must return at once."""

    def connected(self, hello: Hello) -> None:
        """Hear that a connection stands; a snapshot comes next."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take everything at one moment: after connecting, and whenever messages had to be dropped."""

    def event(self, event: Event) -> None:
        """Take a decision. It may repeat one of the snapshot."""

    def person_state(self, state: PersonState) -> None:
        """Take where a person is now."""

    def camera_state(self, state: CameraState) -> None:
        """Take who is before a camera now."""

    def people(self, people: tuple[Person, ...]) -> None:
        """Take who is enrolled now."""

    def advice(self, camera: str, advice: Advice | None) -> None:
        """Take how strongly the backend would anonymize a camera's frames; None: it doesn't say."""

    def disconnected(self, error: ClientError) -> None:
        """Hear why a connection was lost or an attempt failed; once each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """Times in seconds: the ``shortest`` and ``longest`` pause before the next attempt, how long a connection must
    have been ``lasting`` for pauses to begin at the shortest again, and how often a silent peer is asked whether it
    is there (``heartbeat``; it has half of that to answer)."""

    shortest: float = 1.0
    longest: float = 60.0
    lasting: float = 30.0
    heartbeat: float = 30.0

    def pause(self, failures: int, error: ClientError) -> float:
        """How long to wait after so many failures in a row: doubling, and spread, so that not all homes come back
        to one proxy at once."""
        ceiling = min(self.longest, self.shortest * 2.0 ** min(failures, 32))
        pause = random.uniform(max(self.shortest, ceiling / 2), ceiling)  # noqa: S311  # spreads, keeps no secret
        if error.code is not ErrorCode.TOO_MANY_ATTEMPTS:
            return pause
        asked = error.details.get("retry_after")
        return max(pause, asked if isinstance(asked, int) else self.longest)


class Stream:
    """The stream at ``url``. ``headers``: gives those to send, or raises a ``ClientError``; ``timeout``: seconds until
    it must have greeted."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        timeout: float,
        rules: StreamRules,
    ) -> None:
        """Take what is needed; nothing is opened yet."""
        self._session: Final = session
        self._url: Final = url
        self._headers: Final = headers
        self._timeout: Final = timeout
        self._rules: Final = rules

    async def follow(self, listener: StreamListener) -> None:
        """Tell ``listener`` everything until cancelled.

        Raises:
            AuthenticationError, ForbiddenError, ApiVersionError: another attempt makes no sense.
        """
        clock, failures = asyncio.get_running_loop().time, 0
        while True:
            connected_at: float | None = None
            try:
                async with self._connect() as (socket, hello):
                    connected_at = clock()
                    listener.connected(hello)
                    async for message in socket:
                        _tell(message, listener)
                    raise _farewell(socket.close_code)
            except ClientError as error:
                listener.disconnected(error)
                if isinstance(error, AuthenticationError | ForbiddenError | ApiVersionError):
                    raise
                lasted = connected_at is not None and clock() - connected_at >= self._rules.lasting
                failures = 1 if lasted else failures + 1
                pause = self._rules.pause(failures, error)
            await asyncio.sleep(pause)

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Hello]]:
        """A connection that has greeted."""
        async with contextlib.AsyncExitStack() as stack:
            with translated_errors():
                async with asyncio.timeout(self._timeout):
                    socket = await stack.enter_async_context(
                        self._session.ws_connect(
                            self._url,
                            headers=self._headers(),
                            heartbeat=self._rules.heartbeat,
                            max_msg_size=LARGEST_ANSWER,
                            timeout=aiohttp.ClientWSTimeout(ws_close=_FAREWELL),
                        )
                    )
                    message = await socket.receive()
            yield socket, _read_hello(message, socket.close_code)


def _read_hello(message: aiohttp.WSMessage, close_code: int | None) -> Hello:
    """The first message.

    Raises:
        ClientError: it is something else, or of another version.
    """
    if message.type in _ENDS:
        raise _farewell(close_code)
    try:
        data = parse_object(message.data if message.type is aiohttp.WSMsgType.TEXT else "")
        if StreamMessage(data.get("type", "")) is not StreamMessage.HELLO:
            raise NotPrivFaceError
        check_version(data)
        return Hello.from_dict(data)
    except WireError:
        raise NotPrivFaceError from None


def _farewell(close_code: int | None) -> ClientError:
    """Why the backend hung up."""
    status = _CLOSED_AS.get(close_code)
    return UnavailableError("The connection to the backend was lost.") if status is None else make_error(status, {})


def _tell(message: aiohttp.WSMessage, listener: StreamListener) -> None:
    """Tell the listener what a message says; one that can't be read, or is of a kind yet unknown, is left out."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return
    try:
        tell = _read_message(message.data, listener)
    except WireError as error:
        _LOGGER.debug("A message of the stream can't be read: %s", error)
        return
    if tell is not None:
        tell()


def _read_message(text: str, listener: StreamListener) -> Callable[[], None] | None:
    data = parse_object(text)
    match StreamMessage(data.get("type", "")):
        case StreamMessage.SNAPSHOT | StreamMessage.RESYNC:
            return partial(listener.snapshot, Snapshot.from_dict(data))
        case StreamMessage.EVENT:
            return partial(listener.event, Event.from_dict(read_object(data, "event")))
        case StreamMessage.PEOPLE:
            return partial(listener.people, read_list(data, "people", Person.from_dict))
        case StreamMessage.ADVICE:
            return partial(listener.advice, read_text(data, "camera"), read_advice(data))
        case StreamMessage.STATE:
            return _read_state(read_object(data, "state"), listener)
    return None


def _read_state(state: Mapping[str, Any], listener: StreamListener) -> Callable[[], None]:
    if "person_id" in state:
        return partial(listener.person_state, PersonState.from_dict(state))
    return partial(listener.camera_state, CameraState.from_dict(state))
