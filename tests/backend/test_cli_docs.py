"""``docs/COMMANDS.md`` names every command, option and exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from privface_backend.cli.application import app
from privface_backend.cli.exits import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
SELF_EVIDENT = {"--help", "-h", "--version"}
OF_MODELS = {"--default", "--all", "--trust-first-use"}  # `privface models fetch --help` explains them


def test_every_command_and_option_is_there() -> None:
    root: Any = typer.main.get_command(app)
    wanted = _options(root)
    for name, command in root.commands.items():
        assert f"## `privface {name}" in PAGE
        wanted |= _options(command)
        for inner, subcommand in getattr(command, "commands", {}).items():
            assert f"{name} {inner}" in PAGE
            wanted |= _options(subcommand)
    assert {option for option in wanted if f"`{option}" not in PAGE and f"{option} " not in PAGE} <= (
        SELF_EVIDENT | OF_MODELS
    )


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)
    assert [int(code) for code in rows] == sorted(Exit)
