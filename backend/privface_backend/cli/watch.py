"""``privface watch``: events as they come, from the websocket or from MQTT."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import typer
from yarl import URL

from privface_backend.cli.broker import join
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import complain, say, say_json
from privface_backend.cli.runfile import Run, read_run
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.connection import ConnectError, ConnectionLostError, FailureKind
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import ErrorCode, Event, Outcome, StreamMessage, WireError
from privface_backend.settings import Settings

_RETRY_SECONDS: Final = 3.0
_HEARTBEAT: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
# How the stream is closed where the token is missing, wrong, or of another scope.
_REFUSALS: Final = frozenset({4401, 4403})

Messages = AsyncGenerator[Mapping[str, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where to listen. ``messages`` looks up the address each time: a restarted service has another token.

    ``is_own``: the service of this data directory, whose refusal may only mean that it is being restarted.
    """

    what: str
    messages: Callable[[], Messages]
    is_own: bool = True


def run_watch(call: Invocation, *, mqtt: bool, url: str | None, token: str | None) -> None:
    """Print events until interrupted."""
    settings = call.settings
    if mqtt:
        _broker(settings)
        place = _Place(what="The MQTT broker", messages=lambda: _subscription(_broker(settings)))
    elif url is not None:
        address = _checked(url)
        place = _Place(what=address, messages=lambda: _stream(address, token or ""), is_own=False)
    else:
        _running(settings.data_dir)
        place = _Place(what="The service", messages=lambda: _own_stream(settings.data_dir, token))
    asyncio.run(_watch(place, as_json=call.json))


def _checked(url: str) -> str:
    try:
        address = URL(url)
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise typer.BadParameter("expected http://HOST:PORT", param_hint="--url")
    return url.rstrip("/")


def _running(data_dir: Path) -> Run:
    run = read_run(data_dir)
    if run is None:
        raise PrivFaceError(
            ErrorCode.TIMEOUT,
            "No service runs on this data directory. Start it with `privface serve`, or name another with --url.",
        )
    return run


def _broker(settings: Settings) -> MqttSettings:
    """The configured broker, or the running service's own."""
    if settings.broker_configured:
        return settings.mqtt
    run = _running(settings.data_dir)
    if run.mqtt is None:
        raise PrivFaceError(ErrorCode.BROKER_UNREACHABLE, "The running service has no MQTT broker.")
    return MqttSettings(
        host=run.mqtt["host"],
        port=run.mqtt["port"],
        protocol=MqttProtocol.V311,
        username=run.mqtt["username"],
        password=run.mqtt["password"],
        base_topic=settings.mqtt.base_topic,
    )


async def _watch(place: _Place, *, as_json: bool) -> None:
    reached = lost = False
    while True:
        try:
            async with aclosing(place.messages()) as messages:
                async for message in messages:
                    reached, lost = True, False
                    _show(message, as_json=as_json)
        except (aiohttp.ClientError, ConnectError, ConnectionLostError, TimeoutError, OSError) as error:
            if (refusal := _refusal(error, place.what)) is not None:
                raise refusal from None
        except PrivFaceError:
            if not reached or not place.is_own:
                raise
        if not lost:
            complain(f"{place.what} can't be reached; trying again every {_RETRY_SECONDS:g} seconds.")
        lost = True
        await asyncio.sleep(_RETRY_SECONDS)


def _refusal(error: Exception, what: str) -> PrivFaceError | None:
    """The error that ends the watching; None: it is worth another try."""
    if isinstance(error, aiohttp.WSServerHandshakeError) and error.status < 500:
        if error.status in {401, 403}:
            return _refused_token(what)
        return PrivFaceError(ErrorCode.LINK_UNREACHABLE, f"{what} is no PrivFace: it answered {error.status}.")
    if isinstance(error, ConnectError) and error.kind is FailureKind.REFUSED:
        return PrivFaceError(ErrorCode.BROKER_REFUSED, f"{what} refused: {error.reason}.")
    return None


def _refused_token(what: str) -> PrivFaceError:
    return PrivFaceError(ErrorCode.UNAUTHENTICATED, f"{what} refused the token.", allowed="--token TOKEN")


async def _own_stream(data_dir: Path, token: str | None) -> Messages:
    run = _running(data_dir)
    async with aclosing(_stream(run.url, token or run.token)) as messages:
        async for message in messages:
            yield message


async def _stream(url: str, token: str) -> Messages:
    """The websocket's events, after an empty message once it has let us in."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with asyncio.timeout(_CONNECT_SECONDS):
            socket = await session.ws_connect(f"{url}/api/v1/stream", heartbeat=_HEARTBEAT)
        async with socket:
            async for message in socket:
                data = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
                if not isinstance(data, dict):
                    continue
                kind = data.get("type")
                if kind == StreamMessage.HELLO:
                    complain(f"Listening on {url}. End with Ctrl-C.")
                    yield {}
                elif kind == StreamMessage.EVENT:
                    yield data.get("event") or {}
            if socket.close_code in _REFUSALS:
                raise _refused_token(url)


async def _subscription(settings: MqttSettings) -> Messages:
    """The broker's events, after an empty message once they are subscribed to."""
    topic = Topics(settings.base_topic).event
    async with join(settings, "watch") as connection:
        if not await connection.subscribe(topic):
            raise PrivFaceError(ErrorCode.BROKER_REFUSED, f"The MQTT broker doesn't let us subscribe to {topic}.")
        complain(f"Listening on mqtt://{settings.host}:{settings.port}. End with Ctrl-C.")
        yield {}
        async for _, payload, _ in connection.messages():
            try:
                data = json.loads(payload)
            except ValueError:
                data = None
            if isinstance(data, dict):
                yield data


def _show(message: Mapping[str, Any], *, as_json: bool) -> None:
    if not message:
        return
    if as_json:
        say_json(message)
        return
    try:
        say(event_words(Event.from_dict(message)))
    except WireError as error:
        complain(f"An event that can't be read: {error}")


def event_words(event: Event) -> str:
    """An event in one line."""
    at = event.captured_at.astimezone().strftime("%H:%M:%S")
    who = event.person or "" if event.outcome is Outcome.KNOWN else f"({event.reason})"
    if event.stranger is not None:
        who += f"  stranger {event.stranger.number}, visit {event.stranger.visit}"
    if event.corrects is not None:
        who += "  (takes back what was said before)"
    score = "" if event.score is None else f"  score {event.score:.2f}, needs {event.threshold or 0:.2f}"
    strength = "" if event.privacy.relative is None else f"  r {event.privacy.relative:.3f}"
    return f"{at}  {event.camera}  {event.outcome.value:8} {who}{score}{strength}"
