"""``privface serve`` as a process: its run file, its end, and what it refuses to start on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import aiohttp
import pytest

from privface_backend.cli.exits import Exit
from privface_backend.cli.runfile import read_run
from support.cli import NO_BROKER, SYNTHETIC, Home
from support.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


async def status(url: str, token: str | None = None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{url}/api/v1/people") as response:
        return response.status


async def test_the_run_file_says_where_and_lets_in(home: Home) -> None:
    with home.serve() as (child, run):
        assert (home.data / "run.json").stat().st_mode & 0o777 == 0o600
        assert run["pid"] == child.process.pid
        assert run["url"] == f"http://127.0.0.1:{run['port']}"
        assert await status(run["url"], run["token"]) == 200
        assert await status(run["url"]) == 401
        assert f"PrivFace listens on {run['url']}" in child.out
        assert child.end(signal.SIGTERM) == Exit.OK
    assert not (home.data / "run.json").exists()
    assert "Traceback" not in child.err
    assert run["token"] not in child.out + child.err


async def test_the_first_token_is_shown_once_and_works(home: Home) -> None:
    with home.serve() as (child, run):
        shown = child.out.splitlines()
        token = shown[next(at for at, line in enumerate(shown) if "shown this once" in line) + 1].strip()
        assert await status(run["url"], token) == 200
        child.end()
    with home.serve() as (child, run):
        assert "shown this once" not in child.out
        assert await status(run["url"], token) == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_in_order(home: Home, number: signal.Signals) -> None:
    with home.serve() as (child, _):
        assert child.end(number) == Exit.OK
    assert "Traceback" not in child.err
    assert not (home.data / "run.json").exists()


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port=0", "--host", "127.0.0.1"]])
def test_without_a_command_it_serves(home: Home, arguments: list[str]) -> None:
    with home.start("--data-dir", home.data, *arguments) as child:
        child.read_until(lambda out, _: "PrivFace listens on" in out)
        assert child.end() == Exit.OK


def test_a_port_that_is_taken(home: Home) -> None:
    with home.serve() as (_, run):
        done = home.run("serve", "--port", str(run["port"]), "--data-dir", "another")
        assert done.code == Exit.NETWORK
        assert f"Port {run['port']} is in use by another program." in done.err
        assert "privface serve --port N" in done.err
        again = home.run("serve", "--port", str(run["port"]), "--json", "--data-dir", "another")
        assert (again.code, again.error["code"]) == (Exit.NETWORK, "port_in_use")
        twice = home.run("serve", "--port", "0", "--json")
        assert (twice.code, twice.error["code"]) == (Exit.STORAGE, "storage_failed")
        assert home.run_file() == run


def test_an_address_of_another_computer(home: Home) -> None:
    done = home.run("serve", "--host", "192.0.2.1", "--port", "0")
    assert done.code == Exit.NETWORK
    assert "can't be opened" in done.err


def test_a_corrupt_database_stays_as_it_is(home: Home) -> None:
    home.run("people", "add", "Ada")
    file = home.data / "privface.db"
    data = bytearray(file.read_bytes())
    data[100:400] = bytes(300)
    file.write_bytes(data)
    for command in (["serve", "--port", "0"], ["people", "list"], ["identify", "a.png"]):
        done = home.run(*command)
        assert done.code == Exit.STORAGE, done.err
        assert "(gallery_corrupt)" in done.err
        assert file.read_bytes() == data


def test_a_killed_service_leaves_no_running_one_behind(home: Home) -> None:
    with home.serve() as (child, _):
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
    assert (home.data / "run.json").exists()
    assert read_run(home.data) is None
    done = home.run("watch")
    assert done.code == Exit.NETWORK
    assert "privface serve" in done.err
    with home.serve() as (child, run):
        assert run["pid"] == child.process.pid


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}', '{"pid": -5, "url": "", "token": ""}'])
def test_a_run_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert read_run(tmp_path) is None


def test_the_configuration_of_the_command_line_wins(home: Home) -> None:
    other = home.root / "other.toml"
    other.write_text('[engines]\ndetector = "synthetic"\nrecognizer = "synthetic"\n[mqtt]\nenabled = false\n')
    with home.start("serve", "--config", other, "--port", "0", PRIVFACE_SERVER__PORT="1") as child:
        child.read_until(lambda out, _: "Data directory" in out)
        assert json.loads((home.data / "run.json").read_text())["port"] > 1
        assert child.end() == Exit.OK


def test_ctrl_c_ends_a_command(home: Home) -> None:
    with home.start("watch", "--url", f"http://127.0.0.1:{free_port()}") as child:
        child.read_until(lambda _, err: "can't be reached; trying again" in err)
        assert child.end(signal.SIGINT) == Exit.INTERRUPTED
    assert "Traceback" not in child.err
