"""A `privface serve` of its own process, with synthetic engines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp


class Service:
    """A `privface serve` of its own, over ``directory``."""

    def __init__(self, directory: Path, *, largest_file: int | None = None, level: str = "info") -> None:
        self._directory = directory
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")} | {
            "PRIVFACE_DATA_DIR": str(directory / "data"),
            "PRIVFACE_MODELS_DIR": str(directory / "models"),
            "PRIVFACE_SERVER__PORT": "0",
            "PRIVFACE_ENGINES__DETECTOR": "synthetic",
            "PRIVFACE_ENGINES__RECOGNIZER": "synthetic",
            "PRIVFACE_MQTT__ENABLED": "false",
            "PRIVFACE_LOG__LEVEL": level,
            "PYTHONUNBUFFERED": "1",
        }
        (directory / "data" / "run.json").unlink(missing_ok=True)
        with (directory / "out").open("ab") as out, (directory / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "privface_backend", "serve"],
                env=environment,
                stdout=out,
                stderr=err,
            )
        self.run = self._wait()
        if largest_file is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))

    def _wait(self) -> dict[str, Any]:
        path, deadline = self._directory / "data" / "run.json", time.monotonic() + 30
        while not path.is_file():
            assert self.process.poll() is None, (self._directory / "err").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run: dict[str, Any] = json.loads(path.read_text())
        return run

    @property
    def errors(self) -> str:
        return (self._directory / "err").read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.run["url"], headers={"Authorization": f"Bearer {self.run['token']}"})


@contextlib.contextmanager
def serving(directory: Path, **options: Any) -> Iterator[Service]:
    service = Service(directory, **options)
    try:
        yield service
    finally:
        service.stop(signal.SIGKILL)


async def ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(20):
        while True:
            async with session.get("/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.02)
