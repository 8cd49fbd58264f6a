"""The files that appear in a folder: which are new, which are complete, which is the newest. Blocks: for a thread."""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

from watchfiles import Change

from privface_backend.domain.frames import Pixels
from privface_backend.engines.sources.handover import SkipCount
from privface_backend.engines.sources.stills import decode_still, is_still
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
# A file that stays as it is for so many seconds may be complete; its picture says whether it is.
_STEADY: Final = 0.15
# One that isn't by then never will be.
_PATIENCE: Final = 120.0
_MOST_WAITING: Final = 1000
Name = tuple[str, ...]
"""A file's path inside the folder, part by part."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A complete picture. ``written``: when its file was last written, in seconds since 1970."""

    pixels: Pixels = field(repr=False)
    written: float


@dataclass(slots=True)
class _Waiting:
    """A file that may still be being written: its inode, size and time, and how long they have stayed so. ``tried``: as
    they were when it was no whole picture."""

    since: float
    stamp: tuple[int, ...] = ()
    steady_since: float = 0.0
    tried: tuple[int, ...] = ()

    @property
    def written(self) -> int:
        return self.stamp[-1]


class Uploads:
    """What has come into one folder since ``open``."""

    def __init__(self, folder: Path, max_bytes: int, max_pixels: int, skips: SkipCount, *, remove: bool) -> None:
        self._folders: Final = (folder, folder.resolve())
        self._max_bytes: Final = max_bytes
        self._max_pixels: Final = max_pixels
        self._skips: Final = skips
        self._remove: Final = remove
        self._waiting: Final[dict[Name, _Waiting]] = {}
        # Digests of what was taken: a file that is only given another time is no new picture.
        self._taken: Final[OrderedDict[Name, bytes]] = OrderedDict()
        self._opened_at = 0.0
        self._root = -1

    def open(self) -> None:
        """Begin.

        Raises:
            PrivFaceError: ``link_unreachable``.
        """
        try:
            # The owner may have named it by a link; what is in it is none.
            self._root = os.open(self._folders[0], os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            reason = (error.strerror or "it can't be opened").lower()
        else:
            self._opened_at = time.time()
            return
        # Outside of the block: the other error's text has the path in it.
        raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, f"The camera's folder can't be watched: {reason}.")

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def take(self, changes: Iterable[tuple[Change, Path]]) -> Upload | None:
        """The newest picture that has become complete, after these changes; None: none has.

        Raises:
            OSError: the folder is gone.
        """
        own, here = os.fstat(self._root), self._folders[0].stat()
        if (own.st_dev, own.st_ino) != (here.st_dev, here.st_ino):
            raise FileNotFoundError
        now = time.monotonic()
        for kind, path in changes:
            self._note(kind, path, now)
        steady = [name for name in list(self._waiting) if self._is_steady(name, now)]
        steady.sort(key=lambda name: self._waiting[name].written, reverse=True)
        for place, name in enumerate(steady):
            upload = self._read(name)
            if upload is not None:
                for older in steady[place + 1 :]:
                    self._skip(older)
                return upload
        return None

    def _note(self, kind: Change, path: Path, now: float) -> None:
        name = self._name(path)
        if name is None:
            return
        # What was put into a new folder before that was watched has no change of its own.
        is_picture = path.suffix.lower() in SUFFIXES
        for one in (name,) if is_picture or kind is not Change.added else self._below(name):
            self._note_picture(kind, one, now)

    def _note_picture(self, kind: Change, name: Name, now: float) -> None:
        if any(part.startswith(".") for part in name) or Path(name[-1]).suffix.lower() not in SUFFIXES:
            return
        # What was deleted may be there again: the changes have no order.
        if name in self._waiting or len(self._waiting) >= _MOST_WAITING:
            return
        # Rights or owners that changed make an old picture no new one.
        if kind is Change.added or not self._is_old(name):
            self._waiting[name] = _Waiting(since=now)

    def _below(self, name: Name) -> list[Name]:
        """The files in a folder of the folder, and in those below it, without following any link."""
        found: list[Name] = []
        try:
            parent = self._parent(name)
        except OSError:
            return found
        try:
            # A walk would open whatever it begins with: a pipe never opens.
            if stat.S_ISDIR(os.stat(name[-1], dir_fd=parent, follow_symlinks=False).st_mode):
                for folder, _, files, _ in os.fwalk(name[-1], dir_fd=parent):
                    found += [(*name[:-1], *Path(folder).parts, file) for file in files]
                    if len(found) >= _MOST_WAITING:
                        break
        except OSError:
            # It is gone again.
            pass
        finally:
            os.close(parent)
        return found

    def _name(self, path: Path) -> Name | None:
        for folder in self._folders:
            if path.is_relative_to(folder):
                return path.relative_to(folder).parts or None
        return None

    def _is_old(self, name: Name) -> bool:
        about = self._about(name)
        return about is None or about.st_mtime < self._opened_at - 1

    def _about(self, name: Name) -> os.stat_result | None:
        try:
            file = self._open(name)
        except OSError:
            return None
        try:
            return os.fstat(file)
        finally:
            os.close(file)

    def _is_steady(self, name: Name, now: float) -> bool:
        """Whether a file has stayed as it is for long enough to be looked at; forgets what can't become a picture."""
        waiting, about = self._waiting[name], self._about(name)
        if about is None or not stat.S_ISREG(about.st_mode) or now - waiting.since > _PATIENCE:
            del self._waiting[name]
            return False
        stamp = (about.st_ino, about.st_size, about.st_mtime_ns)
        if stamp != waiting.stamp:
            waiting.stamp, waiting.steady_since = stamp, now
            return False
        return now - waiting.steady_since >= _STEADY and stamp != waiting.tried

    def _read(self, name: Name) -> Upload | None:
        """The picture, if it is whole and new."""
        waiting = self._waiting[name]
        try:
            file = self._open(name)
        except OSError:
            del self._waiting[name]
            return None
        try:
            size = os.fstat(file).st_size
            data = b"" if size > self._max_bytes else _read(file, size)
        finally:
            os.close(file)
        digest = blake2b(data, digest_size=16).digest()
        if self._taken.get(name) == digest:
            self._finish(name)
            return None
        pixels = decode_still(data, self._max_pixels)
        if pixels is None:
            waiting.tried = waiting.stamp
            return None
        self._taken[name] = digest
        self._taken.move_to_end(name)
        if len(self._taken) > _MOST_WAITING:
            self._taken.popitem(last=False)
        self._finish(name)
        return Upload(pixels=pixels, written=waiting.written / 1e9)

    def _skip(self, name: Name) -> None:
        """Leave one out that a newer one overtook. It isn't read; what is no picture isn't deleted either."""
        try:
            with os.fdopen(self._open(name), "rb") as file:
                is_picture = is_still(file)
        except OSError:
            is_picture = False
        if is_picture:
            self._skips.items += 1
            self._finish(name)
        else:
            del self._waiting[name]

    def _finish(self, name: Name) -> None:
        del self._waiting[name]
        if self._remove:
            self._delete(name)

    def _open(self, name: Name) -> int:
        """A file of the folder, reached without following any link."""
        folder = self._parent(name)
        try:
            return os.open(name[-1], _FILE, dir_fd=folder)
        finally:
            os.close(folder)

    def _parent(self, name: Name) -> int:
        folder = os.dup(self._root)
        for part in name[:-1]:
            try:
                inner = os.open(part, _FOLDER, dir_fd=folder)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def _delete(self, name: Name) -> None:
        try:
            folder = self._parent(name)
        except OSError:
            return
        try:
            os.unlink(name[-1], dir_fd=folder)
        except OSError:
            # Not ours to delete: it is left, as without the option.
            pass
        finally:
            os.close(folder)


def _read(file: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(file, min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
