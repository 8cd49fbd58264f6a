"""``privface watch``: events as they come, from the websocket or from MQTT."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import aiomqtt

from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import complain, say, say_json
from privface_backend.cli.runfile import Run, read_run
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.topics import Topics
from privface_backend.protocol import ErrorCode, Event, Outcome, StreamMessage, WireError

_RETRY_SECONDS: Final = 3.0
_HEARTBEAT: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where to listen."""

    what: str
    messages: Callable[[], AsyncIterator[Mapping[str, Any]]]


def run_watch(call: Invocation, *, mqtt: bool, url: str | None, token: str | None) -> None:
    """Print events until interrupted."""
    run = read_run(call.settings.data_dir)
    place = _on_mqtt(call, run) if mqtt else _on_websocket(run, url, token)
    asyncio.run(_watch(place, as_json=call.json))


def _on_websocket(run: Run | None, url: str | None, token: str | None) -> _Place:
    if url is None and run is None:
        raise PrivFaceError(
            ErrorCode.TIMEOUT,
            "No service runs on this data directory. Start it with `privface serve`, or name another with --url.",
        )
    address = (url or (run.url if run else "")).rstrip("/")
    secret = token or (run.token if run and url is None else "")
    return _Place(what=address, messages=lambda: _stream(address, secret))


def _on_mqtt(call: Invocation, run: Run | None) -> _Place:
    settings = call.settings.mqtt
    if not call.settings.broker_configured and run is not None and run.mqtt is not None:
        settings = MqttSettings(
            host=run.mqtt["host"],
            port=run.mqtt["port"],
            username=run.mqtt["username"],
            password=run.mqtt["password"],
            base_topic=settings.base_topic,
        )
    return _Place(what=f"mqtt://{settings.host}:{settings.port}", messages=lambda: _subscription(settings))


async def _watch(place: _Place, *, as_json: bool) -> None:
    lost = False
    while True:
        try:
            async with aclosing(place.messages()) as messages:  # type: ignore[type-var]  # async generators have aclose
                async for message in messages:
                    if lost:
                        complain(f"Listening on {place.what} again.")
                        lost = False
                    _show(message, as_json=as_json)
        except (aiohttp.WSServerHandshakeError, aiomqtt.MqttCodeError) as error:
            raise _refusal(error, place) from None
        except (aiohttp.ClientError, aiomqtt.MqttError, TimeoutError, OSError):
            pass
        if not lost:
            complain(f"{place.what} can't be reached; trying again every {_RETRY_SECONDS:g} seconds.")
        lost = True
        await asyncio.sleep(_RETRY_SECONDS)


def _refusal(error: Exception, place: _Place) -> PrivFaceError:
    status = getattr(error, "status", None)
    if status in {401, 403}:
        return PrivFaceError(ErrorCode.UNAUTHENTICATED, f"{place.what} refused the token.", allowed="--token TOKEN")
    return PrivFaceError(ErrorCode.BROKER_REFUSED, f"{place.what} refused the connection.")


async def _stream(url: str, token: str) -> AsyncIterator[Mapping[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{url}/api/v1/stream", heartbeat=_HEARTBEAT) as socket,
    ):
        complain(f"Listening on {url}. End with Ctrl-C.")
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                data = json.loads(message.data)
                if isinstance(data, dict) and data.get("type") == StreamMessage.EVENT:
                    yield data.get("event") or {}


async def _subscription(settings: MqttSettings) -> AsyncIterator[Mapping[str, Any]]:
    async with aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        tls_params=aiomqtt.TLSParameters(ca_certs=None if settings.ca_file is None else str(settings.ca_file))
        if settings.tls
        else None,
    ) as client:
        await client.subscribe(Topics(settings.base_topic).event, qos=1)
        complain(f"Listening on mqtt://{settings.host}:{settings.port}. End with Ctrl-C.")
        async for message in client.messages:
            if isinstance(message.payload, bytes | bytearray):
                yield json.loads(message.payload)


def _show(message: Mapping[str, Any], *, as_json: bool) -> None:
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
    score = "" if event.score is None else f"  score {event.score:.2f}, needs {event.threshold or 0:.2f}"
    strength = "" if event.privacy.relative is None else f"  r {event.privacy.relative:.3f}"
    return f"{at}  {event.camera}  {event.outcome.value:8} {who}{score}{strength}"
