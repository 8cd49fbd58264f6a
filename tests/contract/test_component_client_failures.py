"""The component's client before what is no backend, or one that fails: which error it is, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from support.component import load_package
from support.ports import free_port

api: Any = load_package("api")

TOKEN, NAME = "pf_secret", "Augusta"
INFO: dict[str, Any] = {
    "version": "9.9",
    "api_version": 1,
    "min_api_version": 1,
    "instance_id": "an-id",
    "ready": True,
    "trouble": {"code": "weights_missing", "message": "Fetch them."},
    "engines": {"detector": "a", "recognizer": "b", "contract": None},
    "privacy": {"method": "gaussian", "parameter": 17, "require_client": True, "working_size": 640},
    "gallery": {"people": 1, "faces": 2, "templates": 3, "stale_faces": 4, "people_to_enroll_again": 5},
    "weights": {"a.onnx": "missing"},
    "lane": {"waiting": 6},
    "time": "2026-11-24T02:00:00.000Z",
}
HTML = "<html><body>pf_secret Augusta</body></html>"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def answering(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers everything so; gives its port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def answering_bytes(*pieces: bytes) -> AsyncIterator[int]:
    """A server that waits for a request, writes these bytes and hangs up without a goodbye."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def client_at(session: aiohttp.ClientSession, port: int, scheme: str = "http", **options: Any) -> Any:
    return api.PrivFaceClient(session, f"{scheme}://127.0.0.1:{port}", TOKEN, **options)


async def failing(call: Awaitable[object]) -> Any:
    """The error that a call fails with, which must not tell what was sent."""
    with pytest.raises(api.ClientError) as caught:
        await call
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + f"{error!r} {error.message} {error.allowed}"
    assert TOKEN not in shown
    assert NAME not in shown
    return error


def replying(status: int, body: object, **headers: str) -> Handler:
    async def reply(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)

    return reply


