"""The audit log read: newest first, or all of it to see whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from privface_backend.audit import files
from privface_backend.audit.chain import Verdict, verify
from privface_backend.audit.entries import Act, write_time
from privface_backend.audit.lines import Line, Place, read_line
from privface_backend.audit.log import AuditLog

MOST_LOOKED_AT: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines. ``before``: with lower numbers; ``since``: from this time on; ``subject``: about whom."""

    limit: int
    before: int | None = None
    since: datetime | None = None
    act: Act | None = None
    subject: str | None = None

    def takes(self, line: Line) -> bool:
        data = line.data
        return (
            (self.before is None or line.seq < self.before)
            and (self.since is None or str(data.get("time", "")) >= write_time(self.since))
            and (self.act is None or data.get("act") == self.act.value)
            and (self.subject is None or self.subject in _subjects(data.get("subjects")))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Lines, newest first. ``before``: where the next page begins; None: this was the last."""

    lines: tuple[Line, ...]
    before: int | None


def read_page(log: AuditLog, wanted: Wanted) -> Page:
    """The newest lines that are wanted. After ``MOST_LOOKED_AT`` of others the page ends, too.

    Lines that can't be read are left out: ``verify_log`` tells of them.

    Raises:
        PrivFaceError: ``audit_failed``.
    """
    found: list[Line] = []
    with log.reading() as (opened, _):
        for count, line in enumerate(_newest_first(opened)):
            if wanted.takes(line):
                found.append(line)
            # One more says whether there is another page.
            if len(found) > wanted.limit:
                return Page(lines=tuple(found[: wanted.limit]), before=found[wanted.limit - 1].seq)
            if count >= MOST_LOOKED_AT:
                return Page(lines=tuple(found), before=line.seq)
    return Page(lines=tuple(found), before=None)


def verify_log(log: AuditLog, expected: Place | None = None) -> Verdict:
    """Look at every line. ``expected``: a place that was noted elsewhere, which must still be in the chain.

    Raises:
        PrivFaceError: ``audit_failed``.
    """
    with log.reading() as (opened, head):
        lines = chain.from_iterable(files.lines_forward(handle, size, name) for name, handle, size in opened)
        return verify(lines, log.sealer, head, expected)


def _newest_first(opened: Sequence[tuple[str, int, int]]) -> Iterator[Line]:
    for _, handle, size in reversed(opened):
        for raw in files.lines_backward(handle, size):
            if (line := read_line(raw)) is not None:
                yield line


def _subjects(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
