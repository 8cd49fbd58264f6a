"""What commands print: text for people, one JSON object a line for programs; troubles and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from privface_backend.errors import PrivFaceError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def say(text: str = "") -> None:
    """A line for people."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(data: Mapping[str, Any]) -> None:
    """An object on a line of its own."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    say(json.dumps(data, ensure_ascii=not unicode))


def complain(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")


def ask(question: str) -> bool:
    """Whether the answer to a question on stderr is yes."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def explain(error: PrivFaceError) -> str:
    """An error in one line."""
    stop = "." if error.allowed else ""
    return f"{error.explanation}{stop} ({error.code})"


def report(error: PrivFaceError, *, as_json: bool) -> None:
    """An error that ends a command."""
    if as_json:
        say_json({"error": error.to_dict()})
        return
    complain(f"error: {error.message}")
    if error.allowed is not None:
        complain(f"allowed: {error.allowed}")
    complain(f"({error.code})")


class Bar:
    """Shows how far a command has come; without a terminal, nothing. Called, it moves on by one."""

    def __init__(self, bars: Progress | None = None, task: TaskID | None = None) -> None:
        self._bars: Final = bars
        self._task: Final = task
        self._part: TaskID | None = None

    def __call__(self) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task)

    def show_part(self, what: str, done: int, total: int | None) -> None:
        """How far the present one has come, on a line of its own; ``total``: None where it isn't known."""
        if self._bars is None:
            return
        if self._part is None:
            self._part = self._bars.add_task(what, total=total)
        self._bars.update(self._part, completed=done, total=total)

    def end_part(self) -> None:
        if self._bars is not None and self._part is not None:
            self._bars.remove_task(self._part)
            self._part = None


@contextmanager
def progress(what: str, total: int | None, *, as_json: bool) -> Iterator[Bar]:
    """A progress bar on stderr, where that is a terminal and no JSON goes there too; gives what moves it on."""
    together = sys.stdout.isatty()
    if not sys.stderr.isatty() or (as_json and together):
        yield Bar()
        return
    from rich.console import Console  # noqa: PLC0415  # only terminals need it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Rich takes over stdout to print above the bar; lines that go to a file must still get there.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=together) as bars:
        yield Bar(bars, bars.add_task(what, total=total))
