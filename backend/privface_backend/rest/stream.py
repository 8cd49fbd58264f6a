"""The websocket: attach, snapshot, then everything as it comes.

Messages are JSON objects whose ``type`` is a ``protocol.StreamMessage``: ``hello``, ``snapshot``, ``resync``,
``people`` and ``advice`` hold their keys beside it, ``event`` and ``state`` an object under that name. The token comes
in the Authorization header or, since browsers can't set it, as the first message ``{"type": "auth", "token": ...}``;
never in the address. A listener that can't follow loses the oldest messages, and then gets a fresh snapshot as
``resync``. A message may repeat what a snapshot already holds: events are told apart by their ``event_id``, states and
people are whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from privface_backend import __version__
from privface_backend.errors import PrivFaceError
from privface_backend.events import Listener, Message
from privface_backend.protocol import API_VERSION, MIN_API_VERSION, ErrorCode, Event, Scope, StreamMessage, to_wire_time
from privface_backend.rest.authentication import Grant, authorize, bearer_token, grant_token, still_allowed
from privface_backend.rest.cameras import describe_cameras
from privface_backend.rest.documents import parse_object
from privface_backend.rest.middleware import begin
from privface_backend.rest.operations import API, Answer, Operation
from privface_backend.rest.services import SERVICES, Services

_LONGEST_MESSAGE: Final = 4096
_EVENTS_SHOWN: Final = 20
_WRAPPED: Final = frozenset({StreamMessage.EVENT, StreamMessage.STATE})


class CloseCode(IntEnum):
    """With which codes the backend closes the websocket, beyond those of RFC 6455 (1001: it is stopping)."""

    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_MANY_ATTEMPTS = 4429


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """Times in seconds, and ``waiting``, the messages that are kept for a listener that can't follow."""

    authentication: float = 10.0
    heartbeat: float = 30.0
    recheck: float = 60.0
    farewell: float = 2.0
    waiting: int = 256


class Streams:
    """The websockets that are open."""

    def __init__(self, rules: StreamRules) -> None:
        self.rules: Final = rules
        self._sockets: Final[set[web.WebSocketResponse]] = set()

    @contextlib.contextmanager
    def opened(self, socket: web.WebSocketResponse) -> Iterator[None]:
        """Count ``socket`` among them for the length of the block."""
        self._sockets.add(socket)
        try:
            yield
        finally:
            self._sockets.discard(socket)

    async def close(self, _app: web.Application) -> None:
        """Say goodbye to every listener: the backend is stopping."""
        await asyncio.gather(*(self._close(socket) for socket in tuple(self._sockets)))

    async def _close(self, socket: web.WebSocketResponse) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self.rules.farewell):
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"stopping")


STREAMS: Final = web.AppKey("streams", Streams)


async def stream(request: web.Request) -> web.StreamResponse:
    rules, services = request.app[STREAMS].rules, request.app[SERVICES]
    grant: Grant | None = None
    if bearer_token(request) is not None or not services.settings.server.require_token:
        grant = await authorize(request, Scope.IDENTIFY)
    socket = web.WebSocketResponse(heartbeat=rules.heartbeat, max_msg_size=_LONGEST_MESSAGE)
    await socket.prepare(request)
    begin(request, socket)
    # A connection error here is a listener that has gone.
    with request.app[STREAMS].opened(socket), contextlib.suppress(ConnectionError):
        grant = grant or await _authenticate(request, socket)
        if grant is not None:
            await _serve(request, socket, grant)
    return socket


async def _authenticate(request: web.Request, socket: web.WebSocketResponse) -> Grant | None:
    """Wait for the token; None, and the socket closed, where a right one doesn't come."""
    try:
        async with asyncio.timeout(request.app[STREAMS].rules.authentication):
            message = await socket.receive()
            return await grant_token(request, _read_token(message), Scope.IDENTIFY)
    except TimeoutError:
        await socket.close(code=CloseCode.UNAUTHENTICATED, message=b"no token came")
    except PrivFaceError as error:
        code = _CLOSE_CODES.get(error.code, WSCloseCode.INTERNAL_ERROR)
        await socket.close(code=code, message=error.code.value.encode())
    return None


_CLOSE_CODES: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.UNAUTHENTICATED: CloseCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN: CloseCode.FORBIDDEN,
    ErrorCode.TOO_MANY_ATTEMPTS: CloseCode.TOO_MANY_ATTEMPTS,
}


