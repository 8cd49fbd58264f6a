"""``privface bridge`` with ``bridge.sealed``: templates reach a sealed backend, and no picture leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import psutil
import pytest

from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.standalone import open_bridge
from privface_backend.cli.exits import Exit
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.settings_sections import PrivacySettings
from support import backend, faces, weights
from support.backend import ADA, STRANGER, Api
from support.bridge import bridging, identify_token, line, make_settings, publisher, until
from support.cli import SYNTHETIC, Home
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import watching
from support.reverse_proxy import RecordingProxy
from support.sealed import KEY, OTHER_KEY, enroll, pictures_in, sealed_enrollment, user_side

pytestmark = [*needs_mosquitto, pytest.mark.slow]

SEALED = PrivacySettings(sealed=True)
MOST_MIB = 250.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(root=tmp_path / "home", variables={"PRIVFACE_SEALED__KEY": KEY.to_text()})
    made.root.mkdir()
    return made


def configure(home: Home, broker: Mosquitto, url: str, engines: str = SYNTHETIC) -> None:
    home.configure(
        f"{engines}mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
        f"bridge: {{backend: '{url}', sealed: true, id: attic, topics: ['shots/{{camera}}']}}\n"
    )


def check_wire(proxy: RecordingProxy, *, secret: str = KEY.to_text()) -> list[dict[str, object]]:
    """All sealed frames that crossed; nothing that did is or holds a picture, or the key."""
    frames = []
    for exchange in proxy.exchanges:
        assert not pictures_in(exchange.body, exchange.content_type), exchange.target
        assert secret.encode() not in exchange.body
        assert exchange.target.startswith("/api/v1/")
        if exchange.target.startswith("/api/v1/cameras/"):
            assert exchange.target.endswith("/sealed")
            frames.append(json.loads(exchange.body)["frame"])
    return frames


async def enroll_by_command(home: Home, api: Api, url: str, name: str, *pictures: Path) -> None:
    there = ("--url", url, "--token", api.tokens[Scope.ADMIN])
    done = await asyncio.to_thread(home.run, "seal", "enroll", *pictures, "--person", name, *there)
    assert done.code == Exit.OK, done.out + done.err


async def publish(client: aiomqtt.Client, camera: str, pictures: Sequence[bytes], proxy: RecordingProxy) -> None:
    """Publish pictures, each once the one before it has crossed."""
    for picture in pictures:
        before = sum("/cameras/" in exchange.target for exchange in proxy.exchanges)
        await client.publish(f"shots/{camera}", picture)
        await until(
            lambda before=before: sum("/cameras/" in exchange.target for exchange in proxy.exchanges) > before, 120
        )


async def told_of(api: Api, camera: str) -> list[dict[str, Any]]:
    """A camera's events, once there are any."""
    async with asyncio.timeout(60):
        while True:
            events = (await api.call("GET", "/api/v1/events")).document["events"]
            if found := [event for event in events if event["camera"] == camera]:
                return found
            await asyncio.sleep(0.05)


async def test_templates_make_an_event_and_no_picture_crosses(home: Home, tmp_path: Path) -> None:
    (home.root / "ada.png").write_bytes(backend.picture(ADA))
    with Mosquitto(tmp_path) as broker:
        async with (
            backend.running(tmp_path / "backend", privacy=SEALED) as api,
            RecordingProxy(api.url) as proxy,
            publisher(broker.port) as client,
            watching(broker.port, "privface/bridge/attic/status") as watcher,
        ):
            configure(home, broker, proxy.url)
            await enroll_by_command(home, api, proxy.url, "Ada", home.root / "ada.png")
            with home.start("bridge", PRIVFACE_BRIDGE__TOKEN=identify_token(api)) as child:
                child.read_until(lambda out, _: "no picture leaves" in out)
                await until(lambda: bool(watcher.seen), 120)
                await publish(client, "door", [backend.picture(ADA, STRANGER), backend.picture()], proxy)
                events = await api.logged(2)
                assert child.end() == Exit.OK
            frames = check_wire(proxy)
    assert {(event["camera"], event["outcome"], event["person"]) for event in events} == {
        ("door", "known", "Ada"),
        ("door", "unknown", None),
    }
    assert events[0]["privacy"] == {"method": "sealed", "parameter": 1, "relative": 0.0, "applied_by": "bridge"}
    # A picture without a face leaves nothing but that there was none.
    assert [len(list(frame["faces"])) for frame in frames] == [2, 0]  # type: ignore[call-overload]


