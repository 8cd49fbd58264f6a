"""The embedded broker: who gets in, what it keeps, and our link on it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from amqtt.session import Session

from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.broker import DEFAULT_BROKER_PORT, EmbeddedBroker, embedded_broker, load_credentials
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttProtocol
from privface_backend.mqtt.topics import Command, SetPrivacy, Topics
from privface_backend.protocol import ErrorCode
from support.mqtt import FAST, PATIENCE, Watcher, make_event, running, until, watching
from support.ports import free_port

TOPICS = Topics("privface")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with embedded_broker(tmp_path, port=free_port()) as broker:
        yield broker


def files_of(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def login(broker: EmbeddedBroker) -> dict[str, Any]:
    return {
        "username": broker.credentials.username,
        "password": broker.credentials.password,
        "protocol": aiomqtt.ProtocolVersion.V311,
    }


def new_link(broker: EmbeddedBroker, **changes: Any) -> MqttLink:
    return MqttLink(replace(broker.settings(), **changes), backoff=FAST)


def statuses(watcher: Watcher) -> list[bytes]:
    return [message.payload for message in watcher.on(TOPICS.status)]


async def test_the_link_works_on_it(broker: EmbeddedBroker) -> None:
    got: list[Command] = []
    link = MqttLink(broker.settings(), backoff=FAST, on_command=got.append)
    async with watching(broker.port, "privface/#", **login(broker)) as watcher:
        async with running(link):
            await link.wait_connected(PATIENCE)
            assert link.status.version is MqttProtocol.V311
            for seq in range(50):
                link.publish_event(make_event(seq))
            link.publish_state(TOPICS.person_state("anna"), {"present": True})
            await until(lambda: len(watcher.on(TOPICS.event)) == 50)
            assert watcher.sequence(TOPICS.event) == list(range(50))
            await watcher.client.publish("privface/camera/door/privacy/set", "17", qos=1)
            await until(lambda: got == [SetPrivacy(camera_slug="door", parameter=17)])
            async with watching(broker.port, "privface/+/#", **login(broker)) as late:
                await until(lambda: late.on(TOPICS.person_state("anna")))
                assert not late.on(TOPICS.event)
        await until(lambda: statuses(watcher)[-1:] == [b"offline"])


async def test_auto_finds_that_it_speaks_3_1_1(broker: EmbeddedBroker) -> None:
    async with running(new_link(broker, protocol=MqttProtocol.AUTO, timeout=1.0)) as link:
        await link.wait_connected(PATIENCE)
        assert link.status.version is MqttProtocol.V311


def connect_packet(broker: EmbeddedBroker, flags: int, *parts: bytes) -> bytes:
    """CONNECT of MQTT 3.1.1; ``parts``: client id, and topic and message of the last will if ``flags`` say so."""
    fields = (*parts, broker.credentials.username.encode(), broker.credentials.password.encode())
    head = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c"
    body = head + b"".join(len(part).to_bytes(2, "big") + part for part in fields)
    return b"\x10" + bytes([len(body)]) + body


async def test_its_last_will_works(broker: EmbeddedBroker) -> None:
    async with watching(broker.port, TOPICS.status, **login(broker)) as watcher:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(connect_packet(broker, 0xEE, b"crasher", TOPICS.status.encode(), b"offline"))
        assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
        writer.transport.abort()
        await until(lambda: statuses(watcher) == [b"offline"])


async def test_a_client_that_takes_nothing_in_is_cut_off_and_disturbs_nobody(tmp_path: Path) -> None:
    payload, count = b"x" * 20_000, 1000
    async with embedded_broker(tmp_path, port=free_port(), patience=0.2) as broker:
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect(("127.0.0.1", broker.port))
            stalled.sendall(connect_packet(broker, 0xC2, b"stalled") + b"\x82\x06\x00\x01\x00\x01#\x00")
            async with watching(broker.port, "t", **login(broker)) as watcher:
                for _ in range(count):
                    await watcher.client.publish("t", payload, qos=1)
                await until(lambda: len(watcher.seen) == count)

            def read_to_the_end() -> int:
                stalled.settimeout(PATIENCE)
                total = 0
                with contextlib.suppress(ConnectionResetError):
                    while data := stalled.recv(65536):
                        total += len(data)
                return total

            assert await asyncio.to_thread(read_to_the_end) < count * len(payload)


@pytest.mark.parametrize(
    ("username", "password"), [(None, None), ("privface", None), ("privface", "wrong"), ("other", "right"), ("", "")]
)
async def test_nobody_gets_in_without_the_credentials(
    broker: EmbeddedBroker, username: str | None, password: str | None
) -> None:
    password = broker.credentials.password if password == "right" else password
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", broker.port, username=username, password=password, timeout=2):
            pass


async def test_those_turned_away_are_forgotten(broker: EmbeddedBroker) -> None:
    for number in range(10):
        client = aiomqtt.Client("127.0.0.1", broker.port, username="x", password="y", identifier=f"c{number}")
        with pytest.raises(aiomqtt.MqttError):
            async with client:
                pass

    def forgotten() -> bool:
        gc.collect()
        return sum(isinstance(thing, Session) for thing in gc.get_objects()) <= 1

    await until(forgotten)


async def test_credentials_are_made_once_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        async with embedded_broker(tmp_path, port=free_port()) as broker:
            first = broker.credentials
    finally:
        os.umask(umask)
    path = tmp_path / "broker.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"username": first.username, "password": first.password}
    assert files_of(tmp_path) == ["broker.json"]
    assert len(first.password) >= 32
    assert first.password not in repr(first)
    async with embedded_broker(tmp_path, port=free_port()) as broker:
        assert broker.credentials == first
        async with running(new_link(broker)) as link:
            await link.wait_connected(PATIENCE)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"username": "x"}'])
def test_unreadable_credentials_are_an_error_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broker.json"
    path.write_text(text)
    with pytest.raises(PrivFaceError) as caught:
        load_credentials(tmp_path)
    assert caught.value.code is ErrorCode.STORAGE_FAILED
    assert path.read_text() == text


async def test_a_taken_port_is_stepped_aside_for_unless_it_was_asked_for(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PrivFaceError) as caught:
            async with embedded_broker(tmp_path, port=taken, port_fixed=True):
                pass
        assert caught.value.code is ErrorCode.PORT_IN_USE
        async with embedded_broker(tmp_path, port=taken) as broker:
            assert broker.port != taken
            assert broker.settings().port == broker.port
            async with running(new_link(broker)) as link:
                await link.wait_connected(PATIENCE)
    assert DEFAULT_BROKER_PORT == 1883


async def test_it_listens_on_loopback_only_and_ends_with_the_block(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with embedded_broker(tmp_path, port=free_port()) as broker:
        silent, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        with pytest.raises(OSError, match=r".+"):
            await asyncio.open_connection("127.0.0.2", broker.port)
        async with running(new_link(broker)) as link:
            await link.wait_connected(PATIENCE)
    assert await silent.read() == b""
    writer.close()
    with pytest.raises(OSError, match=r".+"):
        await asyncio.open_connection("127.0.0.1", broker.port)
    await until(lambda: not (asyncio.all_tasks() - before))


async def test_it_keeps_names_out_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with embedded_broker(tmp_path, port=free_port()) as broker:
        async with watching(broker.port, "privface/#", **login(broker)) as watcher, running(new_link(broker)) as link:
            link.publish_event(make_event(1))
            link.publish_state(TOPICS.person_state("anna-example"), {"present": True})
            await until(lambda: watcher.on(TOPICS.person_state("anna-example")) and watcher.on(TOPICS.event))
        assert broker.credentials.password not in caplog.text
    assert "anna" not in caplog.text.lower()
    assert {record.levelname for record in caplog.records if record.name.startswith("amqtt")} <= {"WARNING"}


async def test_a_client_gets_what_is_retained_on_its_own_topics_only(broker: EmbeddedBroker) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port, **login(broker)) as owner:
        await owner.subscribe("#", qos=1)
        await owner.subscribe("home/one", qos=1)
        for topic in ("home/one", "home/two", "home/three"):
            await owner.publish(topic, topic, qos=1, retain=True)
        async with watching(broker.port, "home/two", **login(broker)) as watcher:
            await until(lambda: watcher.on("home/two"))
            # What was published after it comes after all that is retained.
            await owner.publish("home/two", b"new", qos=1)
            await until(lambda: len(watcher.on("home/two")) == 2)
            assert {message.topic for message in watcher.seen} == {"home/two"}


async def test_a_newer_protocol_is_refused_without_a_traceback(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    options = {**login(broker), "protocol": aiomqtt.ProtocolVersion.V5}
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", broker.port, timeout=2, **options):
            pass
    async with watching(broker.port, "x", **login(broker)):
        pass
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
