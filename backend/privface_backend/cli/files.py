"""The files that a command was given: directories walked, what can't be read told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEOS: Final = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts"})


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and the pictures and videos below the directories named, in order; hidden ones left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for inner in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in inner.relative_to(path).parts)
            if not hidden and inner.is_file() and inner.suffix.lower() in PICTURES | VIDEOS:
                yield inner


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        PrivFaceError: ``not_found`` or ``picture_unreadable``.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file.") from None
    except OSError as error:
        raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, f"The file can't be read: {error.strerror}.") from None
