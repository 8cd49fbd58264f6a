"""PrivFace's backend as a process of another interpreter's, for tests that run where it isn't installed.

Standard library only: the interpreters of Home Assistant's tests have neither the backend nor OpenCV.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from support.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
VARIABLE: Final = "PRIVFACE_BACKEND_PYTHON"
SYNTHETIC: Final[Mapping[str, str]] = {"engines__detector": "synthetic", "engines__recognizer": "synthetic"}
SECONDS: Final = 60.0

# Drawn faces that stay in one piece under blur.
ADA, BEN, STRANGER = 1, 2, 5


def find_interpreter() -> Path | None:
    """The interpreter that has the backend: the one that ``PRIVFACE_BACKEND_PYTHON`` names, else scripts/test's."""
    chosen = Path(os.environ.get(VARIABLE) or ROOT / ".venv-test/bin/python")
    return chosen if chosen.is_file() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of the backend, and the name that only it has."""

    name: str
    text: str = field(repr=False)


class BackendProcess:
    """A ``privface serve`` over ``directory``, on the same loopback port at each start; without a broker by default.

    ``settings``: by their names with two underscores between section and key; with none, it runs the default engines,
    whose weights lie in ``models_dir``; ``change`` sets them for the next start. All methods block; from a test's event
    loop call them in an executor.
    """

    def __init__(
        self, directory: Path, *, python: Path, port: int | None = None, settings: Mapping[str, str] = SYNTHETIC
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        given = {"mqtt__enabled": "false", **settings, "server__port": str(self.port), "data_dir": str(self.data)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
        self._environment = clean | {f"PRIVFACE_{name.upper()}": value for name, value in given.items()}

    def change(self, **settings: str) -> None:
        """Set something else from the next start on."""
        self._environment |= {f"PRIVFACE_{name.upper()}": value for name, value in settings.items()}

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has said so far, in all its runs."""
        path = self.directory / "backend.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @property
    def admin_token(self) -> str:
        """A token with the scope admin, of this run only."""
        return str(json.loads((self.data / "run.json").read_text(encoding="utf-8"))["token"])

    def start(self) -> None:
        """Start it, and wait until its engines are ready."""
        assert self._process is None, "it runs already"
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.data / "run.json").unlink(missing_ok=True)
        with (self.directory / "backend.log").open("ab") as log:
            command = [str(self._python), "-m", "privface_backend", "serve"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, f"the backend ended:\n{self.log}"
            assert time.monotonic() < deadline, f"the backend isn't ready:\n{self.log}"
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        if not (self.data / "run.json").is_file():
            return False
        try:
            return self._exchange("GET", "/readyz", "")[0] == 200
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it if it runs; SIGTERM in order, SIGKILL at once."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(SECONDS)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGKILL)

    def run(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a ``privface`` command on the same data, started or not; the objects that it prints."""
        command = [str(self._python), "-m", "privface_backend", "--json", *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def create_token(self, *scopes: str) -> Token:
        """Make a token; no scope: identify and enroll, which is what the component needs."""
        name = uuid.uuid4().hex
        options = [part for scope in scopes or ("identify", "enroll") for part in ("--scope", scope)]
        (made,) = self.run("token", "create", "--name", name, *options)
        return Token(name=name, text=str(made["token"]))

    def revoke_token(self, token: Token) -> None:
        """Make a token of ``create_token`` worthless, at once."""
        (known,) = (one for one in self.run("token", "list") if one["name"] == token.name)
        self.run("token", "revoke", str(known["id"]))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a REST request with the admin token; the JSON of the answer, None if it is empty."""
        status, data = self._exchange(method, path, "" if body is None else json.dumps(body))
        assert status < 400, f"{method} {path}: {status} {data.decode()}"
        return json.loads(data) if data else None

    def _exchange(
        self, method: str, path: str, body: str | bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        sent = {"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json", **(headers or {})}
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def send_frame(self, camera: str, picture: bytes, **card: object) -> dict[str, Any]:
        """Send a camera's JPEG with what its card says; the answer."""
        path = f"/api/v1/cameras/{quote(camera, safe='')}/frames"
        headers = {"Content-Type": "image/jpeg", "X-PrivFace-Frame-Card": json.dumps(card)}
        status, data = self._exchange("POST", path, picture, headers)
        assert status == 200, f"{path}: {status} {data.decode()}"
        return dict(json.loads(data))

    def people(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/api/v1/people")["people"])

    def forget_everybody(self) -> None:
        """Forget all people, and the visits under way, which would be named by whoever is enrolled next."""
        for person in self.people():
            self.call("DELETE", f"/api/v1/people/{person['id']}")
        for camera in self.call("GET", "/api/v1/cameras")["cameras"]:
            for enabled in (False, camera["enabled"]):
                self.call("PATCH", f"/api/v1/cameras/{quote(camera['camera'], safe='')}", {"enabled": enabled})


class DrawnPictures:
    """JPEG files with the drawn faces that the synthetic engines understand, made when they are first asked for."""

    def __init__(self, directory: Path, python: Path) -> None:
        self._directory = directory
        self._python = python

    def path(self, *people: int, shade: int = 128, side: int = 160, kind: str = "jpg") -> Path:
        """The file of a picture of 640 x 360 with ``people`` (at most three; none: an empty room) side by side on a
        gray ground of ``shade``, each in a square of ``side`` pixels."""
        name = f"{'-'.join(map(str, people)) or 'nobody'}_{shade}_{side}.{kind}"
        if not (self._directory / name).is_file():
            self.draw([name])
        return self._directory / name

    def __call__(self, *people: int, shade: int = 128, side: int = 160, kind: str = "jpg") -> bytes:
        """The bytes of ``path``'s file."""
        return self.path(*people, shade=shade, side=side, kind=kind).read_bytes()

    def draw(self, names: Sequence[str]) -> None:
        """Draw files by their names, all in one process."""
        self._directory.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        command = [str(self._python), "-m", "support.drawing", str(self._directory), *names]
        subprocess.run(command, env=environment, timeout=SECONDS, check=True, stdout=sys.stderr)
