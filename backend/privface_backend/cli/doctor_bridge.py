"""What ``privface doctor`` says of the bridge: its backend and token, and what each camera gives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from privface_backend.bridge.bridge import picture_limits
from privface_backend.bridge.patterns import TopicPattern
from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.sources import SourceOpener
from privface_backend.bridge.standalone import broker_of, check_standalone, utc_now
from privface_backend.cli.broker import join
from privface_backend.cli.checks import Check, Verdict, can_serve, failed
from privface_backend.errors import PrivFaceError
from privface_backend.frigate.client import FrigateError, open_client
from privface_backend.mqtt.connection import ConnectError, ConnectionLostError
from privface_backend.outages import explain
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import WireError, from_wire_time
from privface_backend.settings import Settings

_BACKEND_SECONDS: Final = 10.0
_SOURCE_SECONDS: Final = 10.0
_TOPIC_SECONDS: Final = 5.0
_MOST_SKEW: Final = 10.0
_TOKEN_HINT: Final = "On the backend: privface token create --name bridge; then set bridge.token."  # noqa: S105  # a hint


def check_bridge(settings: Settings) -> Iterator[Check]:
    """The checks, where a bridge is set up or nothing else is installed."""
    wanted = settings.feeds or settings.bridge.topics or settings.bridge.backend or settings.frigate.enabled
    if can_serve() and not wanted:
        return
    if settings.bridge.backend or not can_serve():
        try:
            check_standalone(settings)
        except PrivFaceError as error:
            yield failed("bridge", error, "docs/BRIDGE.md shows an example.")
    else:
        yield Check(name="bridge", verdict=Verdict.OK, text="runs inside of privface serve")
    if settings.bridge.backend:
        yield asyncio.run(_backend(settings))
    for camera, feed in settings.feeds.items():
        if feed.way in {"address", "webcam"}:
            yield asyncio.run(_source(settings, camera, feed))
        elif feed.folder is not None:
            yield _folder(camera, feed)
    yield from asyncio.run(_topics(settings))
    if settings.frigate.enabled and settings.frigate.url:
        yield asyncio.run(_frigate(settings))


async def _frigate(settings: Settings) -> Check:
    """Whether Frigate answers, lets us in, and leaves naming to us where we are to write names."""
    name = "frigate"
    try:
        async with open_client(settings.frigate) as client:
            recognizes = await client.recognizes_faces()
    except FrigateError as error:
        hint = "Are frigate.url, username and password right? docs/FRIGATE.md"
        return Check(name=name, verdict=Verdict.PROBLEM, text=str(error), hint=hint)
    if recognizes and settings.frigate.sub_labels:
        text = "recognizes faces itself: no names are written back"
        hint = "Switch that off in Frigate, or frigate.sub_labels here."
        return Check(name=name, verdict=Verdict.WARNING, text=text, hint=hint)
    return Check(name=name, verdict=Verdict.OK, text="answers")


async def _backend(settings: Settings) -> Check:
    """Whether it answers, knows the token, and has the same time."""
    name, token = "backend", settings.bridge.token
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    asked = utc_now()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_BACKEND_SECONDS)) as session,
            session.get(f"{settings.bridge.backend}/api/v1/info", headers=headers, allow_redirects=False) as response,
        ):
            status, document = response.status, await _document(response)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        text = f"{settings.bridge.backend} can't be reached ({explain(error)})"
        hint = "Does it run, with `privface serve --host 0.0.0.0`? Is bridge.backend right?"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint=hint)
    if status == 401:
        text = "wants a token, and none is set" if token is None else "doesn't know the token"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint=_TOKEN_HINT)
    if status == 403:
        text = "doesn't let this token send pictures: it needs the scope identify"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint=_TOKEN_HINT)
    if status != 200 or "api_version" not in document:
        text = f"what answers at {settings.bridge.backend} is no PrivFace backend"
        return Check(name=name, verdict=Verdict.PROBLEM, text=text, hint="Check bridge.backend.")
    return _compare_clocks(name, settings.bridge.backend, (utc_now() - asked).total_seconds(), document)


async def _document(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    with contextlib.suppress(aiohttp.ContentTypeError, ValueError):
        document = await response.json()
        if isinstance(document, Mapping):
            return document
    return {}


def _compare_clocks(name: str, url: str, took: float, document: Mapping[str, Any]) -> Check:
    seconds = 0.0
    with contextlib.suppress(WireError):
        seconds = (from_wire_time(document.get("time"), "time") - utc_now()).total_seconds()
    if abs(seconds) > _MOST_SKEW + took:
        text = f"{url} knows the token; its clock is {seconds:+.0f} s from this one"
        return Check(name=name, verdict=Verdict.WARNING, text=text, hint="timedatectl set-ntp true")
    return Check(name=name, verdict=Verdict.OK, text=f"{url} knows the token")


async def _source(settings: Settings, camera: str, feed: CameraFeed) -> Check:
    """Whether a source gives a picture; its address may hold credentials and is not shown."""
    name, hint = f"camera {camera}", "Is the camera on, and are address, user and password right?"
    try:
        opener = SourceOpener(camera, feed, registry=Registry(), limits=picture_limits(settings), clock=utc_now)
        source = await opener.open(seconds=_SOURCE_SECONDS, on_state=lambda _state: None)
        async with aclosing(source.frames()) as frames:
            async for frame in frames:
                text = f"gives pictures of {frame.size.width}x{frame.size.height}"
                return Check(name=name, verdict=Verdict.OK, text=text)
    except PrivFaceError as error:
        return failed(name, error, hint)
    return Check(name=name, verdict=Verdict.PROBLEM, text="gives no picture", hint=hint)


def _folder(camera: str, feed: CameraFeed) -> Check:
    there = feed.folder is not None and feed.folder.is_dir()
    verdict = Verdict.OK if there else Verdict.PROBLEM
    text = "the folder is there" if there else "there is no such folder"
    return Check(name=f"camera {camera}", verdict=verdict, text=text, hint="" if there else "Make it, or mend folder.")


async def _topics(settings: Settings) -> list[Check]:
    """Whether something comes on the topics within a moment, one line each; nothing where the broker refuses us."""
    filters = {feed.topic: f"camera {camera}" for camera, feed in settings.feeds.items() if feed.topic is not None}
    filters |= {TopicPattern(text).topic_filter: f"topics {text}" for text in settings.bridge.topics}
    mqtt = broker_of(settings)
    if mqtt is None:
        return [_without_broker(settings, name) for name in filters.values()]
    if not filters:
        return []
    heard: set[str] = set()
    refused: set[str] | None = None
    with contextlib.suppress(ConnectError, ConnectionLostError, TimeoutError):
        async with asyncio.timeout(_TOPIC_SECONDS * 2), join(mqtt, "doctor") as connection:
            refused = {one for one in filters if not await connection.subscribe(one, qos=0)}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TOPIC_SECONDS):
                    async for topic, _payload, _retained in connection.messages():
                        heard |= {one for one in filters if _matches(one, topic)}
                        if heard | refused == filters.keys():
                            break
    if refused is None:
        return []
    return [_heard(name, heard=one in heard, refused=one in refused) for one, name in filters.items()]


def _without_broker(settings: Settings, name: str) -> Check:
    if settings.mqtt.enabled and settings.broker.embedded and can_serve():
        text = "not listened to now: the embedded broker is there only while privface serve runs"
        hint = "What publishes pictures must reach that broker, which is for this computer only; or set mqtt.host."
        return Check(name=name, verdict=Verdict.WARNING, text=text, hint=hint)
    return Check(name=name, verdict=Verdict.PROBLEM, text="no picture comes: there is no broker", hint="Set mqtt.host.")


def _matches(topic_filter: str, topic: str) -> bool:
    wanted, given = topic_filter.split("/"), topic.split("/")
    return len(wanted) == len(given) and all(one in ("+", other) for one, other in zip(wanted, given, strict=True))


def _heard(name: str, *, heard: bool, refused: bool) -> Check:
    if refused:
        hint = "Let the broker's user read that topic."
        return Check(name=name, verdict=Verdict.PROBLEM, text="the broker doesn't let us listen there", hint=hint)
    if heard:
        return Check(name=name, verdict=Verdict.OK, text="a message came")
    text = f"no message came in {_TOPIC_SECONDS:g} seconds"
    return Check(name=name, verdict=Verdict.WARNING, text=text, hint="Right, if the camera sends only now and then.")
