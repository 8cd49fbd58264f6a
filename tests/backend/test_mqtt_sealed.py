"""Sealed frames over a real broker: fresh ones become events, all others are counted and answered with nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.sealed import KEEP, MOST_WAITING, SealedListener, read_message
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import ErrorCode, FrameSource, to_wire_time
from privface_backend.sealed.contracts import SealedContracts
from privface_backend.sealed.frames import SealedFrame
from privface_backend.settings_loading import load_settings
from privface_backend.settings_sections import PrivacySettings
from support import backend
from support.backend import ADA, Api
from support.bridge import publisher
from support.mosquitto import Mosquitto, needs_mosquitto
from support.sealed import KEY, OTHER_KEY, enroll, sealed_enrollment, sealed_frame, synthetic_settings

pytestmark = needs_mosquitto

SEALED = PrivacySettings(sealed=True)
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Home:
    """A broker, a sealed backend that listens there, and a client."""

    api: Api
    client: aiomqtt.Client

    async def metric(self, reason: str) -> int:
        text = (await self.api.call("GET", "/metrics")).body.decode()
        line = next((line for line in text.splitlines() if f'skipped_total{{reason="{reason}"}}' in line), "x 0")
        return int(float(line.split()[-1]))


@contextlib.asynccontextmanager
async def furnished(tmp_path: Path) -> AsyncIterator[Home]:
    with Mosquitto(tmp_path) as broker:
        mqtt = MqttSettings(host="127.0.0.1", port=broker.port, sealed_frames=True)
        async with (
            backend.running(tmp_path / "backend", privacy=SEALED, mqtt=mqtt, broker_configured=True) as api,
            publisher(broker.port) as client,
        ):
            await api.backend.link.wait_connected(60)
            yield Home(api, client)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with furnished(tmp_path) as home:
        yield home


def message(frame: dict[str, Any], *, age: float = 0.0, **card: Any) -> bytes:
    captured_at = to_wire_time(datetime.now(UTC) - timedelta(seconds=age))
    return json.dumps(
        {"card": {"camera": "door", "captured_at": captured_at, "more": False, **card}, "frame": frame}
    ).encode()


async def test_a_fresh_frame_becomes_an_event_and_no_other_does(home: Home) -> None:
    assert (await enroll(home.api, "Ada", sealed_enrollment(ADA))).status == 201
    topic = "privface/sealed"
    await home.client.publish(topic, message(sealed_frame(ADA, key=OTHER_KEY)), qos=1)
    await home.client.publish(topic, message(sealed_frame(ADA), age=120), qos=1)
    await home.client.publish(topic, b"\xff\xd8\xff\xe0 a picture", qos=1)
    await home.client.publish(topic, message({**sealed_frame(ADA), "faces": "none"}), qos=1)
    # They are taken in their order: once this one is an event, all before it have had their turn.
    await home.client.publish(topic, message(sealed_frame(ADA)), qos=1)
    (event,) = await home.api.logged(1)
    assert (event["camera"], event["person"], event["source"]) == ("door", "Ada", "mqtt")
    assert event["privacy"]["method"] == "sealed"
    counted = {code: await home.metric(code) for code in ("contract_mismatch", "bad_frame_card", "bad_request")}
    assert counted == {"contract_mismatch": 1, "bad_frame_card": 1, "bad_request": 2}


async def test_a_message_that_the_broker_kept_is_ignored(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with publisher(broker.port) as client:
            await client.publish("privface/sealed", message(sealed_frame(ADA)), qos=1, retain=True)
            mqtt = MqttSettings(host="127.0.0.1", port=broker.port, sealed_frames=True)
            async with backend.running(tmp_path / "b", privacy=SEALED, mqtt=mqtt, broker_configured=True) as api:
                await api.backend.link.wait_connected(60)
                await client.publish("privface/sealed", message(sealed_frame(ADA)), qos=1)
                (event,) = await api.logged(1)
                assert event["outcome"] == "unknown"
                (camera,) = api.backend.services.cameras.all()
                assert camera.frames == 1


async def test_who_sends_frames_is_in_the_audit_log(tmp_path: Path) -> None:
    """At first, and what came since when the service ends; what can't be read is no act."""
    async with furnished(tmp_path) as home:
        assert (await enroll(home.api, "Ada", sealed_enrollment(ADA))).status == 201
        for frame in ({"faces": "none"}, sealed_frame(ADA, key=OTHER_KEY), sealed_frame(ADA)):
            data = message(frame, requestor={"id": "attic", "type": "bridge"})
            await home.client.publish("privface/sealed", data, qos=1)
        await home.api.logged(1)
        folder = home.api.backend.core.audit.log.directory
    told = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    lines = [line for line in told if line["operation"] == "take_sealed_frame"]
    assert [(line["outcome"], line["count"]) for line in lines] == [("contract_mismatch", 1), ("known", 1)]
    assert {(line["act"], line["by"], line["camera"], line["requestor_id"]) for line in lines} == {
        ("identify", "mqtt", "door", "attic")
    }


