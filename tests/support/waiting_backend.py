"""A backend that waits for its master key, as a process of another interpreter's. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib import error, request

from support.backend_process import SECONDS, SYNTHETIC
from support.ports import free_port


class WaitingBackend:
    """A `privface serve` with protection.handover, started again and again over one directory."""

    def __init__(self, directory: Path, python: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._python = python
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
            [str(self._python), "-m", "privface_backend", "serve"],
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
