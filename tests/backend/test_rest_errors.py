"""What surrounds every handler: errors as JSON, request ids, headers, logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from privface_backend.errors import HTTP_STATUS
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.compreface import compreface_routes
from privface_backend.rest.deepstack import deepstack_routes
from privface_backend.rest.operations import API
from privface_backend.rest.sifis import ancestor_routes
from privface_backend.settings_sections import DropInSettings
from support.backend import ADA, Api, form, make_settings, picture, running

NOTHING: dict[str, str] = {}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


def test_every_code_has_a_status() -> None:
    assert set(HTTP_STATUS) == set(ErrorCode)


@pytest.mark.parametrize("path", ["/", "/api", "/api/v2/info", "/api/v1/nothing", "/api/v1/docs/../../../etc/passwd"])
async def test_an_unknown_address_is_not_found(api: Api, path: str) -> None:
    reply = await api.call("GET", path)
    assert (reply.status, reply.code) == (404, "not_found")


async def test_an_unknown_method_is_refused_with_those_allowed(api: Api) -> None:
    reply = await api.call("PUT", "/api/v1/identify", pattern="/api/v1/identify")
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "POST"


async def test_every_answer_has_an_id_and_a_plain_one_of_the_sender_is_kept(api: Api) -> None:
    own = await api.call("GET", "/healthz", headers={"X-Request-Id": "door-7.2"})
    assert own.headers["X-Request-Id"] == "door-7.2"
    for odd in ("two words", "x" * 65, "<script>"):
        reply = await api.call("GET", "/nowhere", headers={"X-Request-Id": odd})
        assert reply.headers["X-Request-Id"] not in {odd, ""}
        assert reply.document["request_id"] == reply.headers["X-Request-Id"]


async def test_every_answer_has_safe_headers_and_none_for_other_sites(api: Api) -> None:
    for path in ("/healthz", "/nowhere", f"{API}/info"):
        reply = await api.call("GET", path, headers={"Origin": "https://attacker.example"})
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "aiohttp" not in reply.headers["Server"]
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


async def test_an_unexpected_error_says_nothing_of_what_was_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: web.Request) -> web.Response:
        try:
            return web.Response(text=NOTHING[request.query["q"]])
        except KeyError as error:
            raise ValueError(request.query["q"]) from error

    async with running(tmp_path, more_routes=[web.get("/fail", fail)]) as api:
        async with api.session.get(api.url + "/fail?q=secret") as response:
            document = await response.json()
        assert response.status == 500
        assert document["error"]["code"] == "internal"
        assert "secret" not in json.dumps(document)
        assert "secret" not in caplog.text
        assert "ValueError" in caplog.text
        assert "KeyError" in caplog.text
        assert document["request_id"] in caplog.text


async def test_an_expected_http_error_of_a_handler_becomes_json(tmp_path: Path) -> None:
    async def teapot(_request: web.Request) -> web.Response:
        raise web.HTTPGone(text="secret")

    async with running(tmp_path, more_routes=[web.get("/gone", teapot)]) as api:
        async with api.session.get(api.url + "/gone") as response:
            document = await response.json()
        assert (response.status, document["error"]["code"]) == (400, "bad_request")
        assert "secret" not in json.dumps(document)


async def test_the_log_holds_no_name_no_query_and_no_token(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ada = await api.create("Ada Lovelace", ADA)
    await api.frame("nursery", picture(ADA))
    await api.call("GET", f"{API}/events?person_id={ada}&camera=nursery", pattern=f"{API}/events")
    await api.call("GET", f"{API}/cameras/nursery", pattern=f"{API}/cameras/{{camera}}")
    await api.call("GET", f"{API}/people/Ada%20Lovelace", pattern=f"{API}/people/{{person}}")
    assert f"{API}/cameras/{{camera}}" in caplog.text
    for secret in ("Lovelace", "nursery", ada, "person_id", *api.tokens.values()):
        assert secret not in caplog.text


async def test_a_body_cut_off_does_no_harm(api: Api) -> None:
    token = api.tokens[Scope.ADMIN]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST {API}/identify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: image/png\r\nContent-Length: 100000\r\n\r\nhalf".encode()
    )
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert b" 200 " not in answer
    assert (await api.identify(picture(ADA))).status == 200


async def test_a_request_that_is_no_http_is_refused_and_not_quoted(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    token = api.tokens[Scope.ADMIN]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"GET {API}/info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\0\r\n\r\n".encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert b" 400 " in answer
    assert token not in caplog.text
    assert "BadHttpMessage" in caplog.text


async def test_a_field_that_is_no_text_is_refused(api: Api) -> None:
    data = form(picture(ADA))
    data.add_field("card", io.BytesIO(b"\xff\xfe\x00"))
    reply = await api.call("POST", f"{API}/identify", data=data)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_the_access_log_shows_plain_patterns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = make_settings(tmp_path, dropin=DropInSettings(deepstack=True, compreface=True))
    routes = (*deepstack_routes(settings), *compreface_routes(settings), *ancestor_routes(settings))
    caplog.set_level(logging.DEBUG, "privface_backend.rest.middleware")
    async with running(tmp_path, more_routes=routes) as api:
        for method, path in (
            ("POST", "/v1/vision/face/recognize/"),
            ("GET", "/api/v1/recognition/faces/"),
            ("GET", "/service/cam_face_recognition/rtsp://secret/x/17/Ada/NSSD/request-1"),
            ("GET", "/nowhere/Ada"),
        ):
            async with api.session.request(method, f"{api.url}{path}") as response:
                assert response.status >= 400
    patterns = [record.getMessage().split()[1:3] for record in caplog.records if record.getMessage().endswith(" ms")]
    assert patterns == [
        ["POST", "/v1/vision/face/recognize"],
        ["GET", "/api/v1/recognition/faces"],
        ["GET", "/cam_face_recognition/{cam_link}/{privacy_parameter}/{requestor_id}/{requestor_type}/{request_id}"],
        ["GET", "-"],
    ]
