"""``privface`` as a process of its own, with synthetic engines and a data directory of the test's."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SYNTHETIC = "engines: {detector: synthetic, recognizer: synthetic}\n"
NO_BROKER = "mqtt: {enabled: false}\n"
SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects that ``--json`` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error that ended it."""
        (line,) = self.lines
        return dict(line["error"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home directory, a configuration and a data directory."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def config(self) -> Path:
        return self.root / "privface.yaml"

    def configure(self, text: str) -> None:
        self.config.write_text(text, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the computer's own settings; what a test asks for besides."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
        return {
            **kept,
            "HOME": str(self.root),
            "PRIVFACE_CONFIG": str(self.config),
            "PRIVFACE_DATA_DIR": str(self.data),
            **self.variables,
        }

    def run(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "privface_backend", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS * 2,
            env={**self.environment, **variables},
            cwd=self.root,
            check=False,
        )
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr)

    def run_on_terminal(self, *arguments: str | Path) -> tuple[int, str]:
        """Run a command to its end with a terminal for its progress; its exit code, and what that showed."""
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "privface_backend", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env={**self.environment, "TERM": "xterm", "COLUMNS": "120"},
            cwd=self.root,
        )
        os.close(theirs)
        shown = bytearray()
        try:
            # Linux ends a terminal that nobody holds any more with an error.
            with contextlib.suppress(OSError):
                while part := os.read(ours, 65536):
                    shown += part
            return process.wait(SECONDS), shown.decode()
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    @contextlib.contextmanager
    def start(self, *arguments: str | Path, **variables: str) -> Iterator[Child]:
        """Run a command until the block ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "privface_backend", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **variables},
            cwd=self.root,
        )
        child = Child(process)
        try:
            yield child
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()

    @contextlib.contextmanager
    def serve(self, *arguments: str | Path) -> Iterator[tuple[Child, dict[str, Any]]]:
        """A running service, and its ``run.json``."""
        with self.start("serve", "--port", "0", *arguments) as child:
            child.read_until(lambda out, _: "Data directory" in out)
            yield child, self.run_file()

    def run_file(self) -> dict[str, Any]:
        return dict(json.loads((self.data / "run.json").read_text(encoding="utf-8")))


class Child:
    """A running command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.out = ""
        self.err = ""

    def read_until(self, condition: Any) -> None:
        """Read what it prints until ``condition(out, err)`` is true."""
        deadline = time.monotonic() + SECONDS
        while not condition(self.out, self.err):
            left = deadline - time.monotonic()
            assert left > 0, f"it took too long; it said:\n{self.out}\n{self.err}"
            if not self._read(min(left, 1.0)):
                assert condition(self.out, self.err), f"it ended; it said:\n{self.out}\n{self.err}"

    def _read(self, seconds: float) -> bool:
        """Read what is there; False: both pipes are at their ends."""
        out, err = self.process.stdout, self.process.stderr
        assert out is not None
        assert err is not None
        ready, _, _ = select.select([out, err], [], [], seconds)
        for pipe in ready:
            data = os.read(pipe.fileno(), 65536).decode()
            if pipe is out:
                self.out += data
            else:
                self.err += data
            if not data and self.process.poll() is not None:
                return False
        return True

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        out, err = self.process.communicate(timeout=SECONDS)
        self.out += out.decode()
        self.err += err.decode()
        # What ``start`` closes again.
        return self.process.returncode
