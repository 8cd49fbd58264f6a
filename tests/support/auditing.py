"""An audit log of a test's own: written, tampered with, looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from privface_backend.audit.chain import Finding, Verdict
from privface_backend.audit.entries import Act, By, Entry
from privface_backend.audit.files import list_files
from privface_backend.audit.lines import Line, read_line
from privface_backend.audit.log import AuditLog, Rotation
from privface_backend.audit.reading import verify_log

KEY = b"k" * 32
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ADA = "0c8f6c1e-2b1a-4a86-9a44-0c1f5c3f4f10"


class Memory:
    """Remembers the end of the chain, as the database does."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_meta(self, key: str) -> str | None:
        return self.values.get(key)

    def set_meta(self, key: str, value: str) -> None:
        self.values[key] = value


@dataclass(slots=True)
class Clock:
    """Goes on by a second with every look."""

    now: datetime = NOON
    step: timedelta = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@dataclass(slots=True, kw_only=True)
class Book:
    """An audit log in a directory; each ``append`` opens it anew, as another process does."""

    directory: Path
    key: bytes | None = KEY
    former: Sequence[bytes] = ()
    rotation: Rotation = field(default_factory=Rotation)
    memory: Memory = field(default_factory=Memory)
    clock: Clock = field(default_factory=Clock)

    def open(self) -> AuditLog:
        return AuditLog(
            self.directory,
            head=self.memory,
            clock=self.clock,
            key=self.key,
            former=self.former,
            rotation=self.rotation,
        )

    def append(self, *entries: Entry) -> None:
        log = self.open()
        log.append(entries)
        log.settle()
        log.close()

    def verify(self) -> Verdict:
        return verify_log(self.open())

    @property
    def paths(self) -> list[Path]:
        return [path for _, path in list_files(self.directory)]

    def raw(self, file: int = -1) -> list[bytes]:
        return self.paths[file].read_bytes().splitlines(keepends=True)

    def lines(self) -> list[Line]:
        """All lines of all files, which must all be readable."""
        found = [read_line(raw) for path in self.paths for raw in path.read_bytes().splitlines(keepends=True)]
        return [line for line in found if line is not None]

    def tamper(self, change: Callable[[list[bytes]], Iterable[bytes]], file: int = -1) -> None:
        """Replace a file's lines, as somebody with the disk can."""
        path = self.paths[file]
        path.write_bytes(b"".join(change(self.raw(file))))
        os.utime(path)


def entry(number: int = 0, **changes: object) -> Entry:
    """An act like any other."""
    fields: dict[str, object] = {
        "act": Act.IDENTIFY,
        "operation": "identify",
        "by": By.REST,
        "outcome": "known",
        "request_id": f"request-{number}",
        "subjects": (ADA,),
    }
    return Entry(**(fields | changes))  # type: ignore[arg-type]  # a test says what differs


def filled(directory: Path, count: int = 10, **changes: object) -> Book:
    """A log with ``count`` lines."""
    book = Book(directory=directory / "audit", **changes)  # type: ignore[arg-type]  # as above
    book.append(*(entry(number) for number in range(1, count + 1)))
    return book


def told(verdict: Verdict) -> list[tuple[str, int | None, int | None, int | None]]:
    """Each finding: what is wrong, the numbers of the first and last line, and where it stands in its file."""
    return [(one.wrong.value, one.seq, one.last, one.number) for one in verdict.findings]


def only(verdict: Verdict) -> Finding:
    (finding,) = verdict.findings
    return finding
