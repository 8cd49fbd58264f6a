"""A settings file's data, and the line that each setting stands on."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from privface_backend.errors import SettingsError

Lines = dict[tuple[str, ...], int]
"""From a setting's path to its line, from 1."""


def read_settings_file(config: Path) -> tuple[dict[str, Any], Lines]:
    """The file's data, and the line of each setting."""
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError([f"{config}: can't be read: {reason}"]) from None
    reader: Callable[[str, str], tuple[Any, Lines]]
    reader = _read_toml if config.suffix.lower() == ".toml" else _read_yaml
    data, lines = reader(text, config.name)
    if not isinstance(data, dict):
        raise SettingsError([f"{config.name}: expected sections with settings"])
    return data, lines


def _read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError([f"{name}{where}: not YAML: {getattr(error, 'problem', 'unreadable')}"]) from None
    return data or {}, dict(_yaml_lines(node, ()))


def _yaml_lines(node: Any, prefix: tuple[str, ...]) -> typing.Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            yield path, key.start_mark.line + 1
            yield from _yaml_lines(value, path)


def _read_toml(text: str, name: str) -> tuple[Any, Lines]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{name}: not TOML: {error}"]) from None
    lines: Lines = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            section = tuple(header[1].split("."))
            lines.setdefault(section, number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            lines.setdefault((*section, *key[1].split(".")), number)
    return data, lines