async def test_what_waits_is_bounded_and_the_oldest_goes(home: Home) -> None:
    listener = SealedListener(
        home.api.backend.link,
        home.api.backend.services.sealed_intake,
        home.api.backend.services.audit,
        lambda: NOW,
    )
    for number in range(MOST_WAITING + 5):
        listener.take("privface/sealed", str(number).encode(), False)
    listener.take("privface/sealed", b"x" * (2 * 1024 * 1024 + 1), False)
    listener.take("privface/else", b"x", False)
    assert listener.counts == {"replaced": 5, "too large": 1}


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"camera": "door"}, ErrorCode.BAD_FRAME_CARD),
        ({"captured_at": to_wire_time(NOW)}, ErrorCode.BAD_FRAME_CARD),
        ({"camera": "a/b", "captured_at": to_wire_time(NOW)}, ErrorCode.BAD_FRAME_CARD),
        ({"camera": "door", "captured_at": to_wire_time(NOW - KEEP * 2)}, ErrorCode.BAD_FRAME_CARD),
        ({"camera": "door", "captured_at": to_wire_time(NOW + timedelta(hours=1))}, ErrorCode.BAD_FRAME_CARD),
        ({"camera": "door", "captured_at": "yesterday"}, ErrorCode.BAD_REQUEST),
    ],
)
def test_a_card_must_say_whose_and_when(card: dict[str, Any], code: ErrorCode) -> None:
    with pytest.raises(PrivFaceError) as refused:
        read_message(json.dumps({"card": card, "frame": sealed_frame(ADA)}).encode(), NOW)
    assert refused.value.code is code


def test_a_good_message_is_read() -> None:
    card = {"camera": "door", "captured_at": to_wire_time(NOW)}
    frame, read = read_message(json.dumps({"card": card, "frame": sealed_frame(ADA)}).encode(), NOW)
    assert (read.camera, read.source, len(frame.faces)) == ("door", FrameSource.MQTT, 1)


async def test_what_comes_before_the_kept_contract_is_read_doesnt_take_its_place(home: Home) -> None:
    await enroll(home.api, "Ada", sealed_enrollment(ADA))
    core = home.api.backend.core
    started_anew = SealedContracts(
        recognition=core.recognition, gallery=core.gallery, storage=core.storage, database=core.database
    )
    with pytest.raises(PrivFaceError) as refused:
        await started_anew.accept(SealedFrame.from_dict(sealed_frame(ADA, key=OTHER_KEY)).terms)
    assert refused.value.code is ErrorCode.CONTRACT_MISMATCH
    assert started_anew.terms is not None
    assert KEY.id in started_anew.terms.contract.key


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"mqtt.sealed_frames": True}, "mqtt.sealed_frames"),
        ({"bridge.sealed": True}, "bridge.sealed"),
        ({"privacy.sealed": True, "bridge.topics": ["shots/{camera}"]}, "privacy.sealed"),
        ({"privacy.sealed": True, "gallery.folder": "people"}, "privacy.sealed"),
        ({"sealed.key": "pfk1_no"}, "sealed.key"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, Any], problem: str) -> None:
    with pytest.raises(PrivFaceError, match=problem):
        load_settings(environment={}, flags=flags)
    assert synthetic_settings(KEY).redacted()["sealed"]["key"] == "***"
