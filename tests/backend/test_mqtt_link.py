"""The link against a real Mosquitto: what is published, what survives outages, what a crash leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.connection import connect
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings
from privface_backend.mqtt.sink import MqttSink, create
from privface_backend.mqtt.status import LinkState
from privface_backend.mqtt.topics import Command, SetEnabled, SetPrivacy, Topics
from privface_backend.plugins.ports import EngineContext, Sink
from privface_backend.protocol import ErrorCode
from support.gate import Gate
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import FAST, PATIENCE, Watcher, make_event, running, until, watching
from support.ports import free_port

pytestmark = needs_mosquitto

BOTH = pytest.mark.parametrize("protocol", [MqttProtocol.V5, MqttProtocol.V311])


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for the tests that leave it running; each has a base topic of its own."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that the test may stop and kill."""
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def gate(broker: Mosquitto) -> AsyncIterator[Gate]:
    """A door in front of ``broker``, so that a watcher can be there before the link is."""
    gate = Gate(broker.port)
    await gate.open()
    yield gate
    await gate.shut()


def settings(port: int, *, protocol: MqttProtocol = MqttProtocol.AUTO, timeout: float = PATIENCE) -> MqttSettings:
    return MqttSettings(port=port, base_topic=f"test/{uuid.uuid4().hex}", protocol=protocol, timeout=timeout)


def new_link(chosen: MqttSettings) -> MqttLink:
    return MqttLink(chosen, backoff=FAST)


async def retained_on(port: int, topic_filter: str, marker: str) -> dict[str, bytes]:
    """What a late subscriber of ``topic_filter`` (ending in #) is given; ``marker`` is a retained topic among it."""
    async with watching(port, topic_filter) as watcher:
        await until(lambda: watcher.on(marker))
        # What is retained comes in one go with the subscription; whatever was published after it, comes after.
        end = f"{marker}/end"
        await watcher.client.publish(end, b"end", qos=1)
        await until(lambda: watcher.on(end))
        return {message.topic: message.payload for message in watcher.seen if message.topic != end}


@BOTH
async def test_an_event_arrives_and_is_not_retained(shared: Mosquitto, protocol: MqttProtocol) -> None:
    chosen = settings(shared.port, protocol=protocol)
    topics = Topics(chosen.base_topic)
    event = make_event(1)
    async with watching(shared.port, f"{chosen.base_topic}/#") as watcher, running(new_link(chosen)) as link:
        await link.wait_connected(PATIENCE)
        assert link.status.version is protocol
        link.publish_event(event)
        await until(lambda: watcher.on(topics.event))
        assert watcher.on(topics.event)[0].json == event.to_dict()
        assert not watcher.on(topics.event)[0].retained
        assert list(await retained_on(shared.port, f"{chosen.base_topic}/#", topics.status)) == [topics.status]
        await until(lambda: link.counters.published == 1)


async def test_an_event_carries_its_expiry_where_mqtt_5_is_spoken(shared: Mosquitto) -> None:
    chosen = settings(shared.port)
    async with watching(shared.port, f"{chosen.base_topic}/event") as watcher, running(new_link(chosen)) as link:
        link.publish_event(make_event(1, expires_in=90))
        await until(lambda: watcher.seen)
        assert link.status.version is MqttProtocol.V5
        assert watcher.seen[0].expiry is not None
        assert 80 <= watcher.seen[0].expiry <= 90


