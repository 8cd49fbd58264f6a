"""The files that a command was given: directories walked, what can't be read told apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
VIDEOS: Final = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts"})


def walk(paths: Iterable[Path], suffixes: Collection[str] = PICTURES | VIDEOS) -> Iterator[Path]:
    """The files named, and those of ``suffixes`` below the directories named, in order; hidden ones left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for inner in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in inner.relative_to(path).parts)
            if not hidden and inner.suffix.lower() in suffixes and inner.is_file():
                yield inner


def read(path: Path, limit: int) -> bytes:
    """A file's bytes, at most ``limit`` and one more: it may be a pipe without an end.

    Raises:
        PrivFaceError: ``not_found`` or ``picture_unreadable``.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file.") from None
    except OSError as error:
        raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, f"The file can't be read: {error.strerror}.") from None
