"""Server-sent events: what comes, what was missed, who may listen, slow readers, the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from privface_backend.events import Message
from privface_backend.protocol import Event, Outcome, Scope, StreamMessage
from privface_backend.rest.event_stream import EventStreamRules
from privface_backend.settings_sections import ServerSettings
from support.backend import ADA, STRANGER, Api, check_document, picture, running, until
from support.mqtt import make_event

STREAM = "/api/v1/events/stream"


@dataclass(frozen=True)
class Block:
    """One message as it came: its fields, or a comment."""

    fields: Mapping[str, str]
    comment: str | None = None

    @property
    def kind(self) -> str | None:
        return self.fields.get("event")

    @property
    def id(self) -> str | None:
        return self.fields.get("id")

    @property
    def data(self) -> Any:
        return json.loads(self.fields["data"])


class Reader:
    """Reads blocks by the rules of server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> Block:
        fields: dict[str, str] = {}
        comment = None
        async with asyncio.timeout(20):
            while (line := (await self.response.content.readline()).decode()) not in {"\n", ""}:
                name, _, value = line.rstrip("\n").partition(":")
                if name:
                    assert name not in fields
                    fields[name] = value.removeprefix(" ")
                else:
                    comment = value
        if line == "":
            raise EOFError
        return Block(fields, comment)

    async def next(self, *kinds: str) -> Block:
        """The next message, of one of ``kinds`` if any are named; held against its description."""
        while (block := await self.block()).kind is None or (kinds and block.kind not in kinds):
            pass
        if block.kind == "event":
            check_document(block.data, {"$ref": "#/components/schemas/Event"})
            assert block.id == block.data["event_id"]
        return block

    async def ids(self, count: int) -> list[str]:
        return [str((await self.next("event")).id) for _ in range(count)]

    async def end(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                await self.block()
        assert self.response.content.at_eof()


@contextlib.asynccontextmanager
async def reading(
    api: Api, query: str = "", *, last: str | None = None, scope: Scope = Scope.IDENTIFY
) -> AsyncIterator[Reader]:
    headers = {"Authorization": f"Bearer {api.tokens[scope]}"} | ({} if last is None else {"Last-Event-ID": last})
    async with api.session.get(f"{api.url}{STREAM}{query}", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        reader = Reader(response)
        assert (await reader.block()).fields == {"retry": "3000"}
        yield reader


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path) as api:
        yield api


def tell(api: Api, number: int, **changes: Any) -> Event:
    """An event on the bus that never gets into the log, as while the disk is slow."""
    event = Event.from_dict(make_event(number, now=datetime.now(UTC)).to_dict() | {"person_id": None} | changes)
    api.backend.services.bus.tell(Message(StreamMessage.EVENT, event.to_dict(), event))
    return event


async def log(api: Api, *events: Event) -> None:
    await api.backend.core.storage.call(api.backend.core.events.extend, events)


async def test_events_states_and_people_as_they_come(api: Api) -> None:
    async with reading(api) as reader:
        await api.create("Ada", ADA)
        people = await reader.next("people")
        assert people.id is None
        assert [person["name"] for person in people.data["people"]] == ["Ada"]
        (event_id,) = (await api.frame("door", picture(ADA))).document["events"]
        event = await reader.next("event")
        assert (event.id, event.data["person"]) == (event_id, "Ada")
        state = await reader.next("state")
        assert state.id is None
        assert state.data["camera"] == "door"


async def test_with_curl(api: Api) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl isn't installed.")
    process = await asyncio.create_subprocess_exec(
        "curl", "-sN", "-H", f"Authorization: Bearer {api.tokens[Scope.IDENTIFY]}", f"{api.url}{STREAM}?kinds=event",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip  # one line as the documentation has it
    assert process.stdout is not None
    try:
        await until(lambda: api.backend.services.bus.listening == 1)
        event = tell(api, 1)
        async with asyncio.timeout(20):
            lines = [(await process.stdout.readline()).decode() for _ in range(6)]
    finally:
        process.kill()
        await process.wait()
    assert lines[:4] == ["retry: 3000\n", "\n", f"id: {event.event_id}\n", "event: event\n"]
    assert lines[4].startswith('data: {"schema": 1, ')
    assert lines[5] == "\n"


async def test_what_was_missed_comes_first_without_gaps_or_repeats(api: Api) -> None:
    logged = [make_event(number) for number in range(5)]
    await log(api, *logged)
    waiting = [tell(api, number) for number in range(5, 8)]
    async with reading(api, last="event-1") as reader:
        later = [tell(api, number) for number in range(8, 11)]
        assert await reader.ids(9) == [event.event_id for event in (*logged[2:], *waiting, *later)]


@pytest.mark.parametrize("last", [1, 3, 5])
async def test_what_is_in_the_log_and_was_just_told_comes_once(api: Api, last: int) -> None:
    told = [tell(api, number) for number in range(1, 6)]
    await log(api, *told)
    async with reading(api, last=f"event-{last}") as reader:
        tell(api, 6)
        assert await reader.ids(6 - last) == [f"event-{number}" for number in range(last + 1, 7)]


async def test_an_event_that_is_told_while_the_log_is_read_comes_once(api: Api) -> None:
    await log(api, make_event(0))
    storage = api.backend.core.storage
    gate = asyncio.Event()
    call = storage.call

    async def slowly(function: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(function, "__name__", "") == "list" and "after" in options:
            gate.set()
            events = [tell(api, number) for number in (1, 2)]
            await call(api.backend.core.events.extend, events)
            tell(api, 3)
        return await call(function, *arguments, **options)

    object.__setattr__(storage, "call", slowly)
    try:
        async with reading(api, last="event-0") as reader:
            assert gate.is_set()
            tell(api, 4)
            assert await reader.ids(4) == ["event-1", "event-2", "event-3", "event-4"]
    finally:
        object.__setattr__(storage, "call", call)


async def test_a_reader_that_comes_back_again_and_again_misses_nothing(api: Api) -> None:
    total, seen, last = 60, list[str](), "event-0"
    await log(api, make_event(0))

    async def happen() -> None:
        for number in range(1, total + 1):
            event = tell(api, number)
            if number % 3 == 0:
                # The log follows in its own time.
                await log(api, *(event_of(at) for at in range(number - 2, number)), event)
            await asyncio.sleep(0)

    def event_of(number: int) -> Event:
        return make_event(number)

    telling = asyncio.create_task(happen())
    while len(seen) < total:
        async with reading(api, last=last) as reader:
            for _ in range(min(7, total - len(seen))):
                last = (await reader.ids(1))[0]
                seen.append(last)
    await telling
    assert seen == [f"event-{number}" for number in range(1, total + 1)]


async def test_an_unknown_last_event_gets_a_snapshot(api: Api) -> None:
    await log(api, *(make_event(number) for number in range(30)))
    unlogged = tell(api, 30)
    async with reading(api, last="never-was") as reader:
        block = await reader.next()
        assert (block.kind, block.id) == ("resync", unlogged.event_id)
        assert block.data.keys() == {"people", "cameras", "events"}
        assert [event["event_id"] for event in block.data["events"]] == [f"event-{30 - at}" for at in range(20)]
        newest = tell(api, 31)
        assert await reader.ids(1) == [newest.event_id]


async def test_too_much_to_replay_is_a_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path, event_stream_rules=EventStreamRules(replayed=5)) as api:
        await log(api, *(make_event(number) for number in range(8)))
        async with reading(api, last="event-2") as reader:
            assert await reader.ids(5) == [f"event-{number}" for number in range(3, 8)]
        async with reading(api, last="event-1") as reader:
            assert (await reader.next()).kind == "resync"


async def test_who_was_forgotten_is_not_replayed(api: Api) -> None:
    person = await api.create("Ada", ADA)
    await api.create("Ben")
    (first,) = (await api.frame("yard", picture(STRANGER))).document["events"]
    await api.logged(1)
    (second,) = (await api.frame("door", picture(ADA))).document["events"]
    await api.logged(2)
    async with reading(api, last=first) as reader:
        assert await reader.ids(1) == [second]
    reply = await api.call("DELETE", f"/api/v1/people/{person}", pattern="/api/v1/people/{person}")
    assert reply.status == 200
    async with reading(api, last=first) as reader:
        tell(api, 1)
        assert await reader.ids(1) == ["event-1"]
    async with reading(api, last=second) as reader:
        assert "Ada" not in json.dumps((await reader.next("resync")).data)


async def test_filters(api: Api) -> None:
    bus = api.backend.services.bus
    async with (
        reading(api, "?kinds=event&outcome=unknown,unusable") as outcomes,
        reading(api, "?camera=yard&camera=hall") as cameras,
        reading(api, "?kinds=people") as people,
    ):
        tell(api, 1)
        tell(api, 2, outcome=Outcome.UNKNOWN.value, camera="yard")
        bus.tell(Message(StreamMessage.STATE, {"camera": "door"}))
        bus.tell(Message(StreamMessage.STATE, {"camera": "hall"}))
        bus.tell(Message(StreamMessage.PEOPLE, {"people": []}))
        tell(api, 3, outcome=Outcome.UNUSABLE.value)
        assert await outcomes.ids(2) == ["event-2", "event-3"]
        assert [(await cameras.next()).kind for _ in range(3)] == ["event", "state", "people"]
        assert (await people.next()).kind == "people"
    async with reading(api, "?outcome=unknown", last="event-1") as reader:
        assert await reader.ids(1) == ["event-2"]


@pytest.mark.parametrize("query", ["?kinds=events", "?outcome=known,nobody"])
async def test_wrong_filters(api: Api, query: str) -> None:
    reply = await api.call("GET", STREAM + query, scope=Scope.IDENTIFY)
    assert (reply.status, reply.code) == (400, "bad_request")
    assert reply.document["error"]["allowed"] in {"event, state, people, advice", "known, unknown, unusable"}


async def test_who_may_listen(api: Api) -> None:
    for scope, status in ((None, 401), (Scope.ENROLL, 403)):
        assert (await api.call("GET", STREAM, scope=scope)).status == status
    token = api.tokens[Scope.ADMIN]
    for name in ("token", "access_token", "authorization"):
        assert (await api.call("GET", f"{STREAM}?{name}={token}", scope=None)).status == 401
    async with reading(api, scope=Scope.ADMIN):
        assert api.backend.services.bus.listening == 1


async def test_a_reader_that_goes_is_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path, event_stream_rules=EventStreamRules(heartbeat=0.1)) as api:
        async with reading(api):
            assert api.backend.services.bus.listening == 1
        await until(lambda: api.backend.services.bus.listening == 0)


async def test_without_tokens_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, server=ServerSettings(require_token=False)) as api:
        reply = await api.call("GET", STREAM, scope=None, headers={"Origin": "https://attacker.example"})
        assert reply.status == 403


