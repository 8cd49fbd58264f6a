"""``privface seal`` against a sealed backend of a process of its own: pictures stay on the user's side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.cli.exits import Exit
from support.backend import ADA, BEN, picture
from support.backend_process import SYNTHETIC, BackendProcess
from support.cli import SYNTHETIC as SYNTHETIC_ENGINES
from support.cli import Home
from support.here import Here
from support.reverse_proxy import RecordingProxy
from support.sealed import KEY, OTHER_KEY, pictures_in

pytestmark = pytest.mark.slow


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[BackendProcess]:
    settings = {**SYNTHETIC, "privacy__sealed": "true", "engines__recognizer": "deepface:VGG-Face"}
    with BackendProcess(tmp_path / "backend", python=Path(sys.executable), settings=settings) as backend:
        yield backend


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Here(root=tmp_path / "home", variables={"PRIVFACE_SEALED__KEY": KEY.to_text()})
    made.root.mkdir()
    made.configure(SYNTHETIC_ENGINES)
    for name, identity in (("ada-1.png", ADA), ("ben.png", BEN)):
        (made.root / name).write_bytes(picture(identity))
    (made.root / "nobody.png").write_bytes(picture())
    return made


async def test_enroll_and_identify_without_a_picture_on_the_wire(home: Home, backend: BackendProcess) -> None:
    token = backend.create_token().text
    async with RecordingProxy(backend.url) as proxy:
        there = ("--url", proxy.url, "--token", token)
        done = await asyncio.to_thread(
            home.run, "seal", "enroll", "ada-1.png", "nobody.png", "--person", "Ada", *there, "--json"
        )
        assert done.code == Exit.UNFINISHED, done.err
        assert [line.get("outcome") or line["error"]["code"] for line in done.lines] == ["enrolled", "no_face"]
        again = await asyncio.to_thread(home.run, "seal", "enroll", "ada-1.png", "--person", "ADA", *there)
        assert (again.code, again.out) == (Exit.OK, "ada-1.png: already\n")
        seen = await asyncio.to_thread(home.run, "seal", "identify", "ada-1.png", "ben.png", "nobody.png", *there)
        lines = seen.out.splitlines()
        assert lines[0].startswith("ada-1.png: known: Ada (")
        assert lines[1].startswith("ben.png: unknown (")
        assert lines[2] == "nobody.png: no face"
        bodies = [(exchange.target, exchange.content_type, exchange.body) for exchange in proxy.exchanges]
    sealed = [target for target, *_ in bodies if target.endswith("/sealed")]
    assert len(sealed) == 5
    for target, content_type, body in bodies:
        assert not pictures_in(body, content_type), target
    assert KEY.to_text().encode() not in b"".join(body for *_, body in bodies)
    assert [person["name"] for person in backend.people()] == ["Ada"]


def test_another_key_is_refused_and_a_restart_changes_nothing(home: Home, backend: BackendProcess) -> None:
    there = ("--url", backend.url, "--token", backend.create_token().text)
    assert home.run("seal", "enroll", "ada-1.png", "--person", "Ada", *there).code == Exit.OK
    refused = home.run("seal", "identify", "ada-1.png", *there, "--json", PRIVFACE_SEALED__KEY=OTHER_KEY.to_text())
    assert refused.error["code"] == "contract_mismatch"
    backend.restart()
    found = home.run("seal", "identify", "ada-1.png", *there, "--json")
    assert found.lines[0]["faces"][0]["person"] == "Ada"


def test_a_key_is_made_shown_by_its_id_and_kept_to_its_owner(tmp_path: Path) -> None:
    home = Here(root=tmp_path)
    home.configure(f"sealed: {{key_file: '{tmp_path}/keys/mine.key'}}\n")
    first = home.run("seal", "key", "--json")
    assert first.code == Exit.OK, first.err
    path = tmp_path / "keys" / "mine.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.run("seal", "key", "--json").lines == first.lines
    secret = next(line for line in path.read_text(encoding="ascii").splitlines() if line.startswith("pfk1_"))
    assert secret not in home.run("seal", "key").out
    home.configure(f"data_dir: '{tmp_path}/d'\nsealed: {{key_file: '{tmp_path}/data/mine.key'}}\n")
    assert home.run("seal", "key", "--json").error["code"] == "settings_invalid"


def test_a_backend_that_is_away_ends_the_command(home: Home) -> None:
    away = home.run("seal", "identify", "ada-1.png", "--url", "http://127.0.0.1:9", "--json")
    assert away.code == Exit.NETWORK
    assert away.error["code"] == "timeout"
    assert home.run("seal", "identify", "ada-1.png", "--url", "nowhere").code == Exit.USAGE
