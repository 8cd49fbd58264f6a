"""The component's client follows the backend: what it tells, and how it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import pytest
import trustme
from aiohttp import web

from privface_backend import __version__
from privface_backend.app import Backend, open_backend
from privface_backend.events import Message
from privface_backend.protocol import Scope, StreamMessage
from privface_backend.rest.application import create_application
from privface_backend.rest.stream import StreamRules
from privface_backend.settings_sections import ServerSettings
from support.backend import ADA, BEN, STRANGER, Api, encode, make_settings, pixels, running, serve, until
from support.component import load_package
from support.ports import free_port

api: Any = load_package("api")

QUICK = api.StreamRules(shortest=0.01, longest=0.05)
HELLO = {"type": "hello", "version": "9.9", "api_version": 1, "min_api_version": 1, "instance_id": "an-id"}
SNAPSHOT: dict[str, Any] = {"type": "snapshot", "people": [], "cameras": [], "events": []}


@dataclass
class Listener:
    """Keeps all that it is told, in order."""

    told: list[tuple[str, Any]] = field(default_factory=list)

    def connected(self, hello: Any) -> None:
        self.told.append(("connected", hello))

    def snapshot(self, snapshot: Any) -> None:
        self.told.append(("snapshot", snapshot))

    def event(self, event: Any) -> None:
        self.told.append(("event", event))

    def person_state(self, state: Any) -> None:
        self.told.append(("person_state", state))

    def camera_state(self, state: Any) -> None:
        self.told.append(("camera_state", state))

    def people(self, people: Any) -> None:
        self.told.append(("people", people))

    def advice(self, camera: str, advice: Any) -> None:
        self.told.append(("advice", (camera, advice)))

    def disconnected(self, error: Any) -> None:
        self.told.append(("disconnected", error))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]

    def all(self, kind: str) -> list[Any]:
        return [value for told, value in self.told if told == kind]

    async def wait(self, kind: str, count: int = 1, seconds: float = 20.0) -> Any:
        """The ``count``-th thing told of that kind."""
        await until(lambda: len(self.all(kind)) >= count, seconds)
        return self.all(kind)[count - 1]


@dataclass
class Following:
    """A client that listens."""

    client: Any
    listener: Listener
    task: asyncio.Task[None]

    async def failed_with(self) -> Any:
        """The error with which listening ended, which was told as well."""
        with pytest.raises(api.ClientError) as caught:
            await asyncio.wait_for(self.task, 20)
        assert self.listener.told[-1] == ("disconnected", caught.value)
        return caught.value


@contextlib.asynccontextmanager
async def following(
    url: str, token: str = "", *, rules: Any = QUICK, session: aiohttp.ClientSession | None = None, **options: Any
) -> AsyncIterator[Following]:
    """A client that listens for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        used = session or await stack.enter_async_context(aiohttp.ClientSession())
        client = api.PrivFaceClient(used, url, token, stream_rules=rules, **options)
        listener = Listener()
        task = asyncio.create_task(client.listen(listener))
        try:
            yield Following(client, listener, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as backend:
        yield backend


def follow(backend: Api, scope: Scope = Scope.ADMIN, **options: Any) -> Any:
    return following(backend.url, backend.tokens[scope], **options)


def blurred(*identities: int) -> bytes:
    return encode(cv2.GaussianBlur(pixels(*identities), (9, 9), 0).astype("uint8"))


def card(backend: Api, camera: str = "door") -> Any:
    privacy = api.Privacy(method="gaussian", parameter=9, applied_by=api.AppliedBy.CLIENT)
    return api.FrameCard(camera=camera, captured_at=backend.backend.services.clock(), privacy=privacy, more=False)


async def enroll(client: Any, name: str, identity: int) -> Any:
    person = await client.create_person(name)
    privacy = api.Privacy(method="gaussian", parameter=9, applied_by=api.AppliedBy.CLIENT)
    await client.enroll(person.id, [(blurred(identity), privacy)])
    return person


class TestWhatIsTold:
    async def test_hello_and_a_snapshot_come_first(self, backend: Api) -> None:
        ada = await backend.create("Ada", ADA)
        [event_id] = (await backend.frame("door", blurred(ADA))).document["events"]
        await backend.logged(1)
        async with follow(backend) as followed:
            snapshot = await followed.listener.wait("snapshot")
            assert followed.listener.kinds == ["connected", "snapshot"]
        hello = followed.listener.all("connected")[0]
        assert (hello.version, hello.api_version) == (__version__, api.API_VERSION)
        assert hello.instance_id == backend.backend.core.instance_id
        assert hello.time is not None
        [person] = snapshot.people
        assert (person.person_id, person.person, person.camera, person.present) == (ada, "Ada", "door", True)
        assert person.last_seen is not None
        assert person.score > 0.5
        [camera] = snapshot.cameras
        assert (camera.camera, camera.persons, camera.unknown) == ("door", ("Ada",), 0)
        assert (camera.last_event_id, camera.enabled, camera.parameter) == (event_id, True, None)
        assert (camera.frames, camera.skipped, camera.ts) == (1, 0, person.last_seen)
        [event] = snapshot.events
        assert (event.event_id, event.person) == (event_id, "Ada")

    async def test_events_and_states_as_they_happen(self, backend: Api) -> None:
        async with follow(backend) as followed:
            client, listener = followed.client, followed.listener
            await listener.wait("snapshot")
            ada = await enroll(client, "Ada", ADA)
            known = await client.send_frame("door", blurred(ADA), card(backend))
            event = await listener.wait("event")
            assert (event.event_id, event.person_id) == (known.event_ids[0], ada.id)
            assert event.outcome is api.Outcome.KNOWN
            await until(lambda: any(state.present for state in listener.all("person_state")))
            state = listener.all("person_state")[-1]
            assert (state.person_id, state.person, state.camera) == (ada.id, "Ada", "door")
            camera = await listener.wait("camera_state")
            assert (camera.camera, camera.persons, camera.unknown) == ("door", ("Ada",), 0)
            await client.send_frame("gate", blurred(STRANGER), card(backend, "gate"))
            assert (await listener.wait("event", 2)).outcome is api.Outcome.UNKNOWN
            await until(lambda: [state.unknown for state in listener.all("camera_state")][-1] == 1)

    async def test_people_come_are_renamed_and_go(self, backend: Api) -> None:
        async with follow(backend) as followed:
            client, listener = followed.client, followed.listener
            await listener.wait("snapshot")

            def names() -> list[str]:
                told = listener.all("people")
                return [person.name for person in told[-1]] if told else []

            ada, ben = await enroll(client, "Ada", ADA), await enroll(client, "Ben", BEN)
            await until(lambda: names() == ["Ada", "Ben"] and listener.all("people")[-1][1].faces == 1)
            await client.rename_person(ada.id, "Augusta")
            await until(lambda: names() == ["Augusta", "Ben"])
            await client.forget_person(ben.id)
            await until(lambda: names() == ["Augusta"])
            assert listener.all("people")[-1][0].id == ada.id

    async def test_a_listener_that_could_not_follow_gets_a_fresh_snapshot(self, tmp_path: Path) -> None:
        async with running(tmp_path, stream_rules=StreamRules(waiting=8)) as backend, follow(backend) as followed:
            await followed.listener.wait("snapshot")
            services = backend.backend.services
            # All at once: nothing is sent, and nothing read, before the last.
            for number in range(50):
                services.bus.tell(Message(StreamMessage.STATE, {"camera": "door", "unknown": number}))
            services.cameras.add("the newest")
            fresh = await followed.listener.wait("snapshot", 2)
            assert [camera.camera for camera in fresh.cameras] == ["the newest"]
            assert followed.listener.all("disconnected") == []

    async def test_without_tokens(self, tmp_path: Path) -> None:
        async with (
            running(tmp_path, server=ServerSettings(require_token=False)) as backend,
            following(backend.url) as followed,
        ):
            await followed.listener.wait("snapshot")

    async def test_a_path_before_the_interface(self, backend: Api) -> None:
        outside = web.Application()
        outside.add_subapp("/home/faces", create_application(backend.backend.services))
        async with (
            serve(outside, "127.0.0.1", 0) as port,
            following(f"http://127.0.0.1:{port}/home/faces", backend.tokens[Scope.IDENTIFY]) as followed,
        ):
            await followed.listener.wait("snapshot")

    async def test_whoever_stops_listening_is_gone(self, backend: Api) -> None:
        bus = backend.backend.services.bus
        for _ in range(5):
            async with follow(backend) as followed:
                await followed.listener.wait("snapshot")
                assert bus.listening == 1
            await until(lambda: bus.listening == 0)
            assert followed.task.cancelled()
            assert followed.listener.all("disconnected") == []

    async def test_a_listener_that_fails_ends_the_stream(self, backend: Api) -> None:
        class Broken(Listener):
            def snapshot(self, snapshot: Any) -> None:
                raise LookupError(len(snapshot.people))

        client = api.PrivFaceClient(backend.session, backend.url, backend.tokens[Scope.ADMIN])
        with pytest.raises(LookupError):
            await asyncio.wait_for(client.listen(Broken()), 20)
        await until(lambda: backend.backend.services.bus.listening == 0)


@contextlib.asynccontextmanager
async def opened(directory: Path, port: int, **rules: Any) -> AsyncIterator[Backend]:
    """A backend over ``directory`` that listens on ``port``."""
    async with open_backend(make_settings(directory)) as backend:
        await backend.engines_ready()
        app = create_application(backend.services, stream_rules=StreamRules(**rules))
        async with serve(app, "127.0.0.1", port):
            yield backend


class TestComingBack:
    async def test_a_backend_that_starts_again(self, tmp_path: Path) -> None:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        async with contextlib.AsyncExitStack() as stack:
            async with opened(tmp_path, port) as backend:
                token = await backend.core.storage.call(backend.core.tokens.create, "home", {Scope.ADMIN})
                followed = await stack.enter_async_context(following(url, token))
                listener = followed.listener
                await listener.wait("snapshot")
            lost = await listener.wait("disconnected")
            assert (type(lost), lost.tls) == (api.UnavailableError, False)
            # While it is away, each attempt that fails is told, too.
            await listener.wait("disconnected", 4)
            async with opened(tmp_path, port) as backend:
                await listener.wait("snapshot", 2)
                assert followed.task.done() is False
                ada = await enroll(followed.client, "Ada", ADA)
                await until(lambda: listener.all("people")[-1] == (replace(ada, faces=1),))
                first, second = listener.all("connected")
                assert first.instance_id == second.instance_id

    async def test_a_backend_that_comes_up_late(self, tmp_path: Path) -> None:
        port = free_port()
        async with following(f"http://127.0.0.1:{port}", "pf_wrong") as followed:
            await followed.listener.wait("disconnected", 3)
            assert followed.listener.kinds == ["disconnected"] * len(followed.listener.told)
            async with opened(tmp_path, port):
                assert type(await followed.failed_with()) is api.AuthenticationError

    async def test_the_default_pauses(self) -> None:
        rules, lost = api.StreamRules(), api.UnavailableError("lost")
        for failures, least, most in ((0, 1, 1), (1, 1, 2), (2, 2, 4), (5, 16, 32), (6, 30, 60), (10_000, 30, 60)):
            pauses = [rules.pause(failures, lost) for _ in range(200)]
            assert least <= min(pauses) <= max(pauses) <= most
            if least < most:
                assert len(set(pauses)) > 100
        assert rules.heartbeat * 1.5 <= 60

    async def test_pauses_grow_until_a_connection_lasted(self) -> None:
        async def hang_up(socket: web.WebSocketResponse) -> None:
            await socket.send_json(HELLO)

        async with streaming(hang_up) as url:
            for lasting, failures in ((60.0, [1, 2, 3, 4]), (0.0, [1, 1, 1, 1])):
                pauses: list[tuple[int, float]] = []
                async with following(url, rules=counting(pauses, lasting=lasting)) as followed:
                    await followed.listener.wait("disconnected", 5)
                assert [count for count, _ in pauses][:4] == failures


def counting(kept: list[tuple[int, float]], **times: float) -> Any:
    """Rules that keep the pauses asked for, each with the failures before it, and make none."""

    class Counting(api.StreamRules):  # type: ignore[misc]  # loaded at run time
        __slots__ = ()

        def pause(self, failures: int, error: Any) -> float:
            kept.append((failures, super().pause(failures, error)))
            return 0.0

    return Counting(**times)


class TestTokens:
    async def test_a_token_that_is_revoked_meanwhile(self, tmp_path: Path) -> None:
        async with running(tmp_path, stream_rules=StreamRules(recheck=0.05)) as backend, follow(backend) as followed:
            await followed.listener.wait("snapshot")
            core = backend.backend.core
            for token in await core.storage.call(core.tokens.list):
                await core.storage.call(core.tokens.revoke, token.id)
            error = await followed.failed_with()
            assert (type(error), error.code) == (api.AuthenticationError, "unauthenticated")
            assert followed.listener.kinds == ["connected", "snapshot", "disconnected"]

    @pytest.mark.parametrize("token", ["pf_wrong", "pf_ä", "pf_a\r\nX-Evil: 1"])
    async def test_a_wrong_token(self, backend: Api, token: str) -> None:
        async with following(backend.url, token) as followed:
            error = await followed.failed_with()
            assert (type(error), error.code) == (api.AuthenticationError, "unauthenticated")
            assert followed.listener.kinds == ["disconnected"]

    async def test_no_token_where_one_is_needed(self, tmp_path: Path) -> None:
        async with (
            running(tmp_path, stream_rules=StreamRules(authentication=0.1)) as backend,
            following(backend.url) as followed,
        ):
            assert type(await followed.failed_with()) is api.AuthenticationError

    async def test_a_token_that_lacks_the_scope(self, backend: Api) -> None:
        async with follow(backend, Scope.ENROLL) as followed:
            assert type(await followed.failed_with()) is api.ForbiddenError

    @pytest.mark.parametrize(
        ("code", "kind"), [(4401, "AuthenticationError"), (4403, "ForbiddenError")], ids=["4401", "4403"]
    )
    @pytest.mark.parametrize("greeted", [False, True])
    async def test_codes_that_end_listening(self, code: int, kind: str, greeted: bool) -> None:
        async def close(socket: web.WebSocketResponse) -> None:
            if greeted:
                await socket.send_json(HELLO)
            await socket.close(code=code)

        async with streaming(close) as url, following(url) as followed:
            assert type(await followed.failed_with()) is getattr(api, kind)

    async def test_too_many_attempts_are_waited_out(self) -> None:
        async def refuse(socket: web.WebSocketResponse) -> None:
            await socket.close(code=4429)

        async def refuse_earlier(request: web.Request) -> web.StreamResponse:
            return web.Response(status=429, headers={"Retry-After": "7"})

        for server, pause in ((streaming(refuse), 60.0), (answering(refuse_earlier), 7.0)):
            pauses: list[tuple[int, float]] = []
            async with server as url, following(url, rules=counting(pauses)) as followed:
                error = await followed.listener.wait("disconnected", 2)
                assert (type(error), error.code) == (api.RefusedError, "too_many_attempts")
                assert followed.task.done() is False
            assert pauses[0] == (1, pause)


@contextlib.asynccontextmanager
async def answering(handler: Callable[[web.Request], Any], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server at whose address of the stream ``handler`` answers; gives its URL."""
    app = web.Application()
    app.router.add_get("/api/v1/stream", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def streaming(speak: Callable[[web.WebSocketResponse], Any], **options: Any) -> AsyncIterator[str]:
    """A server that speaks so on its websocket."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(**options)
        await socket.prepare(request)
        await speak(socket)
        return socket

    async with answering(handle) as url:
        yield url


def saying(messages: Iterable[object]) -> Callable[[web.WebSocketResponse], Any]:
    """Says these, texts as they are, bytes as such and all else as JSON, and then listens."""

    async def speak(socket: web.WebSocketResponse) -> None:
        for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        async for _ in socket:
            pass

    return speak


class TestOddPeers:
    async def test_messages_that_cannot_be_read_are_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        odd: list[object] = [
            "",
            "Augusta {",
            "[]",
            '{"type": "event", "event": NaN}',
            {"type": "event", "event": {"person": "Augusta"}},
            {"type": "event", "event": "Augusta"},
            {"type": "event"},
            {"type": "people", "people": [{"id": "1", "name": 7}]},
            {"type": "people"},
            {"type": "state", "state": {"person_id": "1", "person": "Augusta", "last_seen": "then"}},
            {"type": "state", "state": {}},
            {"type": "snapshot", "people": {}},
        ]
        unknown: list[object] = [{}, {"type": ["event"]}, {"type": "of a later version"}, b"\x00", HELLO]
        state = {"type": "state", "state": {"camera": "door", "unknown": 2, "later": [1]}}
        with caplog.at_level(logging.DEBUG, "privface_api"):
            async with streaming(saying([HELLO, SNAPSHOT, *odd, *unknown, state])) as url, following(url) as followed:
                assert (await followed.listener.wait("camera_state")).unknown == 2
                assert followed.listener.kinds == ["connected", "snapshot", "camera_state"]
        lines = [record for record in caplog.records if record.name.startswith("privface_api")]
        assert [record.levelno for record in lines] == [logging.DEBUG] * len(odd)
        assert "Augusta" not in caplog.text

    @pytest.mark.parametrize(("api_version", "least", "too_old"), [(0, 0, True), (9, 9, False)])
    async def test_a_backend_of_another_version(self, api_version: int, least: int, too_old: bool) -> None:
        hello = HELLO | {"api_version": api_version, "min_api_version": least, "version": None}
        async with streaming(saying([hello])) as url, following(url) as followed:
            error = await followed.failed_with()
            assert (type(error), error.too_old) == (api.ApiVersionError, too_old)

    @pytest.mark.parametrize("first", ["hello", b"hello", SNAPSHOT, {"type": "hello"}, HELLO | {"instance_id": 1}])
    async def test_a_websocket_of_something_else(self, first: object) -> None:
        async with streaming(saying([first])) as url, following(url) as followed:
            error = await followed.listener.wait("disconnected", 2)
            assert type(error) is api.NotPrivFaceError
            assert followed.listener.kinds == ["disconnected"] * len(followed.listener.told)
            assert followed.task.done() is False

    @pytest.mark.parametrize(
        ("status", "kind"), [(200, "NotPrivFaceError"), (404, "NotPrivFaceError"), (502, "UnavailableError")]
    )
    async def test_no_websocket_at_all(self, status: int, kind: str) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text="<html>", content_type="text/html")

        async with answering(handle) as url, following(url) as followed:
            assert type(await followed.listener.wait("disconnected", 2)) is getattr(api, kind)
            assert followed.task.done() is False

    async def test_a_peer_that_greets_too_late(self) -> None:
        async with streaming(saying([])) as url, following(url, timeout=0.1) as followed:
            error = await followed.listener.wait("disconnected", 2)
            assert (type(error), error.code) == (api.UnavailableError, "timeout")

    async def test_a_peer_that_has_died(self) -> None:
        """It says nothing more, and its connection doesn't end: only that pings stay unanswered tells."""
        silence = asyncio.Event()

        async def greet(socket: web.WebSocketResponse) -> None:
            await socket.send_json(HELLO)
            await socket.send_json(SNAPSHOT)
            await silence.wait()

        rules = api.StreamRules(shortest=0.01, longest=0.05, heartbeat=0.2)
        async with streaming(greet, autoping=False) as url, following(url, rules=rules) as followed:
            await followed.listener.wait("snapshot")
            started = time.monotonic()
            error = await followed.listener.wait("disconnected")
            assert type(error) is api.UnavailableError
            assert time.monotonic() - started < 5
            await followed.listener.wait("snapshot", 2)
            silence.set()

    async def test_a_connection_that_breaks(self) -> None:
        async def break_off(socket: web.WebSocketResponse) -> None:
            await socket.send_json(HELLO)
            transport = socket._req.transport if socket._req else None
            assert transport is not None
            transport.abort()

        async with streaming(break_off) as url, following(url) as followed:
            assert type(await followed.listener.wait("disconnected", 2)) is api.UnavailableError

    async def test_a_message_that_is_too_large(self) -> None:
        async with streaming(saying([HELLO, " " * 9_000_000])) as url, following(url) as followed:
            assert type(await followed.listener.wait("disconnected")) is api.UnavailableError

    async def test_a_certificate_that_nobody_vouches_for(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

        async def handle(request: web.Request) -> web.StreamResponse:
            raise AssertionError

        async with answering(handle, context) as url, following(url) as followed:
            error = await followed.listener.wait("disconnected", 2)
            assert (type(error), error.tls) == (api.UnavailableError, True)