def _read_token(message: WSMessage) -> str:
    text = message.data if message.type is WSMsgType.TEXT else "{}"
    document = parse_object(text, "The message", ErrorCode.UNAUTHENTICATED)
    token = document.get("token")
    if document.get("type") != "auth" or not isinstance(token, str):
        raise PrivFaceError(
            ErrorCode.UNAUTHENTICATED, "A token is needed.", allowed='{"type": "auth", "token": "pf_…"}'
        )
    return token


async def _serve(request: web.Request, socket: web.WebSocketResponse, grant: Grant) -> None:
    services, rules = request.app[SERVICES], request.app[STREAMS].rules
    with services.bus.listen(rules.waiting) as listener:
        writer = asyncio.create_task(_write(socket, services, listener), name="stream writer")
        checker = asyncio.create_task(_recheck(request, socket, grant), name="stream token check")
        reader = asyncio.create_task(_read(socket), name="stream reader")
        tasks = (writer, checker, reader)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        # Raises what ended the stream, if that was an error.
        task.result()


async def _read(socket: web.WebSocketResponse) -> None:
    """Read until the listener goes: what it says is not asked for."""
    async for _message in socket:
        pass


async def _recheck(request: web.Request, socket: web.WebSocketResponse, grant: Grant) -> None:
    """End the stream when its token is revoked."""
    while await still_allowed(request, grant):  # noqa: ASYNC110  # another process revokes tokens: nobody tells us
        await asyncio.sleep(request.app[STREAMS].rules.recheck)
    await socket.close(code=CloseCode.UNAUTHENTICATED, message=b"revoked")


async def _write(socket: web.WebSocketResponse, services: Services, listener: Listener[Message]) -> None:
    hello = {
        "version": __version__,
        "api_version": API_VERSION,
        "min_api_version": MIN_API_VERSION,
        "instance_id": services.instance_id,
        "time": to_wire_time(services.clock()),
    }
    await _send(socket, StreamMessage.HELLO, hello)
    await _send(socket, StreamMessage.SNAPSHOT, await take_snapshot(services))
    while True:
        message = await listener.get()
        if listener.take_lost():
            # What waits is older than the snapshot.
            listener.clear()
            await _send(socket, StreamMessage.RESYNC, await take_snapshot(services))
        else:
            await _send(socket, message.kind, message.payload)


async def _send(socket: web.WebSocketResponse, kind: str, data: Mapping[str, object]) -> None:
    await socket.send_str(json.dumps({"type": str(kind), **({kind: data} if kind in _WRAPPED else data)}))


async def take_snapshot(services: Services, recent: Sequence[Event] = ()) -> dict[str, object]:
    """Everything that a listener needs to know at one moment; ``recent``: the newest events in order, some of which may
    not be in the log yet."""
    logged = await services.storage.call(services.events.list, limit=_EVENTS_SHOWN)
    events = [*reversed(_unlogged(recent, logged)), *logged][:_EVENTS_SHOWN]
    return {
        "people": [person.to_dict() for person in services.household.people(services.clock())],
        "cameras": describe_cameras(services),
        "events": [event.to_dict() for event in events],
    }


def _unlogged(recent: Sequence[Event], logged: Sequence[Event]) -> Sequence[Event]:
    """Those of ``recent`` that came after the newest that is logged; ``logged`` has the newest first."""
    ids = [event.event_id for event in recent]
    if logged and logged[0].event_id in ids:
        return recent[ids.index(logged[0].event_id) + 1 :]
    return () if ids and ids[-1] in {event.event_id for event in logged} else recent


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/stream",
        handler=stream,
        tag="Events",
        summary="A websocket: a snapshot, then every event and change as it comes",
        description=(
            "Messages are JSON (StreamMessage): hello, snapshot, then event, state, people and advice. The token "
            "comes in the Authorization header or within 10 seconds as the first message (StreamAuth); never in the "
            "address. A listener that can't follow loses the oldest messages and gets a fresh snapshot as resync. "
            "Messages may repeat what a snapshot holds: tell events apart by event_id. The backend closes with 1001 "
            "when it stops, 4401 without a right token or when it is revoked, 4403 when the token lacks the scope, "
            "4429 after too many wrong tokens."
        ),
        scope=Scope.IDENTIFY,
        authenticates_itself=True,
        answers={101: Answer(description="The websocket.")},
        errors=(ErrorCode.BAD_REQUEST,),
    ),
)
