"""The sums of files that a user chose to trust, because their publisher gives none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_VERSION = 1


class Pins:
    """``pins.json``: name → sha256. Written whole; a file that can't be read is left alone and stops the store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> str | None:
        return self._load().get(name)

    def set(self, name: str, sha256: str) -> None:
        with self._locked():
            pins = {**self._load(), name: sha256}
            part = self._path.with_name(self._path.name + ".part")
            with part.open("w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, "pins": pins}, file, indent=2, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with FileLock(self._path.with_name(self._path.name + ".lock")):
            yield

    def _load(self) -> dict[str, str]:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            data = json.loads(text)
            if data["version"] == _VERSION:
                return {str(name): str(sha256) for name, sha256 in data["pins"].items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            pass
        raise PrivFaceError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{self._path} can't be read, so files without a published checksum can't be checked; it was left as it "
            "is. Repair it, or delete it and fetch those files again with --trust-first-use.",
        )
