"""A backend that waits for its master key: what answers meanwhile, who may hand it over, and when it opens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib import error, request

import pytest

from privface_backend.protection.master import MasterKey
from support.backend_process import SYNTHETIC
from support.ports import free_port

SECONDS = 60.0
KEY = MasterKey.generate()


class Waiting:
    """A `privface serve` with protection.handover, started again and again over one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.token = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> list[str]:
        """Start it; what it said until it waited."""
        given = {
            **SYNTHETIC,
            "mqtt__enabled": "false",
            "protection__handover": "true",
            "server__port": str(self.port),
            "data_dir": str(self.directory / "data"),
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "privface_backend", "serve"],
            env=clean | {f"PRIVFACE_{name.upper()}": value for name, value in given.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        said = [self._process.stdout.readline()]
        if not self.token:
            said += [self._process.stdout.readline() for _ in range(3)]
            self.token = said[-1].strip()
        return said

    def stop(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(SECONDS)
        self._process.stdout.close()
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.stop()

    def ask(self, method: str, path: str, document: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Status and document of an answer."""
        data = None if document is None else json.dumps(document).encode()
        asked = request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)  # http
        asked.add_header("Authorization", f"Bearer {self.token if token is None else token}")
        try:
            with request.urlopen(asked, timeout=SECONDS) as answer:  # noqa: S310  # http
                return answer.status, json.loads(answer.read() or b"null")
        except error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"null")

    def until_open(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < deadline
            try:
                status, _ = self.ask("GET", "/api/v1/people")
            except OSError:
                status = 0
            if status == 200:
                return
            time.sleep(0.05)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Waiting]:
    waiting = Waiting(tmp_path)
    try:
        yield waiting
    finally:
        waiting.close()


def test_it_opens_with_the_key_and_with_no_other(backend: Waiting) -> None:
    said = backend.start()
    assert "master key" in said[0]
    assert backend.token.startswith("pf_")
    assert not (backend.directory / "data" / "privface.db").exists()
    status, answer = backend.ask("GET", "/api/v1/people")
    assert (status, answer["error"]["code"]) == (503, "locked")
    assert backend.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert backend.ask("GET", "/readyz") == (503, {"ready": False, "reasons": ["key: locked"]})
    status, answer = backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}, token="pf_wrong")
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    for wrong in ({"key": KEY.to_text()[:-1]}, {"key": 7}, {}):
        status, answer = backend.ask("PUT", "/api/v1/key", wrong)
        assert (status, answer["error"]["code"]) == (400, "bad_request")
        assert KEY.to_text()[:-1] not in json.dumps(answer)
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}) == (204, None)
    backend.until_open()
    assert backend.ask("POST", "/api/v1/people", {"name": "Ada"})[0] == 201
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}) == (204, None)
    other = MasterKey.generate().to_text()
    assert backend.ask("PUT", "/api/v1/key", {"key": other})[1]["error"]["code"] == "conflict"
    assert backend.stop() == 0
    on_disk = b"".join(path.read_bytes() for path in backend.directory.rglob("*") if path.is_file())
    assert KEY.to_text().encode() not in on_disk
    assert KEY.secret not in on_disk

    # The tokens of before are right though the database is locked.
    backend.start()
    assert backend.ask("GET", "/api/v1/people")[0] == 503
    status, answer = backend.ask("PUT", "/api/v1/key", {"key": other})
    assert (status, answer["error"]["code"], answer["error"]["details"]["key"]) == (503, "key_missing", KEY.id)
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()}, token="pf_wrong")[0] == 401
    assert backend.ask("PUT", "/api/v1/key", {"key": KEY.to_text()})[0] == 204
    backend.until_open()
    assert [person["name"] for person in backend.ask("GET", "/api/v1/people")[1]["people"]] == ["Ada"]


def test_it_ends_when_it_is_told_to_while_it_waits(backend: Waiting) -> None:
    backend.start()
    assert backend.stop() == 0
    assert not (backend.directory / "data" / "privface.db").exists()
