"""The pictures of a directory that people are enrolled from, and whose each one is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

LONGEST_PICTURE: Final = 64 * 1024 * 1024
PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
# Name_1, Name-2, Name 3, Name (4): the ancestor's flat pictures of one person.
_NUMBER: Final = re.compile(r"(?:[\s_-]+\d+|[\s_-]*\(\d+\))$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPicture:
    """A picture's file. ``path``: relative to the directory; ``stamp``: differs when the file has changed."""

    path: str = field(repr=False)
    file: Path = field(repr=False)
    name: str = field(repr=False)
    stamp: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """A directory's pictures in order. ``skipped``: hidden files, other types, links that leave the directory.

    ``is_complete`` is off where a directory below could not be listed.
    """

    folder_id: str
    pictures: tuple[FolderPicture, ...]
    skipped: int
    is_complete: bool


def folder_id(folder: Path) -> str:
    """What stands, with each face, for the directory that it was enrolled from."""
    return blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()


def name_of(path: PurePath) -> str:
    """Whose picture this is: the top folder's name, or the file's without its ending and a number after that."""
    if len(path.parts) > 1:
        return path.parts[0]
    return _NUMBER.sub("", path.stem) or path.stem


def list_folder(folder: Path) -> FolderListing:
    """Look through a directory; nothing is opened.

    Raises:
        PrivFaceError: ``not_found``: it is no directory, or can't be listed.
    """
    root = folder.resolve()
    failed: list[OSError] = []
    pictures: list[FolderPicture] = []
    skipped = 0
    for file in _files(root, failed):
        picture = _picture(root, file)
        if picture is None:
            skipped += 1
        else:
            pictures.append(picture)
    if not root.is_dir() or any(error.filename == str(root) for error in failed):
        raise PrivFaceError(ErrorCode.NOT_FOUND, f"The directory {folder} is not there, or can't be listed.")
    pictures.sort(key=lambda picture: picture.path)
    return FolderListing(folder_id=folder_id(folder), pictures=tuple(pictures), skipped=skipped, is_complete=not failed)


def read_picture(picture: FolderPicture, longest: int) -> bytes:
    """A picture's bytes.

    Raises:
        PrivFaceError: ``picture_too_large``: more than ``longest`` bytes; ``picture_unreadable``.
    """
    try:
        # What was a picture when the directory was listed may be a link or a pipe by now.
        handle = os.open(picture.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, "That is no file with a picture.")
            data = file.read(longest + 1)
    except OSError as error:
        raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, f"The file can't be read: {error.strerror}.") from None
    if len(data) > longest:
        raise PrivFaceError(
            ErrorCode.PICTURE_TOO_LARGE, "The picture has too many bytes.", allowed=f"at most {longest} bytes"
        )
    return data


def _files(root: Path, failed: list[OSError]) -> Iterator[Path]:
    for directory, folders, files in os.walk(root, onerror=failed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(directory, name) for name in files)


def _picture(root: Path, file: Path) -> FolderPicture | None:
    if file.name.startswith(".") or file.suffix.lower() not in PICTURE_SUFFIXES:
        return None
    try:
        target = file.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError):  # a link to nowhere, or in circles
        return None
    if not target.is_relative_to(root) or not stat.S_ISREG(status.st_mode):
        return None
    relative = file.relative_to(root)
    return FolderPicture(
        # A name that no UTF-8 can hold must not fail the database.
        path=os.fsencode(relative.as_posix()).decode("utf-8", "replace"),
        file=target,
        name=name_of(relative),
        stamp=(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns),
    )
