"""``privface doctor``: each check's good and bad cases that can be made for real."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from privface_backend.cli.exits import Exit
from support.cli import NO_BROKER, SYNTHETIC, Ended, Home
from support.here import Here
from support.mosquitto import Mosquitto, needs_mosquitto
from support.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Here(root=tmp_path)
    made.configure(f"{SYNTHETIC}{NO_BROKER}server: {{port: {free_port()}}}\n")
    return made


def checks(done: Ended) -> dict[str, dict[str, Any]]:
    (report,) = done.lines
    assert report["problems"] == sum(check["verdict"] == "problem" for check in report["checks"])
    assert done.code == (Exit.UNFINISHED if report["problems"] else Exit.OK)
    return {check["name"]: check for check in report["checks"]}


def problems(done: Ended) -> dict[str, str]:
    return {name: check["text"] for name, check in checks(done).items() if check["verdict"] == "problem"}


def test_all_is_well(home: Home) -> None:
    done = home.run("doctor")
    assert done.code == Exit.OK, done.out
    assert done.out.endswith("Everything looks right.\n")
    for name in (
        "Python",
        "processor",
        "OpenCV",
        "clock",
        "settings",
        "detector",
        "disk",
        "gallery",
        "service",
        "MQTT",
    ):
        assert f"[ ok ] {name}: " in done.out
    assert not home.data.exists()


def test_wrong_settings(home: Home) -> None:
    home.configure("server: {port: x}\nengines: {detector: nonsense}\n")
    text = problems(home.run("doctor", "--json"))["settings"]
    assert "privface.yaml, line 1: server.port: expected a whole number" in text
    assert "privface.yaml, line 2: engines.detector: expected one of opencv:yunet" in text
    assert "[FAIL] settings: " in home.run("doctor").out


def test_an_engine_that_is_not_installed(home: Home) -> None:
    home.configure(f"{NO_BROKER}engines: {{detector: 'deepface:yolov8n', recognizer: synthetic}}\n")
    found = checks(home.run("doctor", "--json"))
    assert found["detector"]["verdict"] == "problem"
    assert found["detector"]["hint"] == "pip install ultralytics"


def test_weights_that_are_missing_or_changed(home: Home) -> None:
    home.configure(f"{NO_BROKER}engines: {{recognizer: synthetic}}\n")
    assert "are missing. Type: privface models fetch yunet" in problems(home.run("doctor", "--json"))["weights yunet"]
    file = home.data / "models" / ".deepface" / "weights" / "face_detection_yunet_2023mar.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 232_589)
    text = problems(home.run("doctor", "--json"))["weights yunet"]
    assert "is not the file that it should be, and is not loaded" in text
    assert "privface models fetch yunet" in text


def test_a_data_directory_that_can_not_be_written(home: Home) -> None:
    home.data.write_text("a file")
    assert "can't be written" in problems(home.run("doctor", "--json"))["disk"]


def test_a_corrupt_gallery(home: Home) -> None:
    home.run("people", "add", "Ada")
    assert checks(home.run("doctor", "--json"))["gallery"]["text"] == "1 people, 0 pictures"
    file = home.data / "privface.db"
    file.write_bytes(b"x" * 5000)
    assert "gallery" in problems(home.run("doctor", "--json"))
    assert file.read_bytes() == b"x" * 5000


def test_a_port_that_is_taken_or_ours(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = problems(home.run("doctor", "--json", PRIVFACE_SERVER__PORT=str(port)))
        assert found["service"] == f"port {port} is taken by another program"
    with home.serve() as (_, run):
        assert checks(home.run("doctor", "--json"))["service"]["text"] == f"runs at {run['url']}"


def test_camera_links(home: Home) -> None:
    with socket.socket() as camera:
        camera.bind(("127.0.0.1", 0))
        camera.listen()
        there, gone = camera.getsockname()[1], free_port()
        links = f"['rtsp://anna:secret@127.0.0.1:{there}/1', 'http://127.0.0.1:{gone}/', 'rtsp://127.0.0.1/*']"
        done = home.run("doctor", "--json", PRIVFACE_LINKS__ALLOW=links)
    assert checks(done)["camera link 1"]["text"] == f"127.0.0.1:{there} answers"
    assert problems(done) == {"camera link 2": f"127.0.0.1:{gone} doesn't answer"}
    assert "secret" not in done.out + done.err


def test_no_broker(home: Home) -> None:
    home.configure(f"{SYNTHETIC}mqtt: {{host: 127.0.0.1, port: {free_port()}}}\n")
    assert problems(home.run("doctor", "--json"))["MQTT"].startswith("No broker: ")


@pytest.mark.usefixtures("home")
class TestBroker:
    pytestmark = needs_mosquitto

    def configure(self, home: Home, broker: Mosquitto, password: str) -> None:
        mqtt = f"mqtt: {{host: 127.0.0.1, port: {broker.port}, username: privface, password: {password}}}\n"
        home.configure(f"{SYNTHETIC}{mqtt}server: {{port: {free_port()}}}\n")

    def test_a_wrong_password(self, home: Home, tmp_path: Path) -> None:
        with Mosquitto(tmp_path, users={"privface": "secret"}) as broker:
            self.configure(home, broker, "wrong")
            found = checks(home.run("doctor", "--json"))["MQTT"]
            assert found["text"].startswith("The broker refused: ")
            assert "mqtt.password" in found["hint"]

    async def test_the_right_one_and_nothing_left_behind(self, home: Home, tmp_path: Path) -> None:
        with Mosquitto(tmp_path, users={"privface": "secret"}) as broker:
            self.configure(home, broker, "secret")
            async with aiomqtt.Client("127.0.0.1", broker.port, username="privface", password="secret") as client:
                await client.subscribe("#")
                done = await asyncio.to_thread(home.run, "doctor", "--json")
                await client.publish("last", b"")
                async with asyncio.timeout(10):
                    message = await anext(aiter(client.messages))
                assert str(message.topic) == "last"
            assert checks(done)["MQTT"]["text"] == f"127.0.0.1:{broker.port} lets us in (MQTT 5)"

    def test_a_broker_that_hangs(self, home: Home, tmp_path: Path) -> None:
        with Mosquitto(tmp_path, users={"privface": "secret"}) as broker:
            self.configure(home, broker, "secret")
            broker.pause()
            try:
                found = problems(home.run("doctor", "--json", PRIVFACE_MQTT__TIMEOUT="1"))
            finally:
                broker.resume()
            assert "MQTT" in found