async def test_a_sign_of_life_comes_when_nothing_else_does(tmp_path: Path) -> None:
    async with (
        running(tmp_path, event_stream_rules=EventStreamRules(heartbeat=0.1)) as api,
        reading(api, "?kinds=event&camera=nowhere") as reader,
    ):
        for number in range(3):
            tell(api, number)
            assert (await reader.block()).comment is not None


async def test_a_revoked_token_ends_its_stream(tmp_path: Path) -> None:
    async with running(tmp_path, event_stream_rules=EventStreamRules(recheck=0.05)) as api:
        core = api.backend.core
        async with reading(api) as reader:
            [info] = [token for token in await core.storage.call(core.tokens.list) if token.scopes == {Scope.IDENTIFY}]
            await core.storage.call(core.tokens.revoke, info.id)
            await reader.end()


async def test_too_many_streams_are_refused_until_one_goes(tmp_path: Path) -> None:
    async with running(tmp_path, event_stream_rules=EventStreamRules(streams=2, heartbeat=0.1)) as api:
        async with reading(api), reading(api):
            reply = await api.call("GET", STREAM)
            assert (reply.status, reply.code, reply.headers["Retry-After"]) == (503, "overloaded", "1")
        await until(lambda: api.backend.services.bus.listening < 2)
        async with reading(api):
            pass


