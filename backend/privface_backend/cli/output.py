"""What commands print: text for people, one JSON object a line for programs; troubles and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from privface_backend.errors import PrivFaceError


def say(text: str = "") -> None:
    """A line for people."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(data: Mapping[str, Any]) -> None:
    """An object on a line of its own."""
    say(json.dumps(data, ensure_ascii=False))


def complain(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")


def report(error: PrivFaceError, *, as_json: bool) -> None:
    """An error that ends a command."""
    if as_json:
        say_json({"error": error.to_dict()})
        return
    complain(f"error: {error.message}")
    if error.allowed is not None:
        complain(f"allowed: {error.allowed}")
    complain(f"({error.code})")


class Progress(Protocol):
    """A bar that is moved on."""

    def advance(self) -> None: ...


@contextmanager
def progress(what: str, total: int | None, *, shown: bool = True) -> Iterator[Progress]:
    """A progress bar on stderr, where that is a terminal; otherwise nothing is shown."""
    if not shown or not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console  # noqa: PLC0415  # only terminals need it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield _Bar(lambda: bars.advance(task))


class _Silent:
    def advance(self) -> None:
        """Show nothing."""


class _Bar:
    def __init__(self, advance: Any) -> None:
        self._advance = advance

    def advance(self) -> None:
        self._advance()