@BOTH
async def test_states_are_retained_and_can_be_cleared(shared: Mosquitto, protocol: MqttProtocol) -> None:
    chosen = settings(shared.port, protocol=protocol)
    topics = Topics(chosen.base_topic)
    async with running(new_link(chosen)) as link:
        link.publish_state(topics.person_state("anna"), {"present": True})
        link.publish_state(topics.person_state("ben"), {"present": True})
        link.publish_camera_settings("door", enabled=True, privacy=17)
        async with watching(shared.port, f"{chosen.base_topic}/#") as watcher:
            await until(lambda: watcher.on(topics.camera_privacy("door")))
            link.publish_state(topics.person_state("anna"), None)
            await until(lambda: any(message.payload == b"" for message in watcher.on(topics.person_state("anna"))))
        assert await retained_on(shared.port, f"{chosen.base_topic}/#", topics.status) == {
            topics.status: b"online",
            topics.person_state("ben"): b'{"present":true}',
            topics.camera_enabled("door"): b"ON",
            topics.camera_privacy("door"): b"17",
        }


@BOTH
async def test_leaving_in_order_says_offline_and_sends_what_waits(shared: Mosquitto, protocol: MqttProtocol) -> None:
    chosen = settings(shared.port, protocol=protocol)
    topics = Topics(chosen.base_topic)
    async with watching(shared.port, f"{chosen.base_topic}/#") as watcher:
        async with running(new_link(chosen)) as link:
            await link.wait_connected(PATIENCE)
            for seq in range(20):
                link.publish_event(make_event(seq))
        await until(lambda: [message.payload for message in watcher.on(topics.status)] == [b"online", b"offline"])
        assert sorted(set(watcher.sequence(topics.event))) == list(range(20))
    assert await retained_on(shared.port, f"{chosen.base_topic}/#", topics.status) == {topics.status: b"offline"}


@pytest.mark.parametrize("steps", range(12))
async def test_it_ends_together_with_the_broker(broker: Mosquitto, steps: int) -> None:
    """However many steps of the loop lie between the end of the connection and the end of the link."""
    link = new_link(settings(broker.port))
    task = asyncio.create_task(link.run())
    await link.wait_connected(PATIENCE)
    broker.kill()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()


async def test_a_connection_that_is_lost_while_nobody_looks_is_no_forgotten_failure(broker: Mosquitto) -> None:
    forgotten: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: forgotten.append(context))
    settings = MqttSettings(port=broker.port)
    async with connect(settings, MqttProtocol.V5, "privface-test") as connection:
        broker.kill()
        disconnected = connection._client._disconnected
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({disconnected})
    del connection, disconnected
    gc.collect()
    await asyncio.sleep(0)
    assert forgotten == []


async def test_the_last_will_says_offline_after_a_crash(shared: Mosquitto) -> None:
    chosen = settings(shared.port)
    script = f"""
import asyncio
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttSettings

async def main():
    link = MqttLink(MqttSettings(port={shared.port}, base_topic={chosen.base_topic!r}))
    async with asyncio.TaskGroup() as group:
        group.create_task(link.run())
        await link.wait_connected({PATIENCE})
        print("connected", flush=True)

asyncio.run(main())
"""
    topic = Topics(chosen.base_topic).status
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    async with watching(shared.port, topic) as watcher:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"connected\n"
        await until(lambda: [message.payload for message in watcher.seen] == [b"online"])
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: [message.payload for message in watcher.seen] == [b"online", b"offline"])
    assert await retained_on(shared.port, f"{chosen.base_topic}/#", topic) == {topic: b"offline"}


async def test_a_broker_that_is_down_at_the_start(
    broker: Mosquitto, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "privface_backend")
    await gate.shut()
    chosen = settings(gate.port)
    link = new_link(chosen)
    async with running(link):
        for seq in range(3):
            link.publish_event(make_event(seq))
        with pytest.raises(PrivFaceError) as caught:
            await link.wait_connected(0.3)
        assert caught.value.code is ErrorCode.BROKER_UNREACHABLE
        assert link.status.state is LinkState.UNREACHABLE
        assert link.counters.waiting == 3
        await until(lambda: sum("trying again" in record.message for record in caplog.records) >= 3)
        assert [r.levelname for r in caplog.records if "trying again" in r.message][:3] == ["WARNING", "DEBUG", "DEBUG"]
        async with watching(broker.port, f"{chosen.base_topic}/event") as watcher:
            await gate.open()
            await until(lambda: len(watcher.seen) == 3)
            assert watcher.sequence(f"{chosen.base_topic}/event") == [0, 1, 2]
        assert [r.levelname for r in caplog.records if "connected to" in r.message] == ["INFO"]
        assert "Anna" not in caplog.text