async def test_the_stream_ends_when_the_server_stops(api: Api) -> None:
    async with reading(api) as reader:
        ended = asyncio.create_task(reader.end())
        async with asyncio.timeout(8):
            await api.stop()
        await ended


async def test_a_backend_that_fails_ends_the_stream(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async with reading(api) as reader:
        api.backend.services.bus.tell(Message(StreamMessage.STATE, {"no": {"json"}}))
        await reader.end()
    assert "TypeError" in caplog.text


@contextlib.asynccontextmanager
async def slow_reader(api: Api) -> AsyncIterator[asyncio.StreamReader]:
    """A stream by hand, whose reader takes next to nothing until it is asked."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", api.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    # HTTP/1.0: no chunks between the lines.
    writer.write(
        f"GET {STREAM} HTTP/1.0\r\nHost: 127.0.0.1:{api.port}\r\n"
        f"Authorization: Bearer {api.tokens[Scope.IDENTIFY]}\r\n\r\n".encode()
    )
    try:
        yield reader
    finally:
        writer.close()


async def fill(api: Api) -> int:
    """Tell things until the only reader's connection takes no more; how many."""
    bus = api.backend.services.bus
    await until(lambda: bus.listening == 1)
    [listener] = bus._listeners
    told = 0
    while not listener.lost:
        bus.tell(Message(StreamMessage.STATE, {"camera": "door", "filler": "x" * 50_000, "n": told}))
        told += 1
        with contextlib.suppress(TimeoutError):
            await until(lambda: not listener._items, seconds=0.2)
    return told


async def test_a_slow_reader_loses_the_oldest_and_gets_a_snapshot(tmp_path: Path) -> None:
    rules = EventStreamRules(waiting=8)
    async with running(tmp_path, event_stream_rules=rules) as api, slow_reader(api) as reader:
        told = await fill(api)
        event = tell(api, 1)
        text = b""
        async with asyncio.timeout(30):
            while b"event: resync" not in text or not text.endswith(b"\n\n"):
                text += await reader.read(65536)
        numbers = [json.loads(line[6:])["n"] for line in text.decode().splitlines() if '"filler"' in line]
        assert numbers == list(range(len(numbers)))
        assert 0 < len(numbers) < told
        assert f"id: {event.event_id}\nevent: resync\n" in text.decode()


async def test_a_reader_that_never_reads_is_hung_up_on(tmp_path: Path) -> None:
    rules = EventStreamRules(waiting=8, stuck=0.5, farewell=0.2)
    async with running(tmp_path, event_stream_rules=rules) as api, slow_reader(api):
        await until(lambda: api.backend.services.bus.listening == 1)
        [listener] = api.backend.services.bus._listeners
        for number in range(2000):
            listener.put(Message(StreamMessage.STATE, {"camera": "door", "filler": "x" * 50_000, "n": number}))
            if not api.backend.services.bus.listening:
                break
            await asyncio.sleep(0.005)
        await until(lambda: api.backend.services.bus.listening == 0)


async def test_a_reader_that_never_reads_does_not_hold_up_the_end(tmp_path: Path) -> None:
    rules = EventStreamRules(waiting=8, farewell=0.2)
    async with running(tmp_path, event_stream_rules=rules) as api, slow_reader(api):
        await fill(api)
        async with asyncio.timeout(8):
            await api.stop()
        assert api.backend.services.bus.listening == 0
