"""The audit log's files: numbered, only appended to, readable by their owner alone."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from privface_backend.audit.chain import RawLine
from privface_backend.storage.file import flush_directory

DIRECTORY: Final = "audit"
LOCK_FILE: Final = "audit.lock"
_NAME: Final = re.compile(r"audit-(\d{6,12})\.jsonl")
_TORN: Final = "torn-*.bytes"
_MOST_TORN: Final = 16
_BLOCK: Final = 64 * 1024


def file_name(number: int) -> str:
    return f"audit-{number:06}.jsonl"


def list_files(directory: Path) -> list[tuple[int, Path]]:
    """The files by their numbers, oldest first; none where there is no directory."""
    try:
        found = [(match, path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return sorted((int(match[1]), path) for match, path in found)


def make_directory(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def create_file(path: Path) -> int:
    """Make a file, so that a power cut can't take it back; its handle, for appending."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    flush_directory(path.parent)
    return handle


def open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)


def append(handle: int, data: bytes) -> None:
    """Write all of ``data`` or, where the disk takes no more, nothing.

    Raises:
        OSError
    """
    size = os.fstat(handle).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(handle, data[written:])
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise


def move_torn_aside(handle: int, path: Path) -> int:
    """Move what follows the last whole line, as a power cut leaves it, to a file of its own. How many bytes."""
    size = os.fstat(handle).st_size
    whole = _whole_size(handle, size)
    if whole == size:
        return 0
    torn = os.pread(handle, size - whole, whole)
    aside = path.with_name(f"torn-{path.stem}-{whole:012}.bytes")
    target = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        append(target, torn)
        os.fsync(target)
    finally:
        os.close(target)
    os.ftruncate(handle, whole)
    os.fsync(handle)
    flush_directory(path.parent)
    for old in sorted(path.parent.glob(_TORN))[:-_MOST_TORN]:
        old.unlink(missing_ok=True)
    return size - whole


def _whole_size(handle: int, size: int) -> int:
    end = size
    while end > 0:
        begin = max(0, end - _BLOCK)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def lines_backward(handle: int, size: int) -> Iterator[bytes]:
    """The lines of the first ``size`` bytes, the last one first, each with its newline if it has one."""
    rest, end = b"", size
    while end > 0:
        begin = max(0, end - _BLOCK)
        lines = _split(os.pread(handle, end - begin, begin) + rest)
        # A block may begin inside of a line.
        rest = lines.pop(0) if begin else b""
        yield from reversed(lines)
        end = begin


def _split(block: bytes) -> list[bytes]:
    *whole, last = block.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


def first_line(handle: int) -> bytes:
    """The first line, or as much of it as fits a block."""
    begin, newline, _ = os.pread(handle, _BLOCK, 0).partition(b"\n")
    return begin + newline


def lines_forward(handle: int, size: int, name: str) -> Iterator[RawLine]:
    """The lines of the first ``size`` bytes."""
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        left = size
        for number, raw in enumerate(file, start=1):
            part = raw[:left]
            left -= len(part)
            if part:
                yield RawLine(file=name, number=number, raw=part)
            if left <= 0:
                return
