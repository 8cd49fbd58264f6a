"""Loading the configuration: one YAML or TOML file, environment variables, flags.

What comes later wins: defaults, file, environment (``PRIVFACE_SECTION__KEY``), flags. Every problem is reported at
once, a file's with its line.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import platformdirs

from privface_backend.errors import SettingsError
from privface_backend.settings import Settings
from privface_backend.settings_file import ANY, GivenSettings, Name, read_settings_file
from privface_backend.settings_rules import problems_of
from privface_backend.settings_values import CHECKS

_TOP_LEVEL: Final = ("data_dir", "models_dir")


def setting_types() -> dict[Name, Any]:
    """Every setting's name and type, in order. A section with keys of the user's own has ``ANY`` for the key; a list
    of nested settings has the section's name alone."""
    return types_of(Settings)


def types_of(settings: type[Any]) -> dict[Name, Any]:
    """The names and types of what can be set in a class such as ``Settings``."""
    found: dict[Name, Any] = {(key,): Path for key in _TOP_LEVEL}
    for section, kind in typing.get_type_hints(settings).items():
        arguments = typing.get_args(kind)
        if dataclasses.is_dataclass(kind):
            found.update({(section, key): hint for key, hint in typing.get_type_hints(kind).items()})
        elif typing.get_origin(kind) is Mapping:
            found[section, ANY] = arguments[1]
        elif typing.get_origin(kind) is tuple and dataclasses.is_dataclass(arguments[0]):
            found[(section,)] = kind
    return found


def load_settings(
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Load the settings.

    ``flags``: values by dotted name (``{"server.port": 8091}``); None leaves a setting alone.

    Raises:
        SettingsError: with every problem of file, environment and flags.
    """
    given = GivenSettings(setting_types(), CHECKS)
    if config is not None:
        given.take_file(read_settings_file(config), config.name)
    given.take_environment(os.environ if environment is None else environment)
    for dotted, value in (flags or {}).items():
        if value is not None:
            given.take(tuple(dotted.split(".")), value, "the command line")
    given.check()
    settings = _build(given.values)
    for name, text in problems_of(settings, given.values):
        given.refuse(name, text)
    if given.problems:
        raise SettingsError(given.problems)
    return settings


def _build(values: Mapping[Name, Any]) -> Settings:
    data_dir = values.get(("data_dir",)) or Path(platformdirs.user_data_dir("privface", appauthor=False))
    sections: dict[str, dict[str, Any]] = {}
    lists: dict[str, Any] = {}
    for name, value in values.items():
        if len(name) == 2:
            sections.setdefault(name[0], {})[name[1]] = value
        elif name[0] not in _TOP_LEVEL:
            lists[name[0]] = value
    hints = typing.get_type_hints(Settings)
    return Settings(
        data_dir=data_dir.absolute(),
        models_dir=(values.get(("models_dir",)) or data_dir / "models").absolute(),
        broker_configured=("mqtt", "host") in values,
        **{section: _make_section(hints[section], keys) for section, keys in sections.items()},
        **lists,
    )


def _make_section(kind: Any, keys: dict[str, Any]) -> Any:
    return MappingProxyType(keys) if typing.get_origin(kind) is Mapping else kind(**keys)
