"""The websocket: attach, snapshot, stream; tokens, slow listeners, the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from privface_backend.events import Message
from privface_backend.protocol import API_VERSION, Scope, StreamMessage, to_wire_time
from privface_backend.rest.stream import StreamRules
from privface_backend.settings_sections import ServerSettings
from support.backend import ADA, Api, check_document, picture, running, until

STREAM = "/api/v1/stream"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


def bearer(api: Api, scope: Scope = Scope.IDENTIFY) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.tokens[scope]}"}


async def receive(stream: aiohttp.ClientWebSocketResponse) -> Any:
    """The next message, held against its description."""
    async with asyncio.timeout(10):
        message = await stream.receive()
    assert message.type is aiohttp.WSMsgType.TEXT, message
    document = json.loads(message.data)
    check_document(document, {"$ref": "#/components/schemas/StreamMessage"})
    return document


async def receive_kind(stream: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    """The next message of a kind; what it holds, where that is one object."""
    while (message := await receive(stream))["type"] != kind:
        pass
    return message[kind] if kind in {"event", "state"} else message


async def closed_with(stream: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        while not stream.closed:
            await stream.receive()
    return stream.close_code


@contextlib.asynccontextmanager
async def listening(api: Api) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A stream past its snapshot."""
    async with api.session.ws_connect(api.url + STREAM, headers=bearer(api)) as stream:
        await receive_kind(stream, "snapshot")
        yield stream


async def test_a_listener_gets_hello_a_snapshot_and_then_what_happens(api: Api) -> None:
    ada = await api.create("Ada", ADA)
    first = (await api.frame("door", picture(ADA))).document["events"][0]
    await api.logged(1)
    started = to_wire_time(api.backend.services.clock())
    async with api.session.ws_connect(api.url + STREAM, headers=bearer(api)) as stream:
        hello = await receive(stream)
        assert hello["type"] == "hello"
        assert hello["api_version"] == API_VERSION
        assert hello["instance_id"] == api.backend.core.instance_id
        assert started <= hello["time"] <= to_wire_time(api.backend.services.clock())
        snapshot = await receive(stream)
        assert snapshot["type"] == "snapshot"
        [person] = snapshot["people"]
        assert (person["person_id"], person["present"], person["camera"]) == (ada, True, "door")
        [camera] = snapshot["cameras"]
        assert (camera["camera"], camera["persons"], camera["enabled"]) == ("door", ["Ada"], True)
        assert [event["event_id"] for event in snapshot["events"]] == [first]
        second = (await api.frame("gate", picture(ADA))).document["events"][0]
        event = await receive_kind(stream, "event")
        assert (event["event_id"], event["person"], event["camera"]) == (second, "Ada", "gate")
        state = await receive_kind(stream, "state")
        assert state["camera"] == "gate"
        await api.create("Ben")
        assert [known["name"] for known in (await receive_kind(stream, "people"))["people"]] == ["Ada", "Ben"]


async def test_nothing_is_lost_between_snapshot_and_stream(api: Api) -> None:
    async with listening(api) as stream:
        sent = []
        for number in range(20):
            sent += (await api.frame(f"door {number}", picture(ADA))).document["events"]
        assert [(await receive_kind(stream, "event"))["event_id"] for _ in sent] == sent


async def test_the_token_can_be_the_first_message(api: Api) -> None:
    async with api.session.ws_connect(api.url + STREAM) as stream:
        await stream.send_json({"type": "auth", "token": api.tokens[Scope.ADMIN]})
        assert (await receive(stream))["type"] == "hello"


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"type": "auth", "token": "pf_wrong"}),
        json.dumps({"type": "auth", "token": 7}),
        json.dumps({"type": "auth"}),
        json.dumps({"type": "hello", "token": "x"}),
        "[]",
        "{",
        "",
    ],
)
async def test_a_wrong_first_message_closes_the_stream(api: Api, message: str) -> None:
    async with api.session.ws_connect(api.url + STREAM) as stream:
        await stream.send_str(message)
        assert await closed_with(stream) == 4401
    await until(lambda: api.backend.services.bus.listening == 0)


async def test_a_first_message_of_bytes_or_of_too_many_closes_the_stream(api: Api) -> None:
    async with api.session.ws_connect(api.url + STREAM) as stream:
        await stream.send_bytes(b"x")
        assert await closed_with(stream) == 4401
    async with api.session.ws_connect(api.url + STREAM) as stream:
        await stream.send_str("x" * 10_000)
        assert await closed_with(stream) == 1009


async def test_a_token_without_the_scope_closes_the_stream(api: Api) -> None:
    async with api.session.ws_connect(api.url + STREAM) as stream:
        await stream.send_json({"type": "auth", "token": api.tokens[Scope.ENROLL]})
        assert await closed_with(stream) == 4403


async def test_too_many_wrong_tokens_close_the_stream_with_a_code_of_their_own(api: Api) -> None:
    codes = []
    for _ in range(11):
        async with api.session.ws_connect(api.url + STREAM) as stream:
            await stream.send_json({"type": "auth", "token": "pf_wrong"})
            codes.append(await closed_with(stream))
    assert codes == [4401] * 10 + [4429]