def has_seen(watcher: Watcher, count: int) -> bool:
    return len(watcher.seen) >= count


@BOTH
async def test_a_broker_killed_in_the_middle_loses_nothing(
    broker: Mosquitto, gate: Gate, protocol: MqttProtocol
) -> None:
    chosen = settings(gate.port, protocol=protocol)
    topic = f"{chosen.base_topic}/event"
    link = new_link(chosen)
    arrived: list[int] = []
    total = 300
    async with running(link):
        # QoS 0 for the watcher: it owes the dying broker no acknowledgement that could cost it what it was sent.
        async with watching(broker.port, topic, qos=0) as watcher:
            for seq in range(total):
                link.publish_event(make_event(seq))
                if seq % 20 == 0 and seq <= 150:
                    await until(partial(has_seen, watcher, seq - 20))
                if seq == 150:
                    broker.kill()
            await until(lambda: link.status.state is LinkState.UNREACHABLE)
            await gate.shut()
            arrived += watcher.sequence(topic)
        assert 100 < len(arrived) < total
        # One that the broker acknowledged may die with it before the watcher gets it: nobody is left to know.
        in_hand = arrived[-1] + 1
        broker.start()
        async with watching(broker.port, topic, qos=0) as watcher:
            await gate.open()
            await until(lambda: total - 1 in watcher.sequence(topic))
            arrived += watcher.sequence(topic)
    assert list(dict.fromkeys(arrived)) in (list(range(total)), [*range(in_hand), *range(in_hand + 1, total)])
    assert len(arrived) <= total + 1
    assert link.counters.reconnects == 1
    assert link.counters.dropped_overflow == link.counters.dropped_expired == 0


async def test_an_event_without_acknowledgement_is_sent_again(broker: Mosquitto, gate: Gate) -> None:
    chosen = settings(gate.port, timeout=0.3)
    topic = f"{chosen.base_topic}/event"
    async with watching(broker.port, topic) as watcher, running(new_link(chosen)) as link:
        await link.wait_connected(PATIENCE)
        gate.answers = False
        link.publish_event(make_event(0))
        link.publish_event(make_event(1))
        await until(lambda: watcher.sequence(topic) == [0])
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert link.counters.published == 0
        assert link.counters.waiting == 2
        gate.answers = True
        await until(lambda: link.counters.published == 2)
        assert watcher.sequence(topic) == [0, 0, 1]


async def test_a_broker_that_hangs_is_left_and_found_again(broker: Mosquitto) -> None:
    chosen = settings(broker.port, timeout=0.3)
    topic = f"{chosen.base_topic}/event"
    async with watching(broker.port, topic) as watcher, running(new_link(chosen)) as link:
        await link.wait_connected(PATIENCE)
        broker.pause()
        link.publish_event(make_event(0))
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        broker.resume()
        await until(lambda: link.counters.published == 1)
        await until(lambda: set(watcher.sequence(topic)) == {0})


async def test_expired_events_are_not_sent(broker: Mosquitto, gate: Gate) -> None:
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    clock = [now]
    await gate.shut()
    chosen = settings(gate.port)
    topic = f"{chosen.base_topic}/event"
    link = MqttLink(chosen, backoff=FAST, clock=lambda: clock[0])
    async with running(link), watching(broker.port, topic) as watcher:
        for seq, seconds in enumerate((10, 60, 10, 60)):
            link.publish_event(make_event(seq, expires_in=seconds, now=now))
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        clock[0] = now + timedelta(seconds=30)
        await gate.open()
        await until(lambda: link.counters.published == 2)
        await until(lambda: watcher.sequence(topic) == [1, 3])
        assert link.counters.dropped_expired == 2
        assert watcher.seen[0].expiry is not None
        assert watcher.seen[0].expiry <= 30


