"""The audit log on the disk. Processes that share a data directory append to one chain, one at a time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import filelock

from privface_backend.audit import files
from privface_backend.audit.entries import Act, By, Entry, write_time
from privface_backend.audit.lines import Line, Place, Sealer, read_line, write_line
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.file import flush_directory

_LOGGER: Final = logging.getLogger(__name__)
_HEAD: Final = "audit"
_LOCK_SECONDS: Final = 10.0
_MOST_UNSETTLED: Final = 256 * 1024
_PARTS_OF_THE_TIME: Final = 12


class HeadStore(Protocol):
    """Where the chain's end is remembered, outside of its files."""

    def get_meta(self, key: str) -> str | None: ...

    def set_meta(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A new file is begun after ``bytes``, or a twelfth of ``days``; files are dropped whose newest line is older
    than ``days``, and the oldest where there are more than ``files``."""

    bytes: int = 8 * 1024 * 1024
    days: int = 365
    files: int = 100


@dataclass(slots=True, kw_only=True)
class _End:
    """Where the next line goes. ``size``: the current file's, by which it is seen that another process has written;
    ``begun``: the time of its first line, as it is written there."""

    number: int
    path: Path
    handle: int
    size: int
    place: Place
    begun: str = ""


def read_head(store: HeadStore) -> Place | None:
    """Where the chain ended when that was last remembered; None: it never was."""
    try:
        data = json.loads(store.get_meta(_HEAD) or "null")
        return None if data is None else Place(seq=int(data["seq"]), mac=str(data["mac"]))
    except (ValueError, KeyError, TypeError):
        return None


class AuditLog:
    """Appends lines, and remembers in ``head`` where they end. One thread writes; any may read.

    A line is on its way to the disk when ``append`` returns; ``settle`` sees to it that a power cut can't take it
    back, and that it is missed if it goes. ``clock`` gives aware times.
    """

    def __init__(
        self,
        directory: Path,
        *,
        head: HeadStore,
        clock: Callable[[], datetime],
        key: bytes | None = None,
        former: Sequence[bytes] = (),
        rotation: Rotation | None = None,
    ) -> None:
        self.directory: Final = directory
        self.sealer: Final = Sealer(key, former)
        self._head: Final = head
        self._clock: Final = clock
        self._rotation: Final = rotation or Rotation()
        self._lock: Final = filelock.FileLock(directory / files.LOCK_FILE, timeout=_LOCK_SECONDS, mode=0o600)
        self._end: _End | None = None
        self._unsettled = 0
        self._cleaned: datetime | None = None
        self._head_trouble = False

    @property
    def unsettled(self) -> bool:
        """Whether there are lines that ``settle`` has to do with."""
        return self._unsettled > 0

    def append(self, entries: Sequence[Entry], *, lasting: bool = False) -> None:
        """Append a line for each entry: all or none of them. ``lasting``: and settle.

        Raises:
            PrivFaceError: ``audit_failed``: the files can't be written, or another process keeps them locked.
        """
        with self._locked():
            end, noticed = self._catch_up()
            # Of the very first lines nobody knows yet that there are any.
            lasting = lasting or bool(noticed) or end.place.seq == 0
            end = self._rotate_if_due(end)
            self._write(end, (*noticed, *entries))
            if lasting or self._unsettled > _MOST_UNSETTLED:
                self._settle()
            self._drop_if_due()

    def settle(self) -> None:
        """Flush the lines to the disk, and remember where they end.

        Raises:
            PrivFaceError: ``audit_failed``.
        """
        if self._unsettled:
            with self._locked():
                end, noticed = self._catch_up()
                self._write(end, noticed)
                self._settle()

    def close(self) -> None:
        """Let go of the files; ``settle`` comes before."""
        if self._end is not None:
            os.close(self._end.handle)
            self._end = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[list[tuple[str, int, int]], Place | None]]:
        """The files as they are at one moment, oldest first, each with its name, a handle and its size; and where the
        chain should end.

        Raises:
            PrivFaceError: ``audit_failed``.
        """
        with contextlib.ExitStack() as stack:
            opened: list[tuple[str, int, int]] = []
            with self._locked(writing=False):
                for _, path in files.list_files(self.directory):
                    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    stack.callback(os.close, handle)
                    opened.append((path.name, handle, os.fstat(handle).st_size))
                head = read_head(self._head)
            yield opened, head

    @contextlib.contextmanager
    def _locked(self, *, writing: bool = True) -> Iterator[None]:
        try:
            files.make_directory(self.directory)
            self._lock.acquire()
        except filelock.Timeout:
            raise PrivFaceError(ErrorCode.AUDIT_FAILED, "Another process keeps the audit log locked.") from None
        except OSError as error:
            raise _failed(error) from error
        try:
            yield
        except OSError as error:
            if writing:
                # Whatever has become of the file is looked at anew the next time.
                self.close()
            raise _failed(error) from error
        finally:
            self._lock.release()

    def _catch_up(self) -> tuple[_End, tuple[Entry, ...]]:
        """Where the next line goes, and what was noticed and is to be told of."""
        if (end := self._end) is not None and self._is_current(end):
            return end, ()
        self.close()
        numbered = files.list_files(self.directory)
        number, path = numbered[-1] if numbered else (1, self.directory / files.file_name(1))
        handle = files.open_file(path) if numbered else files.create_file(path)
        try:
            torn = files.move_torn_aside(handle, path)
            size = os.fstat(handle).st_size
            place, noticed = self._find_place(handle, size)
        except BaseException:
            os.close(handle)
            raise
        if torn:
            _LOGGER.warning("The audit log ended in a line that was never finished: %d bytes moved aside", torn)
            noticed = (_own("torn_line", count=torn), *noticed)
        begun = _time_of(read_line(files.first_line(handle)))
        self._end = _End(number=number, path=path, handle=handle, size=size, place=place, begun=begun)
        return self._end, noticed

    def _is_current(self, end: _End) -> bool:
        status = os.fstat(end.handle)
        later = end.path.with_name(files.file_name(end.number + 1))
        return status.st_size == end.size and status.st_nlink > 0 and not later.exists()

    def _find_place(self, handle: int, size: int) -> tuple[Place, tuple[Entry, ...]]:
        """The place of the last line, as the files and what was remembered have it."""
        head = read_head(self._head)
        remembered = head or Place()
        lines: list[Line] = []
        for raw in files.lines_backward(handle, size):
            line = read_line(raw)
            if line is None or not (self.sealer.is_genuine(line) or not self.sealer.knows(line)):
                continue
            lines.append(line)
            if head is None or line.seq <= remembered.seq:
                break
        lines.reverse()
        if not lines:
            return remembered, self._missing(remembered) if remembered.seq and not self._ends_before(remembered) else ()
        if head is None:
            return lines[-1].place, (_own("end_not_remembered"),)
        if lines[0].seq > remembered.seq + 1:
            # The database is older than the files: a backup that was put back. Verifying looks at all of it.
            return lines[-1].place, (_own("database_behind", count=lines[-1].seq - remembered.seq),)
        place = remembered
        for line in lines:
            if line.seq == place.seq + 1 and line.previous == place.mac:
                place = line.place
        there = place.seq > remembered.seq or any(line.place == remembered for line in lines)
        return place, () if there or self._ends_before(remembered) else self._missing(remembered)

    def _ends_before(self, place: Place) -> bool:
        """Whether the file before the current one ends with the line at ``place``, and the current one is empty."""
        numbered = files.list_files(self.directory)
        if len(numbered) < 2 or numbered[-1][1].stat().st_size:
            return False
        line = _last_line(numbered[-2][1])
        return line is not None and line.place == place

    def _missing(self, place: Place) -> tuple[Entry, ...]:
        """The chain goes on from the line that is remembered, so that its absence shows for ever."""
        _LOGGER.error("The end of the audit log is missing or was changed: privface audit verify says more")
        return (_own("end_missing", count=place.seq),)

    def _write(self, end: _End, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        place, written = end.place, bytearray()
        for entry in entries:
            line = self.sealer.seal(entry, place, self._clock())
            end.begun = end.begun or _time_of(line)
            written += write_line(line)
            place = line.place
        files.append(end.handle, bytes(written))
        end.place = place
        end.size += len(written)
        self._unsettled += len(written)

    def _settle(self) -> None:
        if self._end is None:
            return
        os.fsync(self._end.handle)
        place = self._end.place
        try:
            self._head.set_meta(_HEAD, json.dumps({"seq": place.seq, "mac": place.mac}))
        except PrivFaceError as error:
            # The lines are there; the next one tries again.
            level = logging.DEBUG if self._head_trouble else logging.WARNING
            _LOGGER.log(level, "Where the audit log ends can't be remembered: %s", error.message)
            self._head_trouble = True
            return
        self._head_trouble = False
        self._unsettled = 0

    def _rotate_if_due(self, end: _End) -> _End:
        age = timedelta(days=max(1.0, self._rotation.days / _PARTS_OF_THE_TIME))
        old = bool(end.begun) and end.begun < write_time(self._clock() - age)
        if not end.size or not (old or end.size >= self._rotation.bytes):
            return end
        # What is remembered is the last line of the old file, so that the new one's beginning fits it.
        self._settle()
        os.close(end.handle)
        self._end = None
        number = end.number + 1
        path = self.directory / files.file_name(number)
        self._end = _End(number=number, path=path, handle=files.create_file(path), size=0, place=end.place)
        self._cleaned = None
        return self._end

    def _drop_if_due(self) -> None:
        """Drop files that are too old or too many, after a line that says so: then verifying needs them no more."""
        now = self._clock()
        if self._end is None or (self._cleaned is not None and abs(now - self._cleaned) < timedelta(days=1)):
            return
        self._cleaned = now
        numbered = files.list_files(self.directory)
        count = self._too_old(numbered, write_time(now - timedelta(days=self._rotation.days)))
        count = max(count, len(numbered) - self._rotation.files)
        if count <= 0:
            return
        with numbered[count][1].open("rb") as kept:
            line = read_line(files.first_line(kept.fileno()))
        if line is None or line.seq < 2:
            _LOGGER.warning("The oldest audit files are kept: what follows them doesn't continue them")
            return
        self._write(self._end, (_own("dropped", count=line.seq - 1, anchor=(line.seq - 1, line.previous)),))
        self._settle()
        for _, path in numbered[:count]:
            path.unlink(missing_ok=True)
        flush_directory(self.directory)

    def _too_old(self, numbered: Sequence[tuple[int, Path]], oldest: str) -> int:
        """How many of the files, the current one apart, end with a line from before ``oldest``."""
        for count, (_, path) in enumerate(numbered[:-1]):
            newest = _time_of(_last_line(path))
            if not newest or newest >= oldest:
                return count
        return len(numbered) - 1


def _own(operation: str, *, count: int | None = None, anchor: tuple[int, str] | None = None) -> Entry:
    return Entry(act=Act.AUDIT, operation=operation, by=By.SERVICE, count=count, anchor=anchor)


def _last_line(path: Path) -> Line | None:
    with path.open("rb") as file:
        raw = next(files.lines_backward(file.fileno(), path.stat().st_size), b"")
    return read_line(raw)


def _time_of(line: Line | None) -> str:
    return "" if line is None else str(line.data.get("time", ""))


def _failed(error: OSError) -> PrivFaceError:
    return PrivFaceError(ErrorCode.AUDIT_FAILED, f"The audit log can't be written: {error.strerror}.")