async def test_frames_of_another_key_are_refused_and_counted(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with backend.running(tmp_path / "backend", privacy=SEALED) as api, publisher(broker.port) as client:
            await enroll(api, "Ada", sealed_enrollment(ADA))
            settings = make_settings(
                tmp_path,
                api.url,
                port=broker.port,
                cameras={"door": CameraFeed(topic="shots/door")},
                token=identify_token(api),
                sealed=True,
            )
            async with bridging(settings, side=user_side(OTHER_KEY)) as bridge:
                await client.publish("shots/door", backend.picture(ADA))
                await until(lambda: line(bridge, "door").counts.failed == 1)
            assert (await api.call("GET", "/api/v1/events")).document["events"] == []


async def test_without_what_seals_nothing_opens(home: Home, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "http://127.0.0.1:9", port=1883, topics=("shots/{camera}",), sealed=True)
    with pytest.raises(PrivFaceError) as refused:
        async with open_bridge(settings):
            pass
    assert refused.value.code is ErrorCode.SEALED
    with Mosquitto(tmp_path) as broker:
        configure(home, broker, "http://127.0.0.1:9")
        done = await asyncio.to_thread(
            home.run, "bridge", PRIVFACE_SEALED__KEY="", PRIVFACE_SEALED__KEY_FILE=str(_bad_key(home))
        )
        assert done.code in {Exit.STORAGE, Exit.USAGE}
        assert "key" in done.err
        assert "sends to" not in done.out


def _bad_key(home: Home) -> Path:
    path = home.root / "bad.key"
    path.write_text("pfk1_copied-wrong\n", encoding="ascii")
    return path


@pytest.mark.faces
@pytest.mark.weights
async def test_real_engines_know_a_person_within_the_memory_of_a_small_computer(home: Home, tmp_path: Path) -> None:
    variables = {**home.variables, "PRIVFACE_MODELS_DIR": str(weights.real().deepface_home)}
    home = replace(home, variables=variables)
    people = sorted(path for path in (faces.require_data() / "home" / faces.CALTECH).iterdir() if path.is_dir())
    pictures = [sorted(person.glob("*.jpg")) for person in people]
    (known, stranger, *_) = [files for files in pictures if len(files) >= 5]
    with Mosquitto(tmp_path) as broker:
        async with (
            backend.running(tmp_path / "backend", privacy=SEALED) as api,
            RecordingProxy(api.url) as proxy,
            publisher(broker.port) as client,
            watching(broker.port, "privface/bridge/attic/status") as watcher,
        ):
            configure(home, broker, proxy.url, engines="")
            await enroll_by_command(home, api, proxy.url, "Ada", *known[:3])
            with home.start("bridge", PRIVFACE_BRIDGE__TOKEN=identify_token(api)) as child:
                child.read_until(lambda out, _: "no picture leaves" in out)
                await until(lambda: bool(watcher.seen), 120)
                await publish(client, "door", [path.read_bytes() for path in known[3:5]], proxy)
                await publish(client, "garden", [path.read_bytes() for path in stranger[:2]], proxy)
                memory = psutil.Process(child.process.pid).memory_info().rss / 2**20
                told = {camera: await told_of(api, camera) for camera in ("door", "garden")}
                assert child.end() == Exit.OK
            check_wire(proxy)
    assert {camera: {event["person"] for event in events} for camera, events in told.items()} == {
        "door": {"Ada"},
        "garden": {None},
    }
    assert told["door"][0]["engine"] == {"detector": "opencv:yunet", "recognizer": "opencv:sface"}
    assert memory <= MOST_MIB
