"""Server-sent events: what the websocket tells, for readers that only speak HTTP, and that catch up after a break.

Each message is an ``event`` (whose id is the event's), a ``state``, ``people``, ``advice``, or a ``resync``: a
snapshot, for a reader that lost messages or has been away too long to be told of each. The token comes in the
Authorization header only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

from aiohttp import hdrs, web

from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Listener, Message
from privface_backend.protocol import ErrorCode, Event, Outcome, Scope, StreamMessage
from privface_backend.rest.authentication import Grant, authorize, still_allowed
from privface_backend.rest.middleware import begin
from privface_backend.rest.operations import API, Answer, Operation, Parameter
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.stream import take_snapshot

EVENT_STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
_RECENT: Final = 256
_RETRY_MILLISECONDS: Final = 3000


class Kind(StrEnum):
    """What a reader can choose to be told."""

    EVENT = "event"
    STATE = "state"
    PEOPLE = "people"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStreamRules:
    """Times in seconds. ``waiting``: the messages that are kept for a reader that can't follow; ``replayed``: the most
    events that one is told who comes back; ``streams``: the readers at one time; ``stuck``: how long one may take for
    a message, ``farewell``: for the end."""

    heartbeat: float = 15.0
    recheck: float = 60.0
    stuck: float = 60.0
    farewell: float = 2.0
    waiting: int = 256
    replayed: int = 500
    streams: int = 32


class EventStreams:
    """The readers there are, and the newest events: those that wait to be written to the log are among them."""

    def __init__(self, rules: EventStreamRules, bus: Bus, names: Callable[[], Mapping[str, str]]) -> None:
        self.rules: Final = rules
        self.stopping: Final = asyncio.Event()
        self._names: Final = names
        self._recent: Final[deque[Event]] = deque(maxlen=_RECENT)
        self._open = 0
        bus.call(self._remember)

    def _remember(self, message: Message) -> None:
        if isinstance(message.subject, Event):
            self._recent.append(message.subject)
        elif message.kind == StreamMessage.PEOPLE:
            # Who was forgotten is forgotten here too.
            kept = self.recent()
            self._recent.clear()
            self._recent.extend(kept)

    def recent(self) -> tuple[Event, ...]:
        """The newest events, in order, without those of people who have been forgotten."""
        names = self._names()
        return tuple(event for event in self._recent if event.person_id is None or event.person_id in names)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Count a reader for the length of the block.

        Raises:
            PrivFaceError: ``overloaded``: there are too many.
        """
        if self._open >= self.rules.streams:
            raise PrivFaceError(
                ErrorCode.OVERLOADED, "Too many streams of events are open.", allowed=f"{self.rules.streams} at a time"
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def close(self, _app: web.Application) -> None:
        """End every stream: the backend is stopping."""
        self.stopping.set()


EVENT_STREAMS: Final = web.AppKey("event_streams", EventStreams)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a reader wants to be told; empty: everything."""

    kinds: frozenset[str]
    outcomes: frozenset[str]
    cameras: frozenset[str]

    @classmethod
    def read(cls, request: web.Request) -> _Wish:
        return cls(
            kinds=_read_choices(request, "kinds", Kind),
            outcomes=_read_choices(request, "outcome", Outcome),
            cameras=frozenset(request.query.getall("camera", ())),
        )

    def wants(self, message: Message) -> bool:
        if self.kinds and message.kind not in self.kinds:
            return False
        if message.kind == StreamMessage.PEOPLE:
            return True
        camera = message.payload.get("camera")
        if self.cameras and camera is not None and camera not in self.cameras:
            return False
        return message.kind != StreamMessage.EVENT or not self.outcomes or message.payload["outcome"] in self.outcomes


def _read_choices(request: web.Request, name: str, kind: type[StrEnum]) -> frozenset[str]:
    """The values of a parameter that may have several, with commas or by coming again."""
    words = {word.strip() for text in request.query.getall(name, ()) for word in text.split(",")} - {""}
    allowed = [member.value for member in kind]
    if not words <= set(allowed):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=", ".join(allowed))
    return frozenset(words)


async def stream_events(request: web.Request) -> web.StreamResponse:
    streams, services = request.app[EVENT_STREAMS], request.app[SERVICES]
    grant = await authorize(request, Scope.IDENTIFY)
    wish, last_id = _Wish.read(request), request.headers.get(LAST_EVENT_ID)
    with streams.opened(), services.bus.listen(streams.rules.waiting) as listener:
        # From here on the listener is told of all that is not among these.
        recent = streams.recent()
        missed = () if not last_id else await events_since(services, recent, last_id, streams.rules.replayed)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: EVENT_STREAM, "X-Accel-Buffering": "no"})
        await response.prepare(request)
        begin(request, response)
        reader = _Reader(response, services, wish, streams)
        # A connection error here is a reader that has gone.
        with contextlib.suppress(ConnectionError):
            await _first_end(reader.tell(listener, missed), _recheck(request, grant), streams.stopping.wait())
        await _say_goodbye(request, response, streams.rules.farewell)
    return response


async def _say_goodbye(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    """End the stream; one who doesn't read is hung up on."""
    try:
        async with asyncio.timeout(seconds):
            await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


async def events_since(services: Services, recent: Sequence[Event], last_id: str, limit: int) -> Sequence[Event] | None:
    """The events after that of an id, in order; ``recent``: the newest, some of which may not be in the log yet. None:
    that event isn't known (any more), or there are more than ``limit``."""
    ids = [event.event_id for event in recent]
    if last_id in ids:
        return recent[ids.index(last_id) + 1 :]
    try:
        newest_first = await services.storage.call(services.events.list, after=last_id, limit=limit + 1)
    except PrivFaceError as error:
        if error.code is not ErrorCode.EVENT_NOT_FOUND:
            raise
        return None
    logged = tuple(reversed(newest_first))
    known = {event.event_id for event in logged}
    missed = (*logged, *(event for event in recent if event.event_id not in known))
    return missed if len(missed) <= limit else None


class _Reader:
    """One reader: what was sent, and when."""

    def __init__(self, response: web.StreamResponse, services: Services, wish: _Wish, streams: EventStreams) -> None:
        self._response: Final = response
        self._services: Final = services
        self._wish: Final = wish
        self._streams: Final = streams
        self._told: frozenset[str] = frozenset()
        self._silent_since = asyncio.get_running_loop().time()

    async def tell(self, listener: Listener[Message], missed: Sequence[Event] | None) -> None:
        """Tell of what was missed, None being too much of it, and then of everything as it comes."""
        await self._write(f"retry: {_RETRY_MILLISECONDS}\n\n")
        if missed is None:
            await self._resync(listener)
        else:
            self._told = frozenset(event.event_id for event in missed)
            for event in missed:
                await self._send(Message(StreamMessage.EVENT, event.to_dict(), event))
        while True:
            message = await self._next(listener)
            if listener.take_lost():
                await self._resync(listener)
            elif not (isinstance(message.subject, Event) and message.subject.event_id in self._told):
                await self._send(message)

    async def _next(self, listener: Listener[Message]) -> Message:
        """The next message; a sign of life whenever nothing was sent for a while."""
        while True:
            try:
                async with asyncio.timeout_at(self._silent_since + self._streams.rules.heartbeat):
                    return await listener.get()
            except TimeoutError:
                await self._write(": here\n\n")

    async def _send(self, message: Message) -> None:
        if self._wish.wants(message):
            event_id = message.subject.event_id if isinstance(message.subject, Event) else None
            await self._write(_block(str(message.kind), message.payload, event_id))

    async def _resync(self, listener: Listener[Message]) -> None:
        """Send a snapshot in the place of what waits and of what was lost."""
        listener.clear()
        recent = self._streams.recent()
        snapshot = await take_snapshot(self._services, recent)
        events = cast("list[dict[str, object]]", snapshot["events"])
        self._told = frozenset(str(event["event_id"]) for event in events)
        newest = str(events[0]["event_id"]) if events else None
        wanted = [event for event in events if self._wish.wants(Message(StreamMessage.EVENT, event))]
        await self._write(_block(StreamMessage.RESYNC.value, snapshot | {"events": wanted}, newest))

    async def _write(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._streams.rules.stuck):
                await self._response.write(text.encode())
        except TimeoutError:
            raise ConnectionResetError("the reader doesn't read") from None
        self._silent_since = asyncio.get_running_loop().time()


def _block(kind: str, data: Mapping[str, object], event_id: str | None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n"


async def _recheck(request: web.Request, grant: Grant) -> None:
    """Return when the token is revoked."""
    while await still_allowed(request, grant):  # noqa: ASYNC110  # another process revokes tokens: nobody tells us
        await asyncio.sleep(request.app[EVENT_STREAMS].rules.recheck)


async def _first_end(*parts: Coroutine[Any, Any, object]) -> None:
    """Run all until the first has ended; raises what that one raised."""
    tasks = [asyncio.create_task(part, name="event stream") for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/events/stream",
        handler=stream_events,
        tag="Events",
        summary="Server-sent events: every event and change as it comes",
        description=(
            "Messages are event (EventBody, under its id), state (a person's or camera's), people, advice (a "
            "camera's) and resync: a snapshot as on the websocket, for a reader that lost messages. With Last-Event-"
            "ID, first come the events since that one, without gaps or repeats; where there are more than 500, or "
            "that event is not known any more, a resync instead. A comment comes every 15 seconds. The stream ends "
            "when the token is revoked and when the backend stops. The token comes in the Authorization header only, "
            "never in the address."
        ),
        scope=Scope.IDENTIFY,
        authenticates_itself=True,
        parameters=(
            Parameter(name=LAST_EVENT_ID, place="header", description="The id of the last event that was received."),
            Parameter(name="kinds", description="Only these, with commas between: event, state, people, advice."),
            Parameter(name="outcome", description="Events of these outcomes only: known, unknown, unusable."),
            Parameter(name="camera", description="Events and states of this camera only; may come several times."),
        ),
        answers={200: Answer(description="The stream.", content={EVENT_STREAM: {"type": "string"}})},
        errors=(ErrorCode.BAD_REQUEST, ErrorCode.OVERLOADED),
    ),
)
