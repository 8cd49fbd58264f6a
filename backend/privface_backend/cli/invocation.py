"""What was typed before the command: settings, and how to speak."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from privface_backend.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where everything that a run writes lies.", show_default=False),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A YAML or TOML file.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(eq=False)
class Invocation:
    """Flags so far; ``settings`` are loaded when they are first asked for."""

    flags: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    json: bool = False

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
        from privface_backend.settings import load_settings  # noqa: PLC0415  # --help needs no voluptuous

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
    return found