async def test_a_wrong_token_in_the_header_is_refused_before_the_upgrade(api: Api) -> None:
    for headers, status in (({"Authorization": "Bearer pf_wrong"}, 401), (bearer(api, Scope.ENROLL), 403)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await api.session.ws_connect(api.url + STREAM, headers=headers)
        assert refused.value.status == status


async def test_a_token_in_the_address_is_no_token(tmp_path: Path) -> None:
    async with (
        running(tmp_path, stream_rules=StreamRules(authentication=0.2)) as api,
        api.session.ws_connect(f"{api.url}{STREAM}?token={api.tokens[Scope.ADMIN]}") as stream,
    ):
        assert await closed_with(stream) == 4401


async def test_without_tokens_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, server=ServerSettings(require_token=False)) as api:
        async with api.session.ws_connect(api.url + STREAM) as stream:
            assert (await receive(stream))["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await api.session.ws_connect(api.url + STREAM, origin="https://attacker.example")
        assert refused.value.status == 403


async def test_a_plain_request_is_refused(api: Api) -> None:
    reply = await api.call("GET", STREAM)
    assert (reply.status, reply.code) == (400, "bad_request")


async def test_a_revoked_token_ends_its_stream(tmp_path: Path) -> None:
    async with running(tmp_path, stream_rules=StreamRules(recheck=0.05)) as api:
        core = api.backend.core
        async with listening(api) as stream:
            [info] = [token for token in await core.storage.call(core.tokens.list) if token.scopes == {Scope.IDENTIFY}]
            await core.storage.call(core.tokens.revoke, info.id)
            assert await closed_with(stream) == 4401


async def test_a_listener_that_goes_is_forgotten(api: Api) -> None:
    async with listening(api):
        assert api.backend.services.bus.listening == 1
    await until(lambda: api.backend.services.bus.listening == 0)


async def test_a_listener_that_says_nothing_any_more_is_dropped(tmp_path: Path) -> None:
    async with (
        running(tmp_path, stream_rules=StreamRules(heartbeat=0.2)) as api,
        api.session.ws_connect(api.url + STREAM, headers=bearer(api), autoping=False) as stream,
    ):
        await receive_kind(stream, "snapshot")
        # Its pings are never answered.
        await until(lambda: api.backend.services.bus.listening == 0)


async def test_what_a_listener_says_is_left_alone(api: Api) -> None:
    async with listening(api) as stream:
        await stream.send_str("anything")
        await stream.send_bytes(b"anything")
        [event_id] = (await api.frame("door", picture(ADA))).document["events"]
        assert (await receive_kind(stream, "event"))["event_id"] == event_id


def filler(number: int) -> Message:
    return Message(StreamMessage.STATE, {"camera": "door", "filler": "x" * 50_000, "n": number})


async def fill(api: Api) -> int:
    """Tell things until the only listener's connection takes no more; how many."""
    bus = api.backend.services.bus
    [listener] = bus._listeners
    told = 0
    while not listener.lost:
        bus.tell(filler(told))
        told += 1
        with contextlib.suppress(TimeoutError):
            await until(lambda: not listener._items, seconds=0.2)
    return told


async def test_a_slow_listener_loses_the_oldest_and_gets_a_fresh_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path, stream_rules=StreamRules(waiting=8)) as api, slow_stream(api) as reader:
        services = api.backend.services
        await until(lambda: services.bus.listening == 1)
        told = await fill(api)
        services.cameras.add("the newest")
        numbers = []
        async with asyncio.timeout(30):
            assert [json.loads(await read_text(reader))["type"] for _ in range(2)] == ["hello", "snapshot"]
            while (document := json.loads(await read_text(reader)))["type"] == "state":
                numbers.append(document["state"]["n"])
            assert document["type"] == "resync"
            assert "the newest" in {camera["camera"] for camera in document["cameras"]}
            services.bus.tell(filler(told))
            after = json.loads(await read_text(reader))
        # Up to the loss everything came in order; nothing that is older than the fresh snapshot came after it.
        assert numbers == list(range(len(numbers)))
        assert 0 < len(numbers) < told
        assert after["state"]["n"] == told


@contextlib.asynccontextmanager
async def slow_stream(api: Api) -> AsyncIterator[asyncio.StreamReader]:
    """A websocket by hand, whose reader takes next to nothing until it is asked."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", api.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    writer.write(
        f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {api.tokens[Scope.IDENTIFY]}\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()


async def read_text(reader: asyncio.StreamReader) -> bytes:
    """The next text message; the server's frames are whole and not masked."""
    while True:
        first, length = await reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2))
        elif length == 127:
            length = int.from_bytes(await reader.readexactly(8))
        body = await reader.readexactly(length)
        if first == 0x81:
            return body


async def test_a_stream_whose_backend_fails_is_closed_with_a_code(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(api) as stream:
        api.backend.services.bus.tell(Message(StreamMessage.STATE, {"no": {"json"}}))
        assert await closed_with(stream) == 1011
    assert "TypeError" in caplog.text


async def test_listeners_are_told_goodbye_when_the_server_stops(api: Api) -> None:
    async with listening(api) as stream:
        goodbye = asyncio.create_task(closed_with(stream))
        await api.stop()
        assert await goodbye == 1001


async def test_a_listener_that_does_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    rules = StreamRules(farewell=0.2, waiting=8)
    async with running(tmp_path, stream_rules=rules) as api, slow_stream(api):
        await until(lambda: api.backend.services.bus.listening == 1)
        await fill(api)
        async with asyncio.timeout(8):
            await api.stop()
        assert api.backend.services.bus.listening == 0