class TestAnswersOfOthers:
    @pytest.mark.parametrize("body", ["", HTML, '{"message": "pf_secret"}', '{"error": "pf_secret"}', "[1]"])
    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            (200, "NotPrivFaceError", "unknown"),
            (204, "NotPrivFaceError", "unknown"),
            (302, "NotPrivFaceError", "unknown"),
            (400, "NotPrivFaceError", "unknown"),
            (401, "AuthenticationError", "unauthenticated"),
            (403, "ForbiddenError", "forbidden"),
            (404, "NotPrivFaceError", "unknown"),
            (405, "NotPrivFaceError", "unknown"),
            (408, "UnavailableError", "timeout"),
            (413, "RefusedError", "body_too_large"),
            (429, "RefusedError", "too_many_attempts"),
            (500, "UnavailableError", "link_unreachable"),
            (502, "UnavailableError", "link_unreachable"),
            (503, "UnavailableError", "link_unreachable"),
            (504, "UnavailableError", "timeout"),
            (521, "UnavailableError", "link_unreachable"),
        ],
    )
    async def test_the_status_decides(
        self, session: aiohttp.ClientSession, status: int, kind: str, code: str, body: str
    ) -> None:
        async with answering(replying(status, body)) as port:
            for call in (client_at(session, port).info(), client_at(session, port).create_person(NAME)):
                error = await failing(call)
                assert (type(error), error.code) == (getattr(api, kind), code)

    async def test_how_long_to_wait_is_kept(self, session: aiohttp.ClientSession) -> None:
        for text, details in (("7", {"retry_after": 7}), ("soon", {}), ("99999999", {"retry_after": 3600})):
            async with answering(replying(429, HTML, **{"Retry-After": text})) as port:
                assert (await failing(client_at(session, port).info())).details == details

    async def test_nothing_follows_to_another_address(self, session: aiohttp.ClientSession) -> None:
        reached = []

        async def reach(request: web.Request) -> web.StreamResponse:
            reached.append(request.path)
            return web.json_response(INFO)

        async with answering(reach) as elsewhere:
            for status in (301, 302, 303, 307, 308):
                to = f"http://127.0.0.1:{elsewhere}/api/v1/info"
                async with answering(replying(status, HTML, Location=to)) as port:
                    error = await failing(client_at(session, port).info())
                assert type(error) is api.NotPrivFaceError
        assert reached == []

    @pytest.mark.parametrize(
        "body",
        [
            "NaN",
            "[" * 100_000,
            {},
            {"people": {}},
            {"people": [1]},
            {"people": [{"id": 1, "name": "Augusta"}]},
            {"people": [{"id": "1", "name": "Augusta", "created_at": "yesterday"}]},
        ],
    )
    async def test_answers_of_another_shape(self, session: aiohttp.ClientSession, body: object) -> None:
        async with answering(replying(200, body)) as port:
            assert type(await failing(client_at(session, port).people())) is api.NotPrivFaceError

    async def test_an_answer_without_end_is_not_read_to_it(self, session: aiohttp.ClientSession) -> None:
        async def pour(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 1_000_000)

        async with answering(pour) as port:
            error = await failing(client_at(session, port).info())
        assert type(error) is api.NotPrivFaceError

    @pytest.mark.parametrize(
        ("pieces", "kind"),
        [
            ((b"220 ftp.example ready\r\n",), "NotPrivFaceError"),
            ((b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n",), "NotPrivFaceError"),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: pf_secret\r\n\r\n",), "NotPrivFaceError"),
            ((), "UnavailableError"),
            ((b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",), "UnavailableError"),
            ((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b'{"people": ['), "UnavailableError"),
            ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\n{\r\n"), "UnavailableError"),
            ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n", b"abcd"), "UnavailableError"),
        ],
    )
    async def test_no_http_or_half_of_it(
        self, session: aiohttp.ClientSession, pieces: tuple[bytes, ...], kind: str
    ) -> None:
        async with answering_bytes(*pieces) as port:
            client = client_at(session, port)
            assert type(await failing(client.people())) is getattr(api, kind)
            assert type(await failing(client.create_person(NAME))) is getattr(api, kind)


class TestWordsOfABackend:
    @pytest.mark.parametrize(
        ("status", "code", "kind", "read"),
        [
            (409, "person_exists", "RefusedError", "person_exists"),
            (503, "overloaded", "RefusedError", "overloaded"),
            (500, "internal", "RefusedError", "internal"),
            (404, "not_found", "RefusedError", "not_found"),
            (401, "unauthenticated", "AuthenticationError", "unauthenticated"),
            (403, "forbidden", "ForbiddenError", "forbidden"),
            (504, "timeout", "UnavailableError", "timeout"),
            (418, "of_a_later_version", "RefusedError", "unknown"),
        ],
    )
    async def test_the_code_decides(
        self, session: aiohttp.ClientSession, status: int, code: str, kind: str, read: str
    ) -> None:
        body = {"error": {"code": code, "message": f"{TOKEN} {NAME}"}, "request_id": "1"}
        async with answering(replying(status, body)) as port:
            error = await failing(client_at(session, port).create_person(NAME))
        assert (type(error), error.code) == (getattr(api, kind), read)

    async def test_what_would_be_allowed_and_details_are_kept(self, session: aiohttp.ClientSession) -> None:
        told = {"code": "bad_name", "message": "No.", "allowed": "x" * 10_000, "details": {"retry_after": 3}}
        async with answering(replying(400, {"error": told})) as port:
            error = await failing(client_at(session, port).create_person(NAME))
        assert error.allowed == "x" * 500
        assert error.details == {"retry_after": 3}

    @pytest.mark.parametrize("told", [{"code": 404, "message": "x"}, {"code": "bad_name"}, {"message": "x"}, []])
    async def test_other_words_are_not_a_backends(self, session: aiohttp.ClientSession, told: object) -> None:
        async with answering(replying(409, {"error": told})) as port:
            assert type(await failing(client_at(session, port).people())) is api.NotPrivFaceError


class TestVersions:
    @pytest.mark.parametrize(
        ("ours", "theirs", "too_old"), [(0, 0, True), (-1, 0, True), (2, 2, False), (99, 98, False)]
    )
    async def test_a_backend_without_a_version_in_common(
        self, session: aiohttp.ClientSession, ours: int, theirs: int, too_old: bool
    ) -> None:
        # What else it says may have any shape.
        body = {"api_version": ours, "min_api_version": theirs, "version": 7, "engines": []}
        async with answering(replying(200, body)) as port:
            error = await failing(client_at(session, port).info())
        assert (type(error), error.too_old, error.code) == (api.ApiVersionError, too_old, "api_version")

    async def test_a_newer_backend_that_still_speaks_this_version(self, session: aiohttp.ClientSession) -> None:
        async with answering(replying(200, INFO | {"api_version": 9, "later": {"x": [1]}})) as port:
            info = await client_at(session, port).info()
        assert (info.api_version, info.trouble, info.waiting) == (9, api.ErrorCode.WEIGHTS_MISSING, 6)
        assert (info.faces, info.templates, info.stale_faces, info.people_to_enroll_again) == (2, 3, 4, 5)
        assert dict(info.weights) == {"a.onnx": "missing"}
        assert info.time == datetime(2026, 11, 24, 2, tzinfo=UTC)

    async def test_an_older_backend_that_says_less(self, session: aiohttp.ClientSession) -> None:
        said = {name: INFO[name] for name in ("version", "api_version", "min_api_version", "instance_id")}
        async with answering(replying(200, said)) as port:
            info = await client_at(session, port).info()
        assert (info.waiting, info.time, info.ready, info.trouble, info.working_size) == (0, None, False, None, 640)

    async def test_a_refusal_for_the_version(self, session: aiohttp.ClientSession) -> None:
        body = {"error": {"code": "api_version", "message": "Update."}}
        async with answering(replying(400, body)) as port:
            error = await failing(client_at(session, port).people())
        assert (type(error), error.too_old) == (api.ApiVersionError, False)


class TestConnections:
    async def test_nobody_listens(self, session: aiohttp.ClientSession) -> None:
        error = await failing(client_at(session, free_port()).info())
        assert (type(error), error.code, error.tls) == (api.UnavailableError, "link_unreachable", False)

    async def test_a_name_that_nobody_has(self, session: aiohttp.ClientSession) -> None:
        error = await failing(api.PrivFaceClient(session, "http://privface.invalid:8090", TOKEN, timeout=20).info())
        assert (type(error), error.tls) == (api.UnavailableError, False)

    async def test_an_address_that_no_request_can_be_sent_to(self, session: aiohttp.ClientSession) -> None:
        error = await failing(api.PrivFaceClient(session, "http://a b", TOKEN).info())
        assert isinstance(error, api.AddressError | api.UnavailableError)

    async def test_no_answer_in_time(self, session: aiohttp.ClientSession) -> None:
        async def wait(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        async with answering(wait) as port:
            error = await failing(client_at(session, port, timeout=0.2).info())
        assert (type(error), error.code, error.tls) == (api.UnavailableError, "timeout", False)

    async def test_an_answer_that_trickles(self, session: aiohttp.ClientSession) -> None:
        async def trickle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)

        async with answering(trickle) as port:
            error = await failing(client_at(session, port, timeout=0.3).info())
        assert (type(error), error.code) == (api.UnavailableError, "timeout")

    async def test_each_version_of_an_enrollment_has_its_time(self, session: aiohttp.ClientSession) -> None:
        async def answer_late(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.5)
            person = {"id": "1", "name": NAME, "created_at": "2026-11-24T02:00:00Z", "faces": 1}
            return web.json_response({"person": person, "faces": [{}], "refused": []}, status=201)

        versions = [(b"x", api.Privacy())] * 20
        async with answering(answer_late) as port:
            client = client_at(session, port, timeout=0.25)
            assert (await client.enroll("1", versions)).faces == 1
            assert (await failing(client.enroll("1", versions[:1]))).code == "timeout"

    async def test_being_cancelled_is_no_error(self, session: aiohttp.ClientSession) -> None:
        reached = asyncio.Event()

        async def wait(request: web.Request) -> web.StreamResponse:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with answering(wait) as port:
            asking = asyncio.create_task(client_at(session, port).info())
            await asyncio.wait_for(reached.wait(), 10)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking


class TestCertificates:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    def server_side(self, authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    async def test_one_that_nobody_vouches_for(self, session: aiohttp.ClientSession, authority: trustme.CA) -> None:
        async with answering(replying(200, INFO), self.server_side(authority)) as port:
            error = await failing(client_at(session, port, "https").info())
            assert (type(error), error.tls, error.code) == (api.UnavailableError, True, "link_unreachable")

    async def test_one_of_another_computer(self, authority: trustme.CA) -> None:
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with (
            answering(replying(200, INFO), self.server_side(authority, "elsewhere.example")) as port,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            assert (await failing(client_at(session, port, "https").info())).tls is True

    async def test_the_session_decides_what_to_trust(self, authority: trustme.CA) -> None:
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with answering(replying(200, INFO), self.server_side(authority)) as port:
            for trust in (trusting, False):
                connector = aiohttp.TCPConnector(ssl=trust)
                async with aiohttp.ClientSession(connector=connector) as session:
                    assert (await client_at(session, port, "https").info()).version == "9.9"

    async def test_the_wrong_scheme(self, session: aiohttp.ClientSession, authority: trustme.CA) -> None:
        async with answering(replying(200, INFO)) as port:
            assert (await failing(client_at(session, port, "https").info())).tls is True
        async with answering(replying(200, INFO), self.server_side(authority)) as port:
            error = await failing(client_at(session, port).info())
            assert isinstance(error, api.UnavailableError | api.NotPrivFaceError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
PERSON = {"id": "1", "name": "Ada", "created_at": "2026-11-24T02:00:00Z", "faces": 1}
PERSON_STATE = {
    "person_id": "1",
    "person": "Ada",
    "camera": "door",
    "last_seen": 1.5,
    "score": 0.5,
    "present": True,
    "state": "seen",
    "since": "2026-11-24T02:00:00Z",
}
CAMERA = {
    "camera": "door",
    "persons": ["Ada"],
    "unknown": 1,
    "unknown_seen": "2026-11-24T02:00:00Z",
    "last_event_id": "e",
    "ts": "2026-11-24T02:00:00Z",
    "enabled": True,
    "parameter": 17,
    "frames": 1,
    "skipped": 0,
}
FACE = {"box": [0, 0, 0.5, 1], "outcome": "known", "person": "Ada", "score": 1, "relative": None, "detection": 0.9}
EVENT = {
    "event_id": "e",
    "camera": "door",
    "seq": 1,
    "ts": "2026-11-24T02:00:00Z",
    "captured_at": "2026-11-24T02:00:00Z",
    "expires_at": "2026-11-24T02:01:00+01:00",
    "box": [0, 0, 1, 1],
    "votes": {"known": 1},
    "privacy": {"method": "gaussian", "parameter": 17, "relative": 0.1, "applied_by": "client"},
    "engine": {"detector": "a", "recognizer": "b"},
    "latency_ms": {"detect": 1.5},
    "requestor": {"id": "x", "type": "y"},
    "faces": 1,
    "evidence": 3.5,
    "corrects": "d",
    "stranger": {"id": "s", "number": 12, "visit": 3},
}
FOUND = {"frame": 0, "faces": [FACE], "latency_ms": {"total": 1}, "events": ["e"], "visits": ["v"], "reason": "ok"}
DOCUMENTS: dict[str, Mapping[str, Any]] = {
    "Info": INFO,
    "Hello": INFO,
    "Person": PERSON,
    "PersonState": PERSON_STATE,
    "CameraState": CAMERA,
    "Camera": CAMERA,
    "Event": EVENT,
    "Snapshot": {"people": [PERSON_STATE], "cameras": [CAMERA], "events": [EVENT]},
    "Identification": FOUND,
    "FrameAnswer": FOUND,
    "Receipt": {"person_id": "1", "faces": 1, "templates": 2, "events": 3, "folder_pictures": 4},
    "Enrollment": {"person": PERSON, "faces": [{}], "refused": [{"file": 1, "error": {"code": "no_face"}}]},
}


LATER = ("state", "since", "unknown_seen", "visits", "evidence", "corrects", "stranger")


@pytest.mark.parametrize("model", ["PersonState", "CameraState", "Event", "FrameAnswer"])
def test_an_older_backend_says_less(model: str) -> None:
    document = {key: value for key, value in DOCUMENTS[model].items() if key not in LATER}
    read = getattr(api, model).from_dict
    assert read(document) != read(DOCUMENTS[model])
    if model == "PersonState":
        assert (read(document).phase, read(document).since) == (api.PresencePhase.UNKNOWN, None)
        assert read({**document, "state": "of later"}).phase is api.PresencePhase.UNKNOWN


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a document."""
    if isinstance(value, dict):
        items: list[tuple[Any, object]] = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    return [(*path, key) for key, _ in items] + [found for key, item in items for found in places(item, (*path, key))]


def put(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """The document with another value at ``path``."""
    if not path:
        return new
    key, *rest = path
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = put(value[key], tuple(rest), new)
    return changed


@pytest.mark.parametrize("model", DOCUMENTS)
def test_documents_as_they_should_be(model: str) -> None:
    document = DOCUMENTS[model]
    read = getattr(api, model).from_dict
    assert read(document) == read({**document, "a key of later": [1]})


@pytest.mark.parametrize("model", DOCUMENTS)
@given(data=st.data())
def test_documents_of_any_other_shape_are_read_or_refused(model: str, data: st.DataObject) -> None:
    document = DOCUMENTS[model]
    path = data.draw(st.sampled_from(places(document)))
    changed = put(document, path, data.draw(JSON))
    with contextlib.suppress(api.WireError):
        getattr(api, model).from_dict(changed)


def test_what_was_refused_is_told_with_its_reason() -> None:
    read = api.Enrollment.from_dict(DOCUMENTS["Enrollment"])
    assert (read.faces, read.refused) == (1, ((1, api.ErrorCode.NO_FACE),))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("ts",), "0001-01-01T00:00:00+14:00"),
        (("ts",), "2026-11-24T02:00:00"),
        (("ts",), float("inf")),
        (("seq",), float("inf")),
        (("votes", "known"), float("nan")),
        (("latency_ms", "detect"), "fast"),
        (("box",), [0, 0, 1, 10**400]),
        (("privacy", "relative"), 10**400),
    ],
)
def test_values_that_no_event_can_have(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(api.WireError):
        api.Event.from_dict(put(EVENT, path, value))


@pytest.mark.parametrize("faces", [7, [7], {"box": []}])
def test_faces_that_no_frame_can_have(faces: object) -> None:
    with pytest.raises(api.WireError):
        api.Identification.from_dict({**FOUND, "faces": faces})