async def test_the_outbox_is_bounded(broker: Mosquitto, gate: Gate) -> None:
    await gate.shut()
    chosen = replace(settings(gate.port), outbox_limit=5)
    topic = f"{chosen.base_topic}/event"
    link = new_link(chosen)
    async with running(link), watching(broker.port, topic) as watcher:
        for seq in range(12):
            link.publish_event(make_event(seq))
        await gate.open()
        await until(lambda: watcher.sequence(topic) == [7, 8, 9, 10, 11])
        assert link.counters.dropped_overflow == 7


async def test_states_are_back_after_a_broker_lost_its_memory(broker: Mosquitto) -> None:
    chosen = settings(broker.port)
    topics = Topics(chosen.base_topic)
    async with running(new_link(chosen)) as link:
        link.publish_state(topics.person_state("anna"), {"present": False})
        link.publish_state(topics.camera_state("door"), {"unknown": 0})
        await link.wait_connected(PATIENCE)
        broker.kill()
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        link.publish_state(topics.person_state("anna"), {"present": True})
        broker.start()
        async with watching(broker.port, f"{chosen.base_topic}/#") as watcher:
            await until(lambda: watcher.on(topics.camera_state("door")) and watcher.on(topics.person_state("anna")))
        assert await retained_on(broker.port, f"{chosen.base_topic}/#", topics.status) == {
            topics.status: b"online",
            topics.person_state("anna"): b'{"present":true}',
            topics.camera_state("door"): b'{"unknown":0}',
        }


async def test_a_wrong_password_is_said_in_plain_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Mosquitto(tmp_path, users={"anna": "right"}) as broker:
        for protocol in (MqttProtocol.V5, MqttProtocol.V311):
            chosen = replace(settings(broker.port, protocol=protocol), username="anna", password="wrong-hunter2")
            async with running(new_link(chosen)) as link:
                with pytest.raises(PrivFaceError, match="user name or password") as caught:
                    await link.wait_connected(PATIENCE)
                assert caught.value.code is ErrorCode.BROKER_REFUSED
                assert link.status.state is LinkState.REFUSED
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert "hunter2" not in caplog.text
        async with running(new_link(replace(chosen, password="right"))) as link:
            await link.wait_connected(PATIENCE)


async def test_a_refused_link_gets_in_once_the_broker_knows_it(tmp_path: Path) -> None:
    chosen = replace(settings(free_port()), username="anna", password="right")
    async with running(new_link(chosen)) as link:
        with Mosquitto(tmp_path, users={"ben": "other"}, port=chosen.port):
            await until(lambda: link.status.state is LinkState.REFUSED)
        with Mosquitto(tmp_path, users={"anna": "right"}, port=chosen.port):
            await until(lambda: link.status.state is LinkState.CONNECTED)


async def test_no_login_where_one_is_needed_is_refused(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, users={"anna": "right"}) as broker:
        async with running(new_link(settings(broker.port))) as link:
            with pytest.raises(PrivFaceError, match="user name or password"):
                await link.wait_connected(PATIENCE)


async def test_a_server_that_never_answers_is_not_waited_for_forever() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    chosen = settings(server.sockets[0].getsockname()[1], timeout=0.2)
    async with running(new_link(chosen)) as link:
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "no MQTT broker answers" in link.status.reason
    server.close()


async def test_a_broker_of_3_1_1_that_refuses_mqtt_5_is_spoken_to_in_3_1_1() -> None:
    """As brokers from before MQTT 5 answer: CONNACK with return code 1, then the end."""
    levels: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.read(1024)
        levels.append(packet[8])
        writer.write(b"\x20\x02\x00\x01" if packet[8] != 4 else b"\x20\x02\x00\x05")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with running(new_link(settings(server.sockets[0].getsockname()[1]))) as link:
        await until(lambda: link.status.state is LinkState.REFUSED)
        await until(lambda: len(levels) >= 3)
        assert levels[:3] == [5, 4, 4]
    server.close()


