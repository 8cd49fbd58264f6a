"""``privface bridge`` as a process of its own, and what ``privface doctor`` says of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from privface_backend.cli.exits import Exit
from privface_backend.protocol import Scope
from support import backend
from support.bridge import clear_picture, identify_token, jpeg, publisher, until
from support.cli import Home
from support.frigate_server import FrigateServer, make_config
from support.here import Here
from support.http_camera import camera
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import watching

pytestmark = [*needs_mosquitto, pytest.mark.slow]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Here(root=tmp_path)


async def test_a_picture_goes_from_a_topic_to_an_event(home: Home, tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with backend.running(tmp_path / "backend") as api, publisher(broker.port) as client:
            await api.create("Ada", backend.ADA)
            home.configure(
                f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
                f"bridge: {{backend: '{api.url}', id: attic, topics: ['shots/{{camera}}']}}\n"
            )
            async with watching(broker.port, "privface/bridge/attic/status") as watcher:
                with home.start("bridge", PRIVFACE_BRIDGE__TOKEN=identify_token(api)) as child:
                    child.read_until(lambda out, _: "as privface/bridge/attic" in out)
                    await until(lambda: bool(watcher.seen))
                    await client.publish("shots/front door", backend.picture(backend.ADA))
                    (event, *_) = await api.logged(1)
                    assert child.end() == Exit.OK
                    await until(lambda: watcher.seen[-1].payload == b"offline")
    assert (event["camera"], event["person"], event["source"]) == ("front door", "Ada", "mqtt")
    assert event["privacy"]["applied_by"] == "bridge"
    assert identify_token(api) not in child.out + child.err


async def _checks(home: Home) -> tuple[int, dict[str, dict[str, str]]]:
    done = await asyncio.to_thread(home.run, "doctor", "--json")
    return done.code, {check["name"]: check for check in json.loads(done.out)["checks"]}


async def test_doctor_looks_at_backend_token_and_cameras(home: Home, tmp_path: Path) -> None:
    async def now(_request: web.Request) -> web.Response:
        return web.Response(body=jpeg(clear_picture()), content_type="image/jpeg")

    def configure(token: str, cameras: str = "  gone: {folder: gone}\n") -> None:
        home.configure(
            f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
            f"bridge: {{backend: '{api.url}', token: {token}}}\n"
            "engines: {detector: synthetic, recognizer: synthetic}\n"
            f"cameras:\n{cameras}"
        )

    with Mosquitto(tmp_path) as broker:
        async with (
            backend.running(tmp_path / "backend") as api,
            publisher(broker.port) as client,
            camera(now=now) as url,
        ):
            await client.publish("kept/shot", b"x", qos=1, retain=True)
            configure(
                identify_token(api),
                f"  good: {{address: '{url.replace('//', '//anna:geheim@')}/now'}}\n"
                "  away: {address: 'http://anna:geheim@127.0.0.1:9/now'}\n"
                "  kept: {topic: kept/shot}\n"
                "  mute: {topic: mute/shot}\n"
                "  gone: {folder: gone}\n",
            )
            code, found = await _checks(home)
            assert code == Exit.UNFINISHED
            verdicts = {name: check["verdict"] for name, check in found.items()}
            assert found["camera good"]["text"] == "gives pictures of 1280x720"
            assert {name: verdicts[name] for name in verdicts if name == "backend" or name.startswith("camera ")} == {
                "backend": "ok",
                "camera good": "ok",
                "camera away": "problem",
                "camera kept": "ok",
                "camera mute": "warning",
                "camera gone": "problem",
            }
            assert "geheim" not in str(found)
            configure("pf_wrong")
            assert (await _checks(home))[1]["backend"]["text"] == "doesn't know the token"
            configure(api.tokens[Scope.ENROLL])
            assert "scope identify" in (await _checks(home))[1]["backend"]["text"]
            await api.stop()
            assert "can't be reached (connection refused)" in (await _checks(home))[1]["backend"]["text"]


def test_the_doctor_says_what_it_does_not_look_at(home: Home) -> None:
    cameras = "cameras: {door: {topic: door/shot}}\nbridge: {topics: ['shots/{camera}']}\n"
    home.configure(f"engines: {{detector: synthetic, recognizer: synthetic}}\n{cameras}")
    done = home.run("doctor")
    for name in ("camera door", "topics shots/{camera}"):
        assert f"[look] {name}: not listened to now: the embedded broker" in done.out
    home.configure(f"mqtt: {{enabled: false}}\nengines: {{detector: synthetic, recognizer: synthetic}}\n{cameras}")
    done = home.run("doctor")
    assert done.code == Exit.UNFINISHED
    assert "[FAIL] camera door: no picture comes: there is no broker" in done.out


def test_the_doctor_says_of_a_missing_webcam_only_what_is_to_be_said(home: Home) -> None:
    engines = "engines: {detector: synthetic, recognizer: synthetic}\n"
    home.configure(f"mqtt: {{enabled: false}}\n{engines}cameras: {{desk: {{webcam: 63}}}}\n")
    done = home.run("doctor")
    assert "[FAIL] camera desk: The camera can't be opened." in done.out
    assert "OpenCV should" not in done.out + done.err
    assert "VIDEOIO" not in done.out + done.err


async def test_the_doctor_looks_at_frigate(home: Home) -> None:
    async with FrigateServer(password="geheim") as frigate:

        async def look(password: str) -> dict[str, Any]:
            home.configure(
                "engines: {detector: synthetic, recognizer: synthetic}\n"
                f"frigate: {{enabled: true, url: '{frigate.url}', username: anna, password: {password},\n"
                "  sub_labels: true}\n"
            )
            return dict((await _checks(home))[1]["frigate"])

        assert (await look("geheim"))["verdict"] == "ok"
        frigate.config = make_config(enabled=True)
        assert "no names are written back" in (await look("geheim"))["text"]
        wrong = await look("falsch")
        assert (wrong["verdict"], "password" in wrong["text"], "falsch" in str(wrong)) == ("problem", True, False)
        await frigate.kill()
        assert (await look("geheim"))["verdict"] == "problem"
