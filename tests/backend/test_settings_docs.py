"""``docs/CONFIGURATION.md`` names every setting, with the type and the default that the code has."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml

from privface_backend.settings import Settings
from privface_backend.settings_loading import load_settings, setting_types

PAGE = (Path(__file__).parents[2] / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-zNAME_.]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}
# These follow the computer's own habits.
PLACES = {("data_dir",): "the user's data directory", ("models_dir",): "`models` in the data directory"}


def type_words(annotation: Any) -> str:
    arguments = [argument for argument in typing.get_args(annotation) if argument not in {type(None), Ellipsis}]
    if typing.get_origin(annotation) is tuple:
        return f"list of {WORDS[arguments[0]]}s"
    kind = arguments[0] if arguments else annotation
    return "text" if issubclass(kind, StrEnum) else WORDS[kind]


# What stands for a key of the user's own, and for an entry's number.
NAME, NUMBER = "NAME", "N"


def every_setting() -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Name, type and default of each, those inside of nested ones too."""
    sections = typing.get_type_hints(Settings)
    for name, kind in setting_types().items():
        listed = typing.get_origin(kind) is tuple and dataclasses.is_dataclass(typing.get_args(kind)[0])
        if listed or dataclasses.is_dataclass(kind):
            nested = typing.get_args(kind)[0] if listed else kind
            yield from fields_of(nested, (name[0], NUMBER if listed else NAME))
        elif len(name) == 1:
            yield name, kind, None
        else:
            default = next(field.default for field in dataclasses.fields(sections[name[0]]) if field.name == name[1])
            yield name, kind, default


def fields_of(kind: Any, prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield (*prefix, field.name), hints[field.name], field.default


def default_words(name: tuple[str, ...], value: Any) -> str:
    if name in PLACES:
        return PLACES[name]
    if value is dataclasses.MISSING:
        return "needed"
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_tables_are_those_of_the_code() -> None:
    written = {tuple(name.split(".")): (kind, default) for name, kind, default, _ in ROW.findall(PAGE)}
    assert written == {name: (type_words(kind), default_words(name, value)) for name, kind, value in every_setting()}


def test_every_example_can_be_loaded(tmp_path: Path) -> None:
    examples = re.findall(r"```(yaml|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert {kind for kind, _ in examples} == {"yaml", "toml"}
    for kind, text in examples:
        (tmp_path / f"privface.{kind}").write_text(text, encoding="utf-8")
        load_settings(config=tmp_path / f"privface.{kind}", environment={})


def test_the_first_example_says_the_defaults() -> None:
    text = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    defaults = load_settings(environment={})
    for section, keys in yaml.safe_load(text).items():
        for key, value in keys.items():
            default = getattr(getattr(defaults, section), key)
            assert value == (list(default) if isinstance(default, tuple) else default), f"{section}.{key}"


@pytest.mark.parametrize("name", ["PRIVFACE_DATA_DIR", "PRIVFACE_SERVER__PORT", "PRIVFACE_CONFIG", "PRIVFACE_TOKEN"])
def test_the_variables_are_named(name: str) -> None:
    assert name in PAGE
