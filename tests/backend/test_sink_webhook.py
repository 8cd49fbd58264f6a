"""The sink ``webhook`` against a real HTTP server: retries, what ends them, what is bounded, where nothing goes."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from privface_backend.cli.exits import Exit
from privface_backend.cli.webhook import leaves_home_unencrypted
from privface_backend.domain.backoff import Backoff
from privface_backend.engines.sinks.webhook import WebhookSink
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, Sink
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.settings_push import WebhookSettings, read_key
from privface_backend.webhooks.delivery import MOST_ANSWER_BYTES, open_sender
from privface_backend.webhooks.messages import trial_message
from privface_backend.webhooks.signing import sign
from support.backend import ADA, STRANGER, picture, running, until
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.here import Here
from support.hooks import Receiver, receiving
from support.mqtt import make_event
from support.ports import free_port

pytestmark = pytest.mark.slow

SECRET = "a-secret-of-the-house"
FAST = Backoff(first=0.01, ceiling=0.05, fraction=lambda: 1.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def make_sink(*hooks: WebhookSettings, **options: Any) -> WebhookSink:
    context = EngineContext(weights=WeightsStore(Path("none")), options={"hooks": hooks, "backoff": FAST, **options})
    sink = Registry().create(EngineKind.SINK, "webhook", context)
    assert isinstance(sink, Sink)
    assert isinstance(sink, WebhookSink)
    return sink


@contextlib.asynccontextmanager
async def delivering(sink: WebhookSink) -> AsyncIterator[WebhookSink]:
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def hook(receiver: Receiver, **settings: Any) -> WebhookSettings:
    return WebhookSettings(url=receiver.url, secret=SECRET, **settings)


def counts(sink: WebhookSink, number: int = 1) -> tuple[int, int, int]:
    counters = sink.counters[number - 1]
    return counters.sent, counters.failed, counters.dropped


async def test_events_arrive_signed_and_in_order(receiver: Receiver) -> None:
    async with delivering(make_sink(hook(receiver))) as sink:
        for number in range(5):
            sink.publish(make_event(number))
        came = await receiver.wait(5)
        await until(lambda: counts(sink) == (5, 0, 0))
    assert [delivery.id for delivery in came] == [f"event-{number}" for number in range(5)]
    for delivery in came:
        assert delivery.headers["Content-Type"] == "application/json"
        timestamp = int(delivery.headers["webhook-timestamp"])
        assert abs(timestamp - time.time()) < 60
        assert delivery.headers["webhook-signature"] == sign(read_key(SECRET), delivery.id, timestamp, delivery.body)
        assert delivery.document["data"]["person"] == "Anna Example"


async def test_a_hook_gets_only_what_it_wants(receiver: Receiver) -> None:
    sink = make_sink(hook(receiver, cameras=("yard",)), hook(receiver, names=False))
    async with delivering(sink):
        sink.publish(make_event(1))
        (delivery,) = await receiver.wait(1)
        await until(lambda: counts(sink, 2) == (1, 0, 0))
    assert delivery.document["data"]["person"] is None
    assert counts(sink, 1) == (0, 0, 0)


@pytest.mark.parametrize("status", [500, 404, 429, 302])
async def test_what_fails_is_sent_again_under_the_same_id(receiver: Receiver, status: int) -> None:
    receiver.answers += [status, status]
    async with delivering(make_sink(hook(receiver))) as sink:
        sink.publish(make_event(1))
        sink.publish(make_event(2))
        came = await receiver.wait(4)
        await until(lambda: counts(sink) == (2, 0, 0))
    assert [delivery.id for delivery in came] == ["event-1"] * 3 + ["event-2"]


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        receiver.answers += [web.Response(status=307, headers={"Location": elsewhere.url})] * 2
        async with delivering(make_sink(hook(receiver, attempts=2))) as sink:
            sink.publish(make_event(1))
            await until(lambda: counts(sink) == (0, 1, 0))
        assert elsewhere.came == []


async def test_it_gives_up_after_so_many_attempts_and_goes_on(receiver: Receiver) -> None:
    receiver.answers += [503] * 3
    async with delivering(make_sink(hook(receiver, attempts=3))) as sink:
        sink.publish(make_event(1))
        sink.publish(make_event(2))
        came = await receiver.wait(4)
        await until(lambda: counts(sink) == (1, 1, 0))
    assert [delivery.id for delivery in came] == ["event-1"] * 3 + ["event-2"]


async def test_an_event_that_expired_is_not_sent(receiver: Receiver) -> None:
    async with delivering(make_sink(hook(receiver))) as sink:
        sink.publish(make_event(1, expires_in=-1))
        sink.publish(make_event(2))
        await receiver.wait(1)
        await until(lambda: counts(sink) == (1, 0, 1))
    assert [delivery.id for delivery in receiver.came] == ["event-2"]


async def test_an_event_that_expires_meanwhile_is_given_up(receiver: Receiver) -> None:
    receiver.answers += [500] * 1000
    slow = Backoff(first=1.0, ceiling=1.0, fraction=lambda: 1.0)
    async with delivering(make_sink(hook(receiver, attempts=100), backoff=slow)) as sink:
        sink.publish(make_event(1, expires_in=3))
        await until(lambda: counts(sink) == (0, 1, 0))
    assert 1 <= len(receiver.came) <= 3


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_respected(receiver: Receiver, form: str) -> None:
    at = email.utils.format_datetime(datetime.fromtimestamp(time.time() + 3, UTC), usegmt=True)
    receiver.answers.append(web.Response(status=429, headers={"Retry-After": "1" if form == "seconds" else at}))
    async with delivering(make_sink(hook(receiver))) as sink:
        sink.publish(make_event(1))
        first, second = await receiver.wait(2)
    assert second.at - first.at >= 0.9


async def test_a_retry_after_beyond_the_end_gives_up_at_once(receiver: Receiver) -> None:
    receiver.answers.append(web.Response(status=503, headers={"Retry-After": "99999999999"}))
    async with delivering(make_sink(hook(receiver))) as sink:
        sink.publish(make_event(1))
        sink.publish(make_event(2))
        await until(lambda: counts(sink) == (1, 1, 0))


async def test_gone_is_gone(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answers.append(410)
    async with receiving() as other, delivering(make_sink(hook(receiver), hook(other))) as sink:
        sink.publish(make_event(1))
        sink.publish(make_event(2))
        await until(lambda: counts(sink, 1) == (0, 1, 1) and counts(sink, 2) == (2, 0, 0))
        sink.publish(make_event(3))
        await until(lambda: counts(sink, 1) == (0, 1, 2) and counts(sink, 2) == (3, 0, 0))
    assert len(receiver.came) == 1
    assert "is gone (410)" in caplog.text


async def test_when_too_many_wait_the_oldest_go(receiver: Receiver) -> None:
    sink = make_sink(hook(receiver, waiting=3))
    for number in range(10):
        sink.publish(make_event(number))
    assert (counts(sink), sink.counters[0].waiting) == ((0, 0, 7), 3)
    async with delivering(sink):
        came = await receiver.wait(3)
        await until(lambda: counts(sink) == (3, 0, 7))
    assert [delivery.id for delivery in came] == ["event-7", "event-8", "event-9"]


async def test_a_slow_hook_holds_up_no_other(receiver: Receiver) -> None:
    stuck = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    receiver.answers.append(never)
    async with receiving() as other, delivering(make_sink(hook(receiver), hook(other))) as sink:
        for number in range(3):
            sink.publish(make_event(number))
        await until(lambda: counts(sink, 2) == (3, 0, 0))
        assert counts(sink, 1) == (0, 0, 0)
        stuck.set()
        await until(lambda: counts(sink, 1) == (3, 0, 0))


async def test_one_that_never_answers_is_tried_again(receiver: Receiver) -> None:
    stuck = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    receiver.answers.append(never)
    async with delivering(make_sink(hook(receiver, seconds=0.5))) as sink:
        sink.publish(make_event(1))
        await until(lambda: counts(sink) == (1, 0, 0))
        stuck.set()
    assert len(receiver.came) == 2


async def test_an_endless_answer_is_read_no_further() -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 2**30:
                await response.write(b"x" * 65536)
                sent += 65536
        return response

    async with receiving() as receiver:
        receiver.answers.append(flood)
        async with open_sender(hook(receiver), lambda: datetime.now(UTC)) as sender:
            attempt = await sender.send(trial_message(datetime.now(UTC)))
    assert attempt.delivered
    assert attempt.text == "x" * MOST_ANSWER_BYTES
    assert sent < 2**28


async def test_an_outage_is_one_warning_and_one_info(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with delivering(make_sink(replace(hook(receiver), url=f"http://127.0.0.1:{port}/s3cret"))) as sink:
        sink.publish(make_event(1))
        await until(lambda: "doesn't take events" in caplog.text)
        await asyncio.sleep(0.1)
        async with receiving(port) as back:
            await back.wait(1)
            await until(lambda: counts(sink) == (1, 0, 0))
    lines = [record.getMessage() for record in caplog.records if "Webhook" in record.getMessage()]
    said = [line.partition(") ")[2].partition(":")[0] for line in lines]
    assert said == ["doesn't take events", "takes events again"]
    assert not any(word in caplog.text for word in ("s3cret", SECRET, "Anna"))


async def resolve_to_own(_host: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_a_name_that_leads_to_this_computer_is_not_sent_to(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    rebound = replace(hook(receiver), url=f"http://hooks.example.com:{receiver.port}/x")
    meant = replace(rebound, allow_private=True)
    async with delivering(make_sink(rebound, meant, resolve=resolve_to_own)) as sink:
        sink.publish(make_event(1))
        await until(lambda: counts(sink, 1) == (0, 1, 0) and counts(sink, 2) == (1, 0, 0))
    assert [delivery.headers["Host"] for delivery in receiver.came] == [f"hooks.example.com:{receiver.port}"]
    assert "allow_private: true allows it" in caplog.text


async def test_a_name_that_leads_to_metadata_never_is(receiver: Receiver) -> None:
    async def resolve(_host: str) -> Sequence[str]:
        return ["169.254.169.254"]

    async with open_sender(
        replace(hook(receiver), url="http://hooks.example.com/", allow_private=True), lambda: datetime.now(UTC), resolve
    ) as sender:
        attempt = await sender.send(trial_message(datetime.now(UTC)))
    assert (attempt.refused, attempt.status) == (True, None)


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://127.1/", "http://2130706433/"])
async def test_what_the_settings_would_refuse_is_refused_again(url: str) -> None:
    async with open_sender(WebhookSettings(url=url, secret=SECRET), lambda: datetime.now(UTC)) as sender:
        assert (await sender.send(trial_message(datetime.now(UTC)))).refused


async def test_a_name_without_an_address(receiver: Receiver) -> None:
    async def resolve(_host: str) -> Sequence[str]:
        raise OSError("no such host: s3cret.example")

    async with open_sender(
        replace(hook(receiver), url="http://s3cret.example/"), lambda: datetime.now(UTC), resolve
    ) as sender:
        attempt = await sender.send(trial_message(datetime.now(UTC)))
    assert (attempt.words, attempt.refused) == ("the host has no address", False)


async def test_the_backend_sends_its_events_and_counts_them(receiver: Receiver, tmp_path: Path) -> None:
    hooks = (hook(receiver, outcomes=("unknown",), names=False), hook(receiver, cameras=("nowhere",)))
    async with running(tmp_path, webhooks=hooks) as api:
        await api.create("Ada", ADA)
        await api.frame("door", picture(ADA))
        (event_id,) = (await api.frame("yard", picture(STRANGER))).document["events"]
        (delivery,) = await receiver.wait(1)
        await until(lambda: api.backend.services.webhooks()[0].sent == 1)
        figures = (await api.call("GET", "/metrics")).body.decode()
    assert (delivery.id, delivery.document["type"]) == (event_id, "event.unknown")
    assert 'privface_webhook_events_total{result="sent",webhook="1"} 1.0' in figures
    assert 'privface_webhook_events_total{result="sent",webhook="2"} 0.0' in figures
    assert 'privface_webhook_waiting{webhook="1"} 0.0' in figures
    assert str(receiver.port) not in figures


def configure(home: Home, url: str) -> None:
    home.configure(f"{SYNTHETIC}{NO_BROKER}webhooks: [{{url: '{url}', secret: {SECRET}}}]\n")


async def test_the_command_sends_a_test_and_shows_the_answer(receiver: Receiver, tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    configure(home, receiver.url)
    receiver.answers += [web.Response(text="thank you\x1b[31m"), 500]
    done = await asyncio.to_thread(home.run, "webhook", "test", "1")
    assert done.code == Exit.OK, done.err
    assert f"to http://127.0.0.1:{receiver.port}: it answered 200\n  thank you\N{REPLACEMENT CHARACTER}[31m" in done.out
    assert "secret-path" not in done.out
    (delivery,) = receiver.came
    assert delivery.document["type"] == "test"
    assert delivery.id in done.out
    timestamp = int(delivery.headers["webhook-timestamp"])
    assert delivery.headers["webhook-signature"] == sign(read_key(SECRET), delivery.id, timestamp, delivery.body)
    done = await asyncio.to_thread(home.run, "webhook", "test", "--json")
    assert done.code == Exit.UNFINISHED
    (line,) = done.lines
    assert (line["delivered"], line["status"]) == (False, 500)


def test_the_command_where_nobody_is(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    configure(home, f"http://127.0.0.1:{free_port()}/x")
    assert home.run("webhook", "test").code == Exit.NETWORK
    assert home.run("webhook", "test", "2").code == Exit.USAGE
    home.configure(SYNTHETIC)
    assert home.run("webhook", "test").code == Exit.USAGE


async def test_the_doctor_looks_without_sending(receiver: Receiver, tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    configure(home, receiver.url)
    done = await asyncio.to_thread(home.run, "doctor")
    assert f"[ ok ] webhook 1: http://127.0.0.1:{receiver.port} answers; privface webhook test 1" in done.out
    assert receiver.came == []
    configure(home, f"http://127.0.0.1:{free_port()}/x")
    done = await asyncio.to_thread(home.run, "doctor")
    assert done.code == Exit.UNFINISHED
    assert "[FAIL] webhook 1: http://127.0.0.1" in done.out


@pytest.mark.parametrize(
    ("url", "leaves"),
    [
        ("http://192.168.1.5:1880/x", False),
        ("http://127.0.0.1/x", False),
        ("http://nodered.lan/x", False),
        ("https://hooks.example.com/x", False),
        ("http://hooks.example.com/x", True),
        ("http://93.184.216.34/x", True),
    ],
)
def test_the_doctor_knows_what_leaves_home_unencrypted(url: str, leaves: bool) -> None:
    assert leaves_home_unencrypted(WebhookSettings(url=url, secret=SECRET)) is leaves


async def test_the_doctor_looks_at_the_dht(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    async with receiving() as node:
        home.configure(f"{SYNTHETIC}{NO_BROKER}dht: {{enabled: true, url: 'ws://127.0.0.1:{node.port}/ws'}}\n")
        done = await asyncio.to_thread(home.run, "doctor")
        assert f"[ ok ] DHT: 127.0.0.1:{node.port} answers" in done.out
    done = await asyncio.to_thread(home.run, "doctor")
    assert "[FAIL] DHT: " in done.out
    assert "dht.url" in done.out
