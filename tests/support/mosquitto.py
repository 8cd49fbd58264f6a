"""A real Mosquitto for tests: started on a free loopback port, stopped, killed, paused, restarted.

    with Mosquitto(tmp_path, users={"anna": "secret"}) as broker:
        connect("127.0.0.1", broker.port)

Tests that use it are skipped with the reason where it isn't installed: ``pytestmark = needs_mosquitto``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from support.ports import free_port

_SECONDS_TO_START = 10.0


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


needs_mosquitto = [
    pytest.mark.broker,
    pytest.mark.skipif(_program("mosquitto") is None, reason="Mosquitto is not installed: apt-get install mosquitto"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """What the broker shows, and whom it trusts. ``client_ca``: clients must show a certificate that it signed."""

    ca_file: Path
    cert_file: Path
    key_file: Path
    require_client: bool = False


class Mosquitto:
    """One broker; everything it writes lies in ``directory``. Without ``users``, anybody may connect."""

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, str] | None = None,
        certificate: ServerCertificate | None = None,
        port: int | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.port = port or free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", f"allow_anonymous {str(not users).lower()}"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up root, and can't read the folders of tests
        if users:
            lines.append(f"password_file {self._write_users(users)}")
        if certificate is not None:
            lines += [
                f"cafile {certificate.ca_file}",
                f"certfile {certificate.cert_file}",
                f"keyfile {certificate.key_file}",
                f"require_certificate {str(certificate.require_client).lower()}",
            ]
        self._configuration = directory / f"mosquitto-{self.port}.conf"
        self._configuration.write_text("\n".join([*lines, *extra]) + "\n", encoding="utf-8")

    def _write_users(self, users: Mapping[str, str]) -> Path:
        path = self._directory / f"users-{self.port}"
        path.write_text("".join(f"{user}:{password}\n" for user, password in users.items()), encoding="utf-8")
        path.chmod(0o600)
        subprocess.run([_program("mosquitto_passwd") or "mosquitto_passwd", "-U", str(path)], check=True)
        return path

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        assert self._process is None, "it runs already"
        with (self._directory / f"mosquitto-{self.port}.log").open("ab") as log:
            command = [_program("mosquitto") or "mosquitto", "-c", str(self._configuration)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, f"Mosquitto ended: {self.log()}"
                assert time.monotonic() < deadline, f"Mosquitto doesn't listen: {self.log()}"
                time.sleep(0.01)
            else:
                return

    def log(self) -> str:
        """What it has said so far."""
        return (self._directory / f"mosquitto-{self.port}.log").read_text(encoding="utf-8", errors="replace")

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL: it has no time to save or say anything."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port; it remembers nothing."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Make it hang: connections stay, answers don't come."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
