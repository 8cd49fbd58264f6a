"""The whole backend with synthetic engines, real sockets and real brokers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt
import pytest

from privface_backend.app import Backend, open_backend
from privface_backend.core import open_core
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.status import LinkState
from privface_backend.pipeline.recording import Seen
from privface_backend.plugins.builtin import BUILTIN
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import ErrorCode, Event, FrameCard, Outcome
from privface_backend.rest.health import _reasons
from privface_backend.settings_sections import (
    BrokerSettings,
    DecisionSettings,
    EngineSettings,
    GallerySettings,
    PrivacySettings,
)
from support.backend import ADA, BEN, STRANGER, Api, encode, held, make_settings, picture, pixels, running
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import Watcher, until, watching
from support.ports import free_port
from support.small_weights import CONTENT, table_of

SHORT = DecisionSettings(hold_seconds=1)
Test = TypeVar("Test", bound=Callable[..., Any])


def on_mosquitto(test: Test) -> Test:
    """For the tests that need one."""
    for mark in needs_mosquitto:
        test = mark(test)
    return test


def mqtt(port: int, **changes: Any) -> dict[str, Any]:
    return {"mqtt": MqttSettings(port=port, **changes), "broker_configured": True}


@contextlib.asynccontextmanager
async def with_broker(tmp_path: Path, **sections: Any) -> AsyncIterator[tuple[Api, Watcher, Mosquitto]]:
    """A backend, a Mosquitto, and somebody who watches all of its topics."""
    with Mosquitto(tmp_path) as broker:
        async with (
            watching(broker.port, "#") as watcher,
            running(tmp_path, **(mqtt(broker.port) | sections)) as api,
        ):
            link = api.backend.link
            await until(lambda: link.status.state is LinkState.CONNECTED)
            yield api, watcher, broker


def retained(watcher: Watcher, topic: str) -> Any:
    """What was last published on a topic; None: nothing, or it was cleared."""
    messages = watcher.on(topic)
    return messages[-1].json if messages and messages[-1].payload else None


async def frame(api: Api, *identities: int, camera: str = "Front door") -> dict[str, Any]:
    reply = await api.frame(camera, picture(*identities))
    assert reply.status == 200, reply.body
    document: dict[str, Any] = reply.document
    return document


@on_mosquitto
async def test_what_is_seen_arrives_on_the_broker(tmp_path: Path) -> None:
    async with with_broker(tmp_path) as (api, watcher, broker):
        person = await api.create("Ada", ADA)
        scene = pixels(ADA, STRANGER)
        scene[10:24, 600:614] = (255, 0, 0)
        assert (await api.frame("Front door", encode(scene))).status == 200
        await until(lambda: len(watcher.on("privface/event")) == 3)
        events = {message.json["outcome"]: message.json for message in watcher.on("privface/event")}
        assert set(events) == {"known", "unknown", "unusable"}
        assert events["known"]["person_id"] == person
        assert events["known"]["person"] == "Ada"
        assert events["unknown"]["person_id"] is events["unknown"]["person"] is None
        assert events["unusable"]["reason"] == "too_small"
        assert all(Event.from_dict(event).privacy.parameter == 17 for event in events.values())

        await until(lambda: (retained(watcher, "privface/person/ada/state") or {}).get("present"))
        await until(lambda: (retained(watcher, "privface/camera/front-door/state") or {}).get("persons") == ["Ada"])
        assert retained(watcher, "privface/camera/front-door/state")["unknown"] == 1
        async with watching(broker.port, "#") as late:
            await until(lambda: late.on("privface/camera/front-door/state"))
            await until(lambda: late.on("privface/person/ada/state"))
            # Retained messages come in one go: had the events been kept, they would be among them.
            assert all(message.retained for message in late.seen)
            assert not late.on("privface/event")


@on_mosquitto
async def test_presence_ends_by_itself(tmp_path: Path) -> None:
    async with with_broker(tmp_path, decision=SHORT) as (api, watcher, _):
        await api.create("Ada", ADA)
        await frame(api, ADA, STRANGER)
        topic, camera = "privface/person/ada/state", "privface/camera/front-door/state"
        await until(lambda: [state.json["present"] for state in watcher.on(topic)] == [False, True, False])
        await until(lambda: retained(watcher, camera)["persons"] == [])
        await until(lambda: retained(watcher, camera)["unknown"] == 0)
        last_seen = retained(watcher, topic)["last_seen"]
        assert last_seen is not None
        assert retained(watcher, topic)["camera"] == "Front door"


@on_mosquitto
async def test_a_rename_moves_and_forgetting_clears_what_is_retained(tmp_path: Path) -> None:
    async with with_broker(tmp_path) as (api, watcher, broker):
        person = await api.create("Ada", ADA)
        await frame(api, ADA)
        await until(lambda: (retained(watcher, "privface/person/ada/state") or {}).get("present"))
        pattern = "/api/v1/people/{person}"
        reply = await api.call("PATCH", f"/api/v1/people/{person}", pattern=pattern, json={"name": "Adele"})
        assert reply.status == 200
        await until(lambda: (retained(watcher, "privface/person/adele/state") or {}).get("present"))
        await until(lambda: retained(watcher, "privface/person/ada/state") is None)
        await until(lambda: retained(watcher, "privface/camera/front-door/state")["persons"] == ["Adele"])
        reply = await api.call("DELETE", f"/api/v1/people/{person}", pattern=pattern)
        assert reply.status == 200
        await until(lambda: retained(watcher, "privface/person/adele/state") is None)
        await until(lambda: retained(watcher, "privface/camera/front-door/state")["persons"] == [])
        async with watching(broker.port, "#") as late:
            await until(lambda: late.on("privface/camera/front-door/state"))
            assert not any("/person/" in message.topic for message in late.seen)


@on_mosquitto
async def test_commands(tmp_path: Path) -> None:
    async with with_broker(tmp_path) as (api, watcher, _):
        await frame(api, ADA)
        base = "privface/camera/front-door"
        await until(lambda: watcher.on(f"{base}/enabled/state"))
        await watcher.client.publish(f"{base}/privacy/set", "31", qos=1)
        await until(lambda: watcher.on(f"{base}/privacy/state")[-1].payload == b"31")
        (event,) = (await frame(api, BEN))["events"]
        assert (await stored(api, event)).privacy.parameter == 31
        await watcher.client.publish(f"{base}/privacy/set", "30", qos=1)
        await watcher.client.publish(f"{base}/enabled/set", "OFF", qos=1)
        await until(lambda: watcher.on(f"{base}/enabled/state")[-1].payload == b"OFF")
        assert (await api.frame("Front door", picture(ADA))).code == "camera_disabled"
        assert watcher.on(f"{base}/privacy/state")[-1].payload == b"31"
        await watcher.client.publish("privface/camera/nowhere/enabled/set", "OFF", qos=1)
        await watcher.client.publish(f"{base}/enabled/set", "ON", qos=1)
        await until(lambda: watcher.on(f"{base}/enabled/state")[-1].payload == b"ON")
        assert (await api.frame("Front door", picture(ADA))).status == 200
        assert not watcher.on("privface/camera/nowhere/enabled/state")


async def stored(api: Api, event_id: str) -> Event:
    core = api.backend.core
    async with asyncio.timeout(10):
        while (event := await core.storage.call(core.events.get, event_id)) is None:  # noqa: ASYNC110  # see until
            await asyncio.sleep(0.005)
    return event


@on_mosquitto
async def test_a_broker_that_is_not_there_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, **mqtt(port)) as api:
        link = api.backend.link
        await until(lambda: link.status.state is LinkState.UNREACHABLE)
        await api.create("Ada", ADA)
        await frame(api, ADA)
        assert link.counters.waiting == 1
        with Mosquitto(tmp_path, port=port) as broker:
            async with watching(port, "privface/#") as watcher:
                await until(lambda: len(watcher.on("privface/event")) == 1)
            broker.kill()
            await until(lambda: link.status.state is not LinkState.CONNECTED)
            await frame(api, ADA, camera="Hall")
            assert (await api.call("GET", "/api/v1/people")).status == 200
            broker.start()
            async with watching(port, "privface/#") as watcher:
                await until(lambda: len(watcher.on("privface/event")) == 1)
                await until(lambda: (retained(watcher, "privface/person/ada/state") or {}).get("present"))


@on_mosquitto
async def test_a_broker_that_refuses_leaves_the_service_running(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, users={"anna": "right"}) as broker:
        async with running(tmp_path, **mqtt(broker.port, username="anna", password="mistyped")) as api:
            await until(lambda: api.backend.link.status.state is LinkState.REFUSED)
            await frame(api, ADA)
            reply = await api.call("GET", "/api/v1/info")
            assert reply.status == 200
            assert "mistyped" not in str(reply.document)
            assert reply.document["broker"]["state"] == "refused"


async def test_the_embedded_broker(tmp_path: Path) -> None:
    port = free_port()
    sections: dict[str, Any] = {"mqtt": MqttSettings(), "broker": BrokerSettings(port=port)}
    async with running(tmp_path, **sections) as api:
        own = api.backend.mqtt_settings
        await until(lambda: api.backend.link.status.state is LinkState.CONNECTED)
        login: dict[str, Any] = {
            "username": own.username,
            "password": own.password,
            "protocol": aiomqtt.ProtocolVersion.V311,
        }
        async with watching(port, "privface/event", **login) as watcher:
            await frame(api, ADA)
            await until(lambda: len(watcher.on("privface/event")) == 1)


async def test_the_embedded_broker_shows_what_was_asked_for(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "mqtt": MqttSettings(home_assistant=True, double_take=True),
        "broker": BrokerSettings(port=0),
    }
    async with running(tmp_path, **sections) as api:
        own = api.backend.mqtt_settings
        login: dict[str, Any] = {
            "username": own.username,
            "password": own.password,
            "protocol": aiomqtt.ProtocolVersion.V311,
        }
        person = await api.create("Ada", ADA)
        async with watching(own.port, "#", **login) as watcher:
            await frame(api, ADA)
            await until(lambda: len(watcher.on("privface/camera/front-door/event")) == 1)
            await until(lambda: len(watcher.on("double-take/matches/Ada")) == 1)
            await until(lambda: watcher.on("double-take/available")[-1].payload == b"online")
            topic = f"homeassistant/device/privface_{api.backend.core.instance_id}/person_{person}/config"
            await until(lambda: (retained(watcher, topic) or {}).get("device", {}).get("name") == "Ada")


async def test_after_a_restart_it_is_known_when_people_were_last_seen(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.create("Ada", ADA)
        await api.create("Ben", BEN)
        await frame(api, ADA, camera="Hall")
        await frame(api, ADA)
        before = {state.name: state for state in api.backend.services.household.people(api.backend.core.clock())}
    async with running(tmp_path) as api:
        after = {state.name: state for state in api.backend.services.household.people(api.backend.core.clock())}
    assert after["Ada"].last_seen is not None
    assert before["Ada"].last_seen is not None
    assert abs(after["Ada"].last_seen - before["Ada"].last_seen) < timedelta(milliseconds=2)
    assert after["Ada"].camera == "Front door"
    assert after["Ben"].last_seen is None


async def test_a_camera_that_was_switched_off_stays_off(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await frame(api, ADA)
        api.backend.services.cameras.enable("Front door", enabled=False)
        api.backend.services.cameras.set_parameter("Front door", 41)
    async with running(tmp_path) as api:
        assert (await api.frame("Front door", picture(ADA))).code == "camera_disabled"
        assert api.backend.services.cameras.get("Front door").parameter == 41


async def test_cameras_are_known_again_after_a_restart_unless_they_were_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        for camera in ("Front door", "Garage", "Hall"):
            await frame(api, ADA, camera=camera)
        api.backend.services.intake.forget_camera("Garage")
    async with running(tmp_path) as api:
        assert [camera.name for camera in api.backend.services.cameras.all()] == ["Front door", "Hall"]
        assert all(camera.enabled for camera in api.backend.services.cameras.all())


@on_mosquitto
async def test_what_is_refused_leaves_nothing_on_the_broker(tmp_path: Path) -> None:
    async with with_broker(tmp_path, privacy=PrivacySettings(require_client=True)) as (api, watcher, _):
        assert (await api.frame("Front door", picture(ADA))).code == "not_anonymized"
        assert (await api.frame("Hall", b"no picture")).code == "picture_format"
        assert (await api.call("GET", "/api/v1/cameras")).document == {"cameras": []}
        card = '{"privacy": {"method": "gaussian", "parameter": 17, "applied_by": "client"}}'
        headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": card}
        assert (await api.frame("Garage", picture(ADA, kernel=17), headers=headers)).status == 200
        await until(lambda: watcher.on("privface/camera/garage/state"))
        told = {seen.topic.split("/")[2] for seen in watcher.seen if seen.topic.startswith("privface/camera/")}
        assert told == {"garage"}


async def test_what_an_earlier_version_kept_of_cameras_is_taken_over(tmp_path: Path) -> None:
    kept = '{"Front door": {"enabled": false, "parameter": 41}}'
    async with open_core(make_settings(tmp_path)) as core:
        await core.storage.call(core.database.set_meta, "cameras", kept)
    async with running(tmp_path) as api:
        (camera,) = api.backend.services.cameras.all()
        assert (camera.name, camera.enabled, camera.parameter, camera.askable) == ("Front door", False, 41, False)


async def test_another_process_s_enrollment_is_noticed(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        assert (await frame(api, ADA))["faces"][0]["outcome"] == "unknown"
        async with open_core(make_settings(tmp_path)) as other:
            await other.start_engines()
            person = await other.gallery.create_person("Ada")
            await other.gallery.add_face(person.id, await other.recognition.represent(picture(ADA)))
        await until(lambda: bool(api.backend.core.index.snapshot.faces))
        assert (await frame(api, ADA))["faces"][0]["person_id"] == person.id


async def test_the_watched_folder(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    (folder / "Ada").mkdir(parents=True)
    (folder / "Ada" / "one.png").write_bytes(picture(ADA))
    async with running(tmp_path, gallery=GallerySettings(folder=folder)) as api:
        index = api.backend.core.index
        await until(lambda: len(index.snapshot.faces) == 1)
        (folder / "Ben.png").write_bytes(picture(BEN))
        await until(lambda: sorted(index.snapshot.names.values()) == ["Ada", "Ben"] and len(index.snapshot.faces) == 2)
        assert [face["person"] for face in (await frame(api, ADA, BEN))["faces"]].count(None) == 0


async def test_a_frame_judged_while_its_person_is_forgotten_names_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        person = await api.create("Ada", ADA)
        backend = api.backend
        timed = await backend.core.recognition.identify(picture(ADA))
        assert timed.judgement.faces[0].result.person_id == person
        await backend.core.gallery.forget(person)
        card = FrameCard(camera="door", captured_at=backend.core.clock(), more=False)
        [event] = backend.services.intake.tell(timed, card).events
        assert (event.outcome, event.person_id, event.person) == (Outcome.UNKNOWN, None, None)
        assert (await stored(api, event.event_id)).person_id is None


async def test_an_event_that_waits_while_its_person_is_forgotten_is_not_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        person = await api.create("Ada", ADA)
        backend = api.backend
        timed = await backend.core.recognition.identify(picture(ADA))
        card = FrameCard(camera="door", captured_at=backend.core.clock(), more=False)
        [event] = backend.services.intake.tell(timed, card).events
        assert event.person_id == person
        await backend.core.gallery.forget(person)
        other = (await frame(api, STRANGER, camera="Hall"))["events"][0]
        await stored(api, other)
        core = backend.core
        assert [event.event_id for event in await core.storage.call(core.events.list)] == [other]


async def test_events_that_wait_for_the_disk_are_kept_at_the_end(tmp_path: Path) -> None:
    async with open_backend(make_settings(tmp_path)) as backend:
        await backend.engines_ready()
        timed = await backend.core.recognition.identify(picture(ADA))
        for number in range(20):
            card = FrameCard(camera=f"door {number}", captured_at=backend.core.clock(), more=False)
            assert backend.services.intake.tell(timed, card).events
    async with open_core(make_settings(tmp_path)) as core:
        assert await core.storage.call(core.events.count) == 20


def weighted(**changes: Any) -> tuple[Registry, EngineSettings]:
    spec = EngineSpec(
        kind=EngineKind.DETECTOR,
        name="weighted",
        **({"factory": "support.process:create_weighted", "weights": ("net",)} | changes),
    )
    return Registry((*BUILTIN, spec)), EngineSettings(detector="weighted", recognizer="synthetic")


@contextlib.asynccontextmanager
async def weighing(tmp_path: Path) -> AsyncIterator[tuple[Backend, WeightsStore]]:
    registry, engines = weighted()
    store = WeightsStore(tmp_path / "models", table_of())
    settings = make_settings(tmp_path, engines=engines)
    async with open_backend(settings, registry=registry, weights=store, retry_seconds=0.05) as backend:
        yield backend, store


async def test_without_its_weights_it_runs_and_becomes_ready_when_they_appear(tmp_path: Path) -> None:
    async with weighing(tmp_path) as (backend, store):
        await until(lambda: backend.services.trouble() is not None)
        assert await _reasons(backend.services) == ["engines: weights_unreachable"]
        assert not backend.core.recognition.ready
        await backend.core.gallery.create_person("Ada")
        store.file("net").parent.mkdir(parents=True)
        store.file("net").write_bytes(CONTENT)
        await asyncio.wait_for(backend.engines_ready(), 10)
        assert await _reasons(backend.services) == []
        assert backend.services.trouble() is None
        card = FrameCard(camera="door", captured_at=backend.core.clock())
        assert isinstance(await backend.services.intake.camera_frame(picture(ADA), card), Seen)


async def test_weights_that_were_changed_by_a_byte_are_never_loaded(tmp_path: Path) -> None:
    path = WeightsStore(tmp_path / "models", table_of()).file("net")
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    async with weighing(tmp_path) as (backend, _):
        await until(lambda: backend.services.trouble() is not None)
        assert await _reasons(backend.services) == ["engines: weights_mismatch"]
        trouble = backend.services.trouble()
        assert trouble is not None
        assert "is not loaded" in trouble.message
        assert not backend.core.recognition.ready
        path.write_bytes(CONTENT)
        await asyncio.wait_for(backend.engines_ready(), 10)


async def test_an_engine_that_breaks_while_it_is_made_is_said(tmp_path: Path) -> None:
    registry, engines = weighted(factory="support.process:create_broken", weights=())
    settings = make_settings(tmp_path, engines=engines)
    async with open_backend(settings, registry=registry) as backend:
        await until(lambda: backend.services.trouble() is not None)
        assert await _reasons(backend.services) == ["engines: engine_failed"]


async def test_a_corrupt_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    async with running(tmp_path) as api:
        await api.create("Ada", ADA)
    path = settings.data_dir / "privface.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 512] = b"\xff" * 512
    path.write_bytes(data)
    before = sha256(path.read_bytes()).hexdigest()
    with pytest.raises(PrivFaceError) as error:
        async with open_backend(settings):
            pytest.fail("it was opened")
    assert error.value.code is ErrorCode.GALLERY_CORRUPT
    assert sha256(path.read_bytes()).hexdigest() == before


async def test_a_flood_of_one_camera_harms_nobody_else(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.create("Ada", ADA)
        core = api.backend.core
        flood, data = [], picture(ADA)
        api.backend.services.cameras.add("slow")
        async with held(core.lane) as hold:
            for _ in range(200):
                card = FrameCard(camera="slow", captured_at=core.clock())
                flood.append(asyncio.create_task(api.backend.services.intake.camera_frame(data, card)))
            await asyncio.sleep(0)
            assert core.lane.depth == 2
            others = [asyncio.create_task(frame(api, ADA, camera=f"camera {n}")) for n in range(5)]
            await until(lambda: core.lane.depth == 7)
            hold.let_go()
            results = await asyncio.gather(*flood, return_exceptions=True)
            named = [result["faces"][0]["outcome"] for result in await asyncio.gather(*others)]
            assert named == ["known"] * 5
        assert isinstance(results[-1], Seen)
        codes = {result.code for result in results[:-1] if isinstance(result, PrivFaceError)}
        assert codes == {ErrorCode.SUPERSEDED}
        camera = api.backend.services.cameras.get("slow")
        assert (camera.frames, camera.skipped) == (1, 199)


async def test_a_task_that_fails_is_logged_at_once_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = "Anna Distinctive"  # not in the line that raises, which the log shows

    async def fail(_link: MqttLink) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(MqttLink, "run", fail)
    async with open_backend(make_settings(tmp_path)) as backend:
        await until(lambda: "The task mqtt failed: RuntimeError" in caplog.text)
        assert words not in caplog.text
        await backend.engines_ready()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # one number


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_fifty_starts_and_stops_leave_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    settings = make_settings(tmp_path, gallery=GallerySettings(folder=folder))

    async def cycle() -> None:
        async with open_backend(settings) as backend:
            await backend.engines_ready()

    for _ in range(3):
        await cycle()
    gc.collect()
    files, threads, tasks = open_files(), threading.active_count(), len(asyncio.all_tasks())
    for _ in range(50):
        await cycle()
    gc.collect()
    assert len(asyncio.all_tasks()) == tasks
    # asyncio.to_thread's pool grows to its own limit.
    named = [thread.name for thread in threading.enumerate() if thread.name.startswith("privface")]
    assert not named
    assert threading.active_count() <= max(threads, 1 + min(32, (os.cpu_count() or 1) + 4))
    assert open_files() <= files
