"""What a running service holds of somebody, who is forgotten while it does: queues, open visits, the broker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from privface_backend.core import open_core
from privface_backend.dht.outbox import Outbox as DhtOutbox
from privface_backend.dht.outbox import Outgoing
from privface_backend.mqtt.outbox import Message, Outbox, OutgoingEvent
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.settings_push import WebhookSettings
from privface_backend.settings_sections import DecisionSettings
from support.backend import ADA, BEN, Api, make_settings, picture, running, until
from support.hooks import receiving
from support.ports import free_port

ONE = "/api/v1/people/{person}"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


async def forget(api: Api, person: str) -> dict[str, Any]:
    reply = await api.call("DELETE", f"/api/v1/people/{person}", pattern=ONE)
    assert reply.status == 200, reply.body
    return dict(reply.document)


def outgoing(person_id: str | None) -> OutgoingEvent:
    messages = (Message("privface/event", b"{}"),)
    return OutgoingEvent(messages=messages, expires_at=NOW + timedelta(hours=1), person_id=person_id)


def test_the_broker_s_outbox_drops_what_names_them_also_what_is_on_its_way() -> None:
    outbox = Outbox(10)
    for person_id in ("ada", "ada", None, "ben"):
        outbox.push(outgoing(person_id))
    taken = outbox.take(NOW)
    assert taken is not None
    assert outbox.forget({"ada"}) == 2
    outbox.put_back()
    assert len(outbox) == 2
    left = [outbox.take(NOW)]
    outbox.acknowledge()
    left.append(outbox.take(NOW))
    assert [event.person_id for event in left if event is not None] == [None, "ben"]


def test_the_hash_table_s_outbox_drops_what_names_them() -> None:
    outbox = DhtOutbox(10)
    both = Outgoing("both", None, frozenset({"ada", "ben"}))
    for message in (both, Outgoing("ben", None, frozenset({"ben"})), Outgoing("nobody")):
        outbox.push(message)
    assert outbox.forget({"ada"}) == 1
    # What was on its way is done with as ever.
    outbox.done(both)
    first = outbox.first(NOW)
    assert first is not None
    assert (first.text, len(outbox)) == ("ben", 2)


async def test_a_listener_that_can_t_follow_is_told_nothing_of_them_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        ada, _ = await api.create("Ada", ADA), await api.create("Ben", BEN)
        with api.backend.services.bus.listen() as listener:
            await api.frame("door", picture(ADA, BEN))
            await api.logged(2)
            await forget(api, ada)
            told = [await listener.get() for _ in range(len(listener._items))]
        assert "Ada" not in json.dumps([message.payload for message in told])
        assert [message.payload["person"] for message in told if message.kind == "event"].count("Ben") == 1
        assert told[-1].payload.get("persons", ["Ben"]) == ["Ben"]


async def test_a_webhook_that_is_sent_again_later_is_not(tmp_path: Path) -> None:
    async with receiving() as receiver:
        # Long enough that it isn't sent again before it is forgotten, however busy the computer is.
        receiver.answers.append(web.Response(status=503, headers={"Retry-After": "6"}))
        hook = WebhookSettings(url=receiver.url, secret=SECRET)
        async with running(tmp_path, webhooks=(hook,)) as api:
            ada = await api.create("Ada", ADA)
            await api.frame("door", picture(ADA))
            await receiver.wait(1)
            await until(lambda: api.backend.services.webhooks()[0].waiting == 0)
            receipt = await forget(api, ada)
            assert receipt["service"]["waiting"] == 1, receipt
            ben = await api.create("Ben", BEN)
            await api.frame("hall", picture(BEN))
            came = await receiver.wait(2)
            assert [delivery.document["data"]["person_id"] for delivery in came] == [ada, ben]
            counters = api.backend.services.webhooks()[0]
            await until(lambda: counters.sent == 1)
            assert (counters.dropped, counters.failed) == (1, 0)


async def test_a_visit_that_goes_on_makes_no_stranger_of_them(tmp_path: Path) -> None:
    headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": '{"more": null}'}
    async with running(tmp_path, decision=DecisionSettings(settle_seconds=30)) as api:
        ada = await api.create("Ada", ADA)
        for _ in range(2):
            await api.frame("door", picture(ADA), headers=headers)
        ((event,),) = [await api.logged(1)]
        assert (event["person"], event["phase"]) == ("Ada", "provisional")
        await forget(api, ada)
        for _ in range(6):
            reply = await api.frame("door", picture(ADA), headers=headers)
            assert reply.document["visits"] == [event["visit_id"]]
        events = await api.logged(1)
        assert {(event["outcome"], event["person"], event["stranger"]) for event in events} == {("unknown", None, None)}
        await api.backend.core.gallery.poll()
        assert (await api.call("GET", "/api/v1/strangers")).document == {"strangers": []}


async def test_a_broker_that_can_t_be_reached_leaves_the_receipt_open(tmp_path: Path) -> None:
    mqtt = MqttSettings(host="127.0.0.1", port=free_port())
    async with running(tmp_path, mqtt=mqtt, broker_configured=True) as api:
        ada = await api.create("Ada", ADA)
        await api.frame("door", picture(ADA))
        receipt = await forget(api, ada)
        assert (receipt["complete"], receipt["file"]["state"], receipt["service"]["state"]) == (
            False,
            "rewritten",
            "due",
        )
        assert len(api.backend.link._outbox) == 0


async def test_an_event_is_not_written_for_somebody_whom_another_process_forgets_meanwhile(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        ada = await api.create("Ada", ADA)
        core = api.backend.core
        timed = await core.recognition.identify(picture(ADA))
        assert timed.judgement.faces[0].result.person_id == ada
        async with open_core(make_settings(tmp_path)) as other:
            await other.gallery.forget(ada)
        await api.frame("door", picture(ADA))
        await api.frame("hall", picture(BEN))
        await until(lambda: ada not in core.index.snapshot.names)
        assert {event["person_id"] for event in await api.logged(1)} == {None}