async def test_a_host_that_does_not_exist_is_named() -> None:
    chosen = replace(settings(1883), host="broker.invalid")
    async with running(new_link(chosen)) as link:
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        assert "broker.invalid" in link.status.reason


async def test_commands_come_in(shared: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    chosen = settings(shared.port)
    got: list[Command] = []

    async def follow(command: Command) -> None:
        got.append(command)
        if command == SetPrivacy(camera_slug="door", parameter=255):
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such camera.")

    async with aiomqtt.Client("127.0.0.1", shared.port) as client:
        await client.publish(f"{chosen.base_topic}/camera/yard/enabled/set", "OFF", qos=1, retain=True)
        async with running(MqttLink(chosen, backoff=FAST, on_command=follow)) as link:
            await link.wait_connected(PATIENCE)
            for kind, payload in (
                ("enabled", "ON"),
                ("enabled", "maybe\x1b[31m" * 50),
                ("enabled", "perhaps"),
                ("privacy", "255"),
                ("privacy", "16"),
                ("privacy", "17"),
                ("privacy", "18"),
            ):
                await client.publish(f"{chosen.base_topic}/camera/door/{kind}/set", payload, qos=1)
            last = SetEnabled(camera_slug="door", enabled=False)
            await client.publish(f"{chosen.base_topic}/camera/door/enabled/set", "OFF", qos=1)
            await until(lambda: last in got)
        await client.publish(f"{chosen.base_topic}/camera/yard/enabled/set", "", qos=1, retain=True)
    assert got == [
        SetEnabled(camera_slug="door", enabled=True),
        SetPrivacy(camera_slug="door", parameter=255),
        SetPrivacy(camera_slug="door", parameter=17),
        last,
    ]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 5
    assert "retained MQTT command" in warnings[0]
    assert "ON or OFF" in warnings[1]
    assert "\x1b" not in warnings[1]
    assert "There is no such camera." in warnings[2]
    assert all("an odd whole number" in warning for warning in warnings[3:])


async def test_attempts_without_an_answer_leave_no_connection_behind() -> None:
    begun, ended = 0, 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun, ended
        begun += 1
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended += 1
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    before = asyncio.all_tasks()
    chosen = settings(server.sockets[0].getsockname()[1], timeout=0.3)
    async with running(new_link(chosen)):
        await until(lambda: begun == 3)
        assert ended == 2
    await until(lambda: ended == 3 and asyncio.all_tasks() <= before)
    server.close()


async def test_a_disabled_link_does_nothing() -> None:
    link = MqttLink(MqttSettings(enabled=False))
    link.publish_event(make_event(1))
    link.publish_state("privface/person/anna/state", {"present": True})
    await asyncio.wait_for(link.run(), 1)
    assert link.status.state is LinkState.DISABLED
    assert link.counters.waiting == 0


async def test_the_sink_hands_events_to_the_link(shared: Mosquitto) -> None:
    chosen = settings(shared.port)
    async with running(new_link(chosen)) as link:
        sink = create(EngineContext(weights=None, options={"link": link}))  # type: ignore[arg-type]  # unused
        assert isinstance(sink, MqttSink)
        assert isinstance(sink, Sink)
        async with watching(shared.port, f"{chosen.base_topic}/event") as watcher:
            sink.publish(make_event(4))
            await until(lambda: watcher.seen)
            assert watcher.seen[0].json["seq"] == 4


def test_a_sink_without_a_link_is_refused() -> None:
    with pytest.raises(TypeError, match="MqttLink"):
        create(EngineContext(weights=None, options={}))  # type: ignore[arg-type]  # unused
