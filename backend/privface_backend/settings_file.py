"""Where settings come from: a file with the line of each, the environment; and what type each must have."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import voluptuous as vol
import yaml

from privface_backend.errors import SettingsError

Name = tuple[str, ...]
"""A setting's section and key; a top-level setting's key alone."""

ANY: Final = "*"
"""Stands for a key of the user's own, in the name of a setting whose section holds such keys."""
RULE: Final = "rule"
"""In the metadata of a nested setting's field: what its value must satisfy beyond its type."""

# What YAML and TOML raise for a text that they can't make data of, beside their own errors.
_UNREADABLE: Final = (ValueError, RecursionError, OverflowError)
ENVIRONMENT_PREFIX: Final = "PRIVFACE_"
# The command line's own, and those of the scripts and the compose file: no settings.
NOT_SETTINGS: Final = frozenset(
    {"PRIVFACE_CONFIG", "PRIVFACE_TOKEN", "PRIVFACE_EXTRAS", "PRIVFACE_PYTHON", "PRIVFACE_BIND"}
)
# A section, a camera's name or an entry's number, its key.
_DEEPEST: Final = 3
_TOML_PART: Final = r"""[\w-]+|"[^"]*"|'[^']*'"""
_TOML_NAME: Final = rf"(?P<name>(?:{_TOML_PART})(?:\s*\.\s*(?:{_TOML_PART}))*)"
_TOML_HEADER: Final = re.compile(rf"\s*\[(?P<entry>\[)?\s*{_TOML_NAME}\s*\]")
_TOML_KEY: Final = re.compile(rf"\s*{_TOML_NAME}\s*=")
_TEXTS: Final = (str, str | None, Path, Path | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """A file's settings by name, the line (from 1) of each, and the lines where one is set a second time."""

    values: Mapping[Name, Any]
    lines: Mapping[Name, int]
    repeated: tuple[tuple[Name, int], ...] = ()


def read_settings_file(config: Path) -> SettingsFile:
    """Read a YAML file, or a TOML file if it is called ``….toml``.

    Raises:
        SettingsError: it can't be read, or is neither.
    """
    try:
        text = config.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError([f"{config}: can't be read: {reason}"]) from None
    data, found = (_read_toml if config.suffix.lower() == ".toml" else _read_yaml)(text, config.name)
    if not isinstance(data, dict):
        raise SettingsError([f"{config.name}: expected sections with settings"])
    lines: dict[Name, int] = {}
    repeated = []
    for name, line in found:
        if lines.setdefault(name, line) != line:
            repeated.append((name, line))
    return SettingsFile(values=_flatten(data), lines=lines, repeated=tuple(repeated))


def _read_yaml(text: str, name: str) -> tuple[Any, list[tuple[Name, int]]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError([f"{name}{where}: not YAML: {getattr(error, 'problem', 'unreadable')}"]) from None
    except _UNREADABLE:
        raise SettingsError([f"{name}: not YAML: a value that can't be read"]) from None
    return {} if data is None else data, list(_yaml_lines(node, ()))


def _yaml_lines(node: Any, section: Name) -> typing.Iterator[tuple[Name, int]]:
    """The line of each key and of each entry of a list, which is called by its number; no deeper than settings lie."""
    if len(section) >= _DEEPEST:
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*section, str(key.value))
            yield name, key.start_mark.line + 1
            yield from _yaml_lines(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value, start=1):
            name = (*section, str(number))
            yield name, value.start_mark.line + 1
            yield from _yaml_lines(value, name)


def _read_toml(text: str, name: str) -> tuple[Any, list[tuple[Name, int]]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{name}: not TOML: {error}"]) from None
    except _UNREADABLE:
        raise SettingsError([f"{name}: not TOML: a value that can't be read"]) from None
    lines: dict[Name, int] = {}
    section: Name = ()
    entries: Counter[Name] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TOML_HEADER.match(line):
            section = _toml_name(header["name"])
            if header["entry"]:
                entries[section] += 1
                lines.setdefault(section, number)
                section = (*section, str(entries[section]))
            lines.setdefault(section, number)
        elif key := _TOML_KEY.match(line):
            lines.setdefault((*section, *_toml_name(key["name"])), number)
    return data, list(lines.items())


def _toml_name(text: str) -> Name:
    return tuple(part.strip("\"'") for part in re.findall(_TOML_PART, text))


def _flatten(data: Mapping[Any, Any]) -> dict[Name, Any]:
    """Values by name; of a section that is there but empty, nothing."""
    flat: dict[Name, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update({(str(key), str(inner)): item for inner, item in value.items()})
        elif value is not None:
            flat[str(key),] = value
    return flat


def read_variable(text: str, annotation: Any) -> Any:
    """An environment variable's value: as it stands for a text or a path, otherwise as YAML reads it.

    Raises:
        ValueError: YAML can't read it.
    """
    if annotation in _TEXTS:
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, *_UNREADABLE):
        raise ValueError from None


@dataclass(slots=True)
class GivenSettings:
    """What was given, where each came from, and what is wrong with it.

    ``types`` of all settings there are; ``rules``: what a value must satisfy beyond its type.
    """

    types: Mapping[Name, Any]
    rules: Mapping[Name, Any]
    values: dict[Name, Any] = field(default_factory=dict)
    origins: dict[Name, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take_file(self, file: SettingsFile, label: str) -> None:
        for name, line in file.repeated:
            self.problems.append(f"{label}, line {line}: {'.'.join(name)}: is set twice")
        for name, value in file.values.items():
            at = file.lines.get(name, file.lines.get(name[:1]))
            self.take(name, value, label if at is None else f"{label}, line {at}")
            inner = {place: line for place, line in file.lines.items() if place[: len(name)] == name}
            self.origins.update({place: f"{label}, line {line}" for place, line in inner.items()})

    def take_environment(self, environment: Mapping[str, str]) -> None:
        """Take the variables that are settings; an empty one counts as not set."""
        for variable, text in sorted(environment.items()):
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS or not text:
                continue
            name = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            origin = f"the environment ({variable})"
            try:
                self.take(name, read_variable(text, self._type(name)), origin)
            except ValueError:
                self.problems.append(f"{origin}: {'.'.join(name)}: can't be read")

    def take(self, name: Name, value: Any, origin: str) -> None:
        self.values[name] = value
        # What came before may have had places inside of it.
        self.origins = {place: known for place, known in self.origins.items() if place[: len(name)] != name}
        self.origins[name] = origin

    def refuse(self, name: Name, text: str) -> None:
        """Say what is wrong with a setting, or with what lies inside of one: ``("cameras", "door", "frames")``."""
        places = (name[:length] for length in range(len(name), 0, -1))
        origin = next((self.origins[place] for place in places if place in self.origins), "the settings")
        self.problems.append(f"{origin}: {'.'.join(name)}: {text}")

    def check(self) -> None:
        """Turn each value into its setting's type; refuse, and leave out, what can't be."""
        for name, value in tuple(self.values.items()):
            del self.values[name]
            annotation = self._type(name)
            if annotation is None:
                self.refuse(name, self._unknown(name))
                continue
            try:
                self.values[name] = vol.Schema(type_rule(annotation, self.rules.get(name)))(value)
            except vol.MultipleInvalid as invalid:
                for place, text in dict.fromkeys((_place(error), str(error.msg)) for error in invalid.errors):
                    self.refuse((*name, *place), text)

    def _type(self, name: Name) -> Any:
        return self.types.get(name) or self.types.get((*name[:-1], ANY))

    def _unknown(self, name: Name) -> str:
        if any(known[:1] == name for known in self.types):
            return "expected a section with settings"
        written = ".".join(name).replace("_", ".")
        all_names = (".".join((*known[:-1], name[-1]) if known[-1] == ANY else known) for known in self.types)
        names = {known.replace("_", "."): known for known in all_names}
        near = difflib.get_close_matches(written, names, n=1, cutoff=0.8)
        return "no such setting" + (f"; did you mean {names[near[0]]}?" if near else "")


def type_rule(annotation: Any, check: Any = None) -> Any:
    """The voluptuous rule for a field's type, and ``check`` beyond that."""
    if isinstance(annotation, types.UnionType):
        inner = vol.Schema(type_rule(_without_none(annotation), check))
        return lambda value: None if value is None else inner(value)
    rule = _plain_rule(annotation)
    return rule if check is None else vol.All(rule, check)


def _place(error: vol.Invalid) -> Name:
    """Where inside of a setting something is wrong; entries of a list are counted from 1."""
    return tuple(str(place + 1 if isinstance(place, int) else place) for place in error.path)


def _nested_rule(kind: type[Any]) -> Any:
    """The rule for a mapping that becomes a dataclass; its fields' metadata may hold rules, and what it raises as
    ``ValueError`` is what is wrong with them together."""
    hints = typing.get_type_hints(kind)
    keys: dict[Any, Any] = {}
    for item in dataclasses.fields(kind):
        needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        marker = vol.Required(item.name, msg="is missing") if needed else vol.Optional(item.name)
        keys[marker] = type_rule(hints[item.name], item.metadata.get(RULE))
    shape = vol.Schema(keys)

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise vol.Invalid(f"expected settings, of {', '.join(hints)}")
        given = {str(key): item for key, item in value.items()}
        problems = [vol.Invalid(_unknown_key(key, hints), path=[key]) for key in given if key not in hints]
        values = _collect(
            problems, shape, {key: item for key, item in given.items() if key in hints and item is not None}
        )
        if problems:
            raise vol.MultipleInvalid(problems)
        try:
            return kind(**values)
        except ValueError as error:
            raise vol.Invalid(str(error)) from None

    return read


def _unknown_key(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"no such setting; did you mean {near[0]}?" if near else f"no such setting; there are {', '.join(known)}"


def _list_rule(item: Any) -> Any:
    """The rule for a list, each entry of which is looked at."""
    entry = vol.Schema(item)

    def read(values: list[Any]) -> tuple[Any, ...]:
        problems: list[vol.Invalid] = []
        read = tuple(_collect(problems, entry, value, [place]) for place, value in enumerate(values))
        if problems:
            raise vol.MultipleInvalid(problems)
        return read

    return read


def _collect(problems: list[vol.Invalid], rule: vol.Schema, value: Any, path: Sequence[int] = ()) -> Any:
    """What ``rule`` makes of a value that is found at ``path``; what is wrong with it goes to ``problems``."""
    try:
        return rule(value)
    except vol.MultipleInvalid as invalid:
        invalid.prepend(list(path))
        problems.extend(invalid.errors)
        return None


def _plain_rule(annotation: Any) -> Any:
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _nested_rule(annotation)
    if typing.get_origin(annotation) is tuple:
        item = type_rule(typing.get_args(annotation)[0])
        return vol.All(vol.Any(list, msg="expected a list, such as [a, b]"), _list_rule(item))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        # YAML reads the version 5 as a number.
        return vol.All(vol.Coerce(str), one_of(*(member.value for member in annotation)), vol.Coerce(annotation))
    return _PLAIN[annotation]


def _without_none(annotation: Any) -> Any:
    return next(argument for argument in typing.get_args(annotation) if argument is not type(None))


def each(check: Callable[[str], object]) -> Any:
    """The rule for a list of texts, each of which ``check`` looks at; what it raises as ``ValueError`` is what is wrong
    with it."""

    def look(values: tuple[str, ...]) -> tuple[str, ...]:
        problems = []
        for place, value in enumerate(values):
            try:
                check(value)
            except ValueError as error:
                problems.append(vol.Invalid(str(error), path=[place]))
        if problems:
            raise vol.MultipleInvalid(problems)
        return values

    return look


def one_of(*allowed: str) -> Any:
    """The rule for a choice."""
    return vol.In(allowed, msg=f"expected one of {', '.join(allowed)}")


def between(low: float, high: float) -> Any:
    """The rule for a range of numbers."""
    return vol.Range(min=low, max=high, msg=f"expected {low:g} to {high:g}")


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise vol.Invalid("expected a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise vol.Invalid("names the home of a user that isn't there") from None


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise vol.Invalid("expected a number")
    return value


_PLAIN: Final[Mapping[Any, Any]] = {
    Path: vol.All(vol.Any(str, msg="expected a path"), _path),
    float: vol.All(vol.Any(float, int, msg="expected a number"), _no_bool, vol.Coerce(float)),
    int: vol.All(vol.Any(int, msg="expected a whole number"), _no_bool),
    bool: vol.Any(bool, msg="expected true or false"),
    str: vol.Any(str, msg="expected a text (in quotes, if it looks like a number)"),
}
