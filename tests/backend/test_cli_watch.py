"""``privface watch`` beside a running service, over the websocket and over MQTT."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest

from privface_backend.cli.exits import Exit
from support.backend import ADA, STRANGER, form, picture
from support.cli import NO_BROKER, SYNTHETIC, Child, Home
from support.mosquitto import Mosquitto, needs_mosquitto

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(root=tmp_path)
    made.configure(SYNTHETIC + "broker: {port: 0}\n")
    return made


async def show(run: dict[str, Any], *identities: int) -> None:
    """Send a camera's frame."""
    headers = {"Authorization": f"Bearer {run['token']}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{run['url']}/api/v1/cameras/front-door/frames", data=form(picture(*identities))) as response,
    ):
        assert response.status == 200, await response.text()


def enroll_ada(home: Home) -> None:
    (home.root / "Ada.png").write_bytes(picture(ADA))
    assert home.run("enroll", "Ada.png").code == Exit.OK


def listening(_: str, err: str) -> bool:
    return "Listening on" in err


def ready(child: Child) -> None:
    child.read_until(lambda _, err: "Ready" in err)


async def test_on_the_websocket_in_words(home: Home) -> None:
    enroll_ada(home)
    with home.serve() as (service, run), home.start("watch") as child:
        ready(service)
        child.read_until(listening)
        await show(run, ADA)
        child.read_until(lambda out, _: "front-door  known    Ada  score " in out)
        await show(run, STRANGER)
        child.read_until(lambda out, _: "unknown  (below_threshold)" in out)
        assert child.end(signal.SIGINT) == Exit.INTERRUPTED
    assert "Traceback" not in child.err


@pytest.mark.parametrize("arguments", [[], ["--mqtt"]])
async def test_for_programs(home: Home, arguments: list[str]) -> None:
    enroll_ada(home)
    with home.serve() as (service, run), home.start("watch", "--json", *arguments) as child:
        ready(service)
        child.read_until(listening)
        await show(run, ADA)
        child.read_until(lambda out, _: "\n" in out)
        event = json.loads(child.out)
        assert (event["outcome"], event["person"], event["camera"]) == ("known", "Ada", "front-door")
        assert run["token"] not in child.err


async def test_a_restarted_service_is_found_again(home: Home) -> None:
    with home.start("watch") as too_early:
        assert too_early.wait() == Exit.NETWORK
    with home.serve() as (service, _), home.start("watch", "--json") as child:
        child.read_until(listening)
        service.end()
        child.read_until(lambda _, err: "can't be reached; trying again" in err)
        with home.serve() as (restarted, run):
            ready(restarted)
            child.read_until(lambda _, err: err.count("Listening on") == 2)
            await show(run, STRANGER)
            child.read_until(lambda out, _: '"outcome": "unknown"' in out)


async def test_another_server_by_address_and_token(home: Home) -> None:
    home.configure(SYNTHETIC + NO_BROKER)
    with home.serve() as (_, run):
        away = ["watch", "--url", run["url"], "--data-dir", "elsewhere"]
        with home.start(*away, PRIVFACE_TOKEN=run["token"]) as child:
            child.read_until(listening)
        for arguments in ([], ["--token", "wrong"]):
            done = home.run(*away, *arguments)
            assert done.code == Exit.NETWORK
            assert "refused the token" in done.err
        assert home.run("watch", "--mqtt").code == Exit.NETWORK


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://[x"])
def test_an_address_that_is_none(home: Home, url: str) -> None:
    done = home.run("watch", "--url", url)
    assert done.code == Exit.USAGE
    assert "expected http://HOST:PORT" in done.err


async def retained(broker: Mosquitto) -> dict[str, bytes]:
    """The statuses that the broker holds."""
    found: dict[str, bytes] = {}
    async with aiomqtt.Client("127.0.0.1", broker.port, username="privface", password="secret") as client:
        await client.subscribe("privface/#")
        await client.publish("privface/last", b"")
        async for message in client.messages:
            if str(message.topic) == "privface/last":
                return found
            if str(message.topic).endswith("/status"):
                found[str(message.topic)] = bytes(message.payload)
    return found


class TestConfiguredBroker:
    pytestmark = needs_mosquitto

    async def test_watching_leaves_the_services_status_alone(self, home: Home, tmp_path: Path) -> None:
        with Mosquitto(tmp_path, users={"privface": "secret"}) as broker:
            mqtt = f"mqtt: {{host: 127.0.0.1, port: {broker.port}, username: privface, password: secret}}\n"
            home.configure(SYNTHETIC + mqtt)
            with home.serve() as (service, run), home.start("watch", "--mqtt", "--json") as child:
                ready(service)
                child.read_until(listening)
                await show(run, STRANGER)
                child.read_until(lambda out, _: "\n" in out)
                broker.restart()
                child.read_until(lambda _, err: err.count("Listening on") == 2)
                await show(run, ADA)
                child.read_until(lambda out, _: out.count("\n") >= 2)
                assert child.end(signal.SIGINT) == Exit.INTERRUPTED
                assert await retained(broker) == {"privface/status": b"online"}

    def test_a_wrong_password(self, home: Home, tmp_path: Path) -> None:
        with Mosquitto(tmp_path, users={"privface": "secret"}) as broker:
            home.configure(f"mqtt: {{host: 127.0.0.1, port: {broker.port}, username: privface, password: wrong}}\n")
            done = home.run("watch", "--mqtt", "--json")
            assert (done.code, done.error["code"]) == (Exit.NETWORK, "broker_refused")
