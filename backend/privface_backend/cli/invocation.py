"""What was typed besides the command: settings, and how to speak."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from privface_backend.core import Core
    from privface_backend.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Port = Annotated[int | None, typer.Option("--port", metavar="N", help="REST's port (8090).", show_default=False)]
Host = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen (127.0.0.1).", show_default=False)
]

_ANYWHERE: Final = ("--data-dir", "--config", "--models-dir", "--log-level")
ANYWHERE: Final = (
    "Options of every command: --json, --data-dir DIR, --config FILE, --models-dir DIR, --log-level LEVEL."
)


def to_front(arguments: Sequence[str]) -> list[str]:
    """The arguments with those options first that may stand anywhere; what follows ``--`` stays."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument == "--json" or argument.startswith(tuple(f"{name}=" for name in _ANYWHERE)):
            front.append(argument)
        elif argument in _ANYWHERE:
            front += [argument, *(value for value in (next(waiting, None),) if value is not None)]
        else:
            rest.append(argument)
    return front + rest


@dataclass(eq=False)
class Invocation:
    """Flags so far; ``settings`` are loaded when they are first asked for. ``command``: such as ``people list``."""

    flags: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    json: bool = False
    command: str = ""

    def add(self, *, config: Path | None = None, json: bool = False, **flags: Any) -> Invocation:
        """Take in what was typed after the command; the later wins. ``__`` in a name stands for the dot."""
        self.flags.update({name.replace("__", "."): value for name, value in flags.items() if value is not None})
        self.config = config or self.config
        self.json = self.json or json
        return self

    @cached_property
    def settings(self) -> Settings:
        """The settings.

        Raises:
            SettingsError: with every problem.
        """
        from privface_backend.settings_loading import load_settings  # noqa: PLC0415  # --help needs no voluptuous

        flags = {name: str(value) if isinstance(value, Path) else value for name, value in self.flags.items()}
        return load_settings(config=self.config or _configured(), flags=flags)


def _configured() -> Path | None:
    """The file that the environment names, or the user's own if there is one."""
    if named := os.environ.get("PRIVFACE_CONFIG"):
        return Path(named)
    import platformdirs  # noqa: PLC0415  # --help needs none

    folder = platformdirs.user_config_path("privface", appauthor=False)
    return next((path for name in ("privface.yaml", "privface.toml") if (path := folder / name).is_file()), None)


def invocation(context: typer.Context) -> Invocation:
    """The invocation of a command's context."""
    found = context.find_root().obj
    if not isinstance(found, Invocation):
        raise TypeError("the context has no Invocation")
    found.command = _name_of(context)
    return found


def _name_of(context: typer.Context) -> str:
    words: list[str] = []
    inner: Any = context
    while inner.parent is not None:
        words.insert(0, str(inner.info_name))
        inner = inner.parent
    return " ".join(words)


def run_on_core(call: Invocation, command: Callable[[Core], Awaitable[None]]) -> None:
    """Run what needs the data directory, but no engines."""
    from privface_backend.cli.session import run_command  # noqa: PLC0415  # the help needs no numpy

    run_command(call, command, engines=False)
