"""What files came to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What a stream of bytes came to."""

    sha256: str
    size: int


def digest_stream(stream: IO[bytes], write: Callable[[bytes], object] | None = None) -> Digest:
    """The sha256 of what ``stream`` gives, which is handed on to ``write``."""
    sha256, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        sha256.update(chunk)
        size += len(chunk)
        if write is not None:
            write(chunk)
    return Digest(sha256=sha256.hexdigest(), size=size)


def digest_file(path: Path) -> Digest:
    with path.open("rb") as file:
        return digest_stream(file)
