"""Who is let in: tokens, scopes, failed attempts, and the door without a lock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from privface_backend.protocol import Scope
from privface_backend.rest.application import OPERATIONS
from privface_backend.rest.authentication import AttemptLimit, is_local
from privface_backend.rest.operations import Operation
from privface_backend.settings_sections import ServerSettings
from support.backend import ADA, Api, picture, running

GUARDED = [operation for operation in OPERATIONS if operation.scope and not operation.authenticates_itself]
OPEN = [operation for operation in OPERATIONS if not operation.scope]


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def path_of(operation: Operation) -> str:
    return operation.path.replace("{", "").replace("}", "")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


async def test_every_guarded_operation_asks_for_a_token(api: Api) -> None:
    assert len(GUARDED) > 15
    for operation in GUARDED:
        reply = await api.call(operation.method, path_of(operation), pattern=operation.path, scope=None)
        assert (reply.status, reply.code) == (401, "unauthenticated"), name_of(operation)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_every_operation_asks_for_its_own_scope(api: Api) -> None:
    for operation in GUARDED:
        for scope in (Scope.IDENTIFY, Scope.ENROLL):
            reply = await api.call(operation.method, path_of(operation), pattern=operation.path, scope=scope)
            if scope is operation.scope:
                assert reply.status not in {401, 403}, name_of(operation)
            else:
                assert (reply.status, reply.code) == (403, "forbidden"), name_of(operation)
                assert str(operation.scope) in reply.document["error"]["allowed"]


async def test_admin_includes_the_other_scopes(api: Api) -> None:
    for operation in GUARDED:
        reply = await api.call(operation.method, path_of(operation), pattern=operation.path, scope=Scope.ADMIN)
        assert reply.status not in {401, 403}, name_of(operation)


async def test_identify_and_enroll_are_enough_for_all_but_cameras_and_the_audit_log(api: Api) -> None:
    both = {Scope.IDENTIFY, Scope.ENROLL}
    tokens = api.backend.core.tokens
    token = await api.backend.core.storage.call(tokens.create, "Home Assistant", both)
    headers = {"Authorization": f"Bearer {token}"}
    forbidden = set()
    for operation in GUARDED:
        path, pattern = path_of(operation), operation.path
        reply = await api.call(operation.method, path, pattern=pattern, scope=None, headers=headers)
        assert reply.status != 401, name_of(operation)
        if reply.status == 403:
            forbidden.add(name_of(operation))
    assert forbidden == {
        "PATCH /api/v1/cameras/{camera}",
        "DELETE /api/v1/cameras/{camera}",
        "GET /api/v1/audit",
        "GET /api/v1/people/{person}/export",
        "PUT /api/v1/calibration/apply",
    }
    async with api.session.ws_connect(f"{api.url}/api/v1/stream", headers=headers) as stream:
        assert (await stream.receive_json(timeout=10))["type"] == "hello"


async def test_what_needs_no_token_holds_no_secret() -> None:
    assert {operation.path for operation in OPEN} == {
        "/healthz",
        "/readyz",
        "/api/v1/openapi.json",
        "/api/v1/docs",
        "/api/v1/docs/{file}",
    }


@pytest.mark.parametrize(
    "header",
    [
        "Bearer pf_wrong",
        "Bearer",
        "Bearer ",
        "Basic cGZfd3Jvbmc6",
        "pf_wrong",
        "Bearer " + "x" * 5000,
        "Bearer pf_\u00e9",
    ],
)
async def test_a_wrong_token_is_refused(api: Api, header: str) -> None:
    reply = await api.call("GET", "/api/v1/info", scope=None, headers={"Authorization": header})
    assert (reply.status, reply.code) == (401, "unauthenticated")


async def test_a_token_in_the_address_is_no_token(api: Api) -> None:
    token = api.tokens[Scope.ADMIN]
    reply = await api.call("GET", f"/api/v1/info?token={token}&access_token={token}", scope=None)
    assert reply.status == 401


async def test_a_revoked_token_is_refused(api: Api) -> None:
    core = api.backend.core
    assert (await api.call("GET", "/api/v1/info", scope=Scope.IDENTIFY)).status == 200
    [info] = [token for token in await core.storage.call(core.tokens.list) if token.scopes == {Scope.IDENTIFY}]
    assert await core.storage.call(core.tokens.revoke, info.id)
    assert (await api.call("GET", "/api/v1/info", scope=Scope.IDENTIFY)).status == 401


async def test_many_wrong_tokens_are_slowed_and_right_ones_are_not(api: Api) -> None:
    wrong = {"Authorization": "Bearer pf_wrong"}
    codes = [(await api.call("GET", "/api/v1/info", scope=None, headers=wrong)).code for _ in range(12)]
    assert codes[:10] == ["unauthenticated"] * 10
    assert codes[10:] == ["too_many_attempts"] * 2
    refused = await api.call("GET", "/api/v1/info", scope=None, headers=wrong)
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    assert (await api.call("GET", "/api/v1/info")).status == 200


def test_attempts_come_back_one_by_one() -> None:
    now = 1000.0
    limit = AttemptLimit(lambda: now)
    assert [limit.take("10.0.0.7") for _ in range(10)] == [0] * 10
    assert limit.take("10.0.0.7") == 6
    assert limit.take("10.0.0.8") == 0
    now += 5.5
    assert limit.take("10.0.0.7") == 1
    now += 0.5
    assert limit.take("10.0.0.7") == 0
    assert limit.take("10.0.0.7") == 6


def test_one_ipv6_home_counts_as_one_address() -> None:
    limit = AttemptLimit(lambda: 0.0)
    assert [limit.take(f"2001:db8::{host:x}") for host in range(11)] == [0] * 10 + [6]
    assert limit.take("2001:db8:0:1::1") == 0


def test_attempts_of_many_addresses_are_forgotten_oldest_first() -> None:
    limit = AttemptLimit(lambda: 0.0)
    for _ in range(10):
        limit.take("10.0.0.7")
    for host in range(1024):
        limit.take(f"10.1.{host // 256}.{host % 256}")
    assert limit.take("10.0.0.7") == 0


@pytest.fixture
async def unlocked(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, server=ServerSettings(require_token=False)) as api:
        yield api


async def test_without_tokens_every_program_at_home_is_served(unlocked: Api) -> None:
    assert (await unlocked.identify(picture(ADA), scope=None)).status == 200
    for host in ("privface", "privface.local:8090", "192.168.1.5:8090", "[fd00::5]:8090", "localhost"):
        reply = await unlocked.call("GET", "/api/v1/people", scope=None, headers={"Host": host})
        assert reply.status == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "attacker.example:8090", "Origin": "http://attacker.example:8090"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.attacker.example"},
    ],
)
async def test_without_tokens_pages_of_other_sites_are_refused(unlocked: Api, headers: dict[str, str]) -> None:
    reply = await unlocked.call("GET", "/api/v1/people", scope=None, headers=headers)
    assert (reply.status, reply.code) == (403, "forbidden")


def request_from(peer: str, host: str, **headers: str) -> web.Request:
    sent = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", headers=sent).clone(remote=peer)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8090", "localhost", "[::1]:8090"])
def test_a_request_on_this_computer_is_local(peer: str, host: str) -> None:
    assert is_local(request_from(peer, host))


@pytest.mark.parametrize(
    "request_",
    [
        request_from("192.168.1.5", "127.0.0.1"),
        request_from("127.0.0.1", "attacker.example"),
        request_from("127.0.0.1", "localhost.attacker.example"),
        request_from("127.0.0.1", "192.168.1.5"),
        request_from("127.0.0.1", ""),
        request_from("127.0.0.1", "localhost", X_Forwarded_For="203.0.113.9"),
        request_from("127.0.0.1", "localhost", Forwarded="for=203.0.113.9"),
        request_from("127.0.0.1", "localhost", Origin="http://localhost"),
    ],
)
def test_a_request_passed_on_or_from_elsewhere_is_not_local(request_: web.Request) -> None:
    assert not is_local(request_)
