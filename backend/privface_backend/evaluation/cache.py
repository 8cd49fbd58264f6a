"""What engines made of pictures, on disk, so that a second evaluation takes seconds.

Embeddings are biometric data: the folder and its files are for their owner alone, and ``clear`` removes them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from privface_backend.domain.faces import Vectors
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_SUFFIX: Final = ".embeddings"
_DRAFT: Final = ".draft"
_FORMAT: Final = b"privface-evaluation-1\n"
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """``notes``: plain data; ``vectors``: float32 (n, dimension)."""

    notes: Mapping[str, Any] = field(repr=False)
    vectors: Vectors = field(repr=False)


class Cache(Protocol):
    """Keeps entries by key."""

    def get(self, key: str) -> Entry | None:
        """The entry, or None where there is none that is whole."""

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry.

        Raises:
            PrivFaceError: ``storage_failed``.
        """


class NoCache:
    """Keeps nothing."""

    def get(self, key: str) -> Entry | None:  # noqa: ARG002  # the protocol's signature
        return None

    def put(self, key: str, entry: Entry) -> None:
        """Forgets it."""


class FolderCache:
    """A file an entry, named by the key's sha256. A file is its format, a sha256 over key and content, the content.

    A file that is cut off, changed or of another key counts as missing. Writes are atomic.
    """

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder

    def get(self, key: str) -> Entry | None:
        try:
            data = self._file(key).read_bytes()
        except OSError:
            return None
        content = data[len(_FORMAT) + _DIGEST :]
        if data[: len(_FORMAT) + _DIGEST] != _FORMAT + _digest(key, content):
            return None
        header, _, rows = content.partition(b"\n")
        notes = json.loads(header)
        vectors = np.frombuffer(rows, dtype="<f4").reshape(notes.pop("shape"))
        return Entry(notes=notes, vectors=np.asarray(vectors, dtype=np.float32))

    def put(self, key: str, entry: Entry) -> None:
        header = json.dumps({**entry.notes, "shape": list(entry.vectors.shape)}, separators=(",", ":"))
        content = header.encode() + b"\n" + np.ascontiguousarray(entry.vectors, dtype="<f4").tobytes()
        file = self._file(key)
        try:
            for folder in (self._folder, file.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A temporary file is its owner's alone from the start.
            descriptor, name = tempfile.mkstemp(suffix=_DRAFT, dir=file.parent)
            try:
                with os.fdopen(descriptor, "wb") as draft:
                    draft.write(_FORMAT + _digest(key, content) + content)
                Path(name).replace(file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise PrivFaceError(
                ErrorCode.STORAGE_FAILED,
                f"The cache of embeddings can't be written: {error.strerror}.",
                allowed="another folder: --cache DIR; or none: --no-cache",
            ) from None

    def clear(self) -> int:
        """Remove all entries, and what a killed run left half written; how many entries there were."""
        removed = 0
        for file in [*self._folder.glob(f"*/*{_SUFFIX}"), *self._folder.glob(f"*/*{_DRAFT}")]:
            file.unlink(missing_ok=True)
            removed += file.suffix == _SUFFIX
        for folder in [*self._folder.glob("[0-9a-f][0-9a-f]"), self._folder]:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return removed

    def _file(self, key: str) -> Path:
        name = sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}{_SUFFIX}"


def _digest(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + b"\n" + content).digest()
