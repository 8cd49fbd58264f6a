"""The configuration: one YAML or TOML file, environment variables, flags; loaded once, then frozen.

What comes later wins: defaults, file, environment (``PRIVFACE_SECTION__KEY``), flags. Every problem is
reported at once, a file's with its line.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import platformdirs
import voluptuous as vol
import yaml

from privface_backend.domain.frames import WORKING_SIZE
from privface_backend.domain.privacy import LADDER
from privface_backend.errors import SettingsError
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import DEFAULT_PORT
from privface_backend.settings_file import Lines, read_settings_file

ENVIRONMENT_PREFIX: Final = "PRIVFACE_"
_TOP_LEVEL: Final = ("data_dir", "models_dir")
# Variables that are the scripts' own, and no settings.
_NOT_SETTINGS: Final = frozenset({"PRIVFACE_CONFIG"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where REST listens. ``require_token`` off leaves the door open to all who reach the port."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    require_token: bool = True
    body_megabytes: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which engines, by name, and what DeepFace runs on."""

    detector: str = "opencv:yunet"
    recognizer: str = "deepface:SFace"
    aligner: str = "five-point"
    backend: str = "onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """How a frame is anonymized that came clear, and at which strengths r enrollment makes templates."""

    method: str = "gaussian"
    parameter: int = 17
    require_client: bool = False
    ladder: tuple[float, ...] = LADDER


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Sizes and limits of what is looked at. ``working_size``: a frame's longest side, in pixels."""

    working_size: int = WORKING_SIZE
    waiting: int = 32
    picture_megabytes: int = 20
    picture_megapixels: int = 25
    video_megabytes: int = 64
    video_seconds: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class GallerySettings:
    """The people. ``folder``: a directory to enroll from and to watch; ``prune``: forget what is deleted there."""

    folder: Path | None = None
    prune: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSettings:
    """When somebody is named. ``caution`` is added to every threshold; ``margin`` is the lead over the next person."""

    caution: float = 0.0
    margin: float = 0.02
    smallest_face: float = 20.0
    event_seconds: int = 30
    hold_seconds: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The embedded broker, used when no other is configured. ``port``: None takes 1883, or another if that is taken."""

    embedded: bool = True
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Camera addresses that a request may name: ``allow`` holds whole addresses, or prefixes that end in ``*``;
    ``webcams`` the indexes of this computer's cameras."""

    allow: tuple[str, ...] = ()
    webcams: tuple[int, ...] = ()
    seconds: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AncestorSettings:
    """The routes of SIFIS-Home's service. ``without_token``: never, loopback (this computer only) or always."""

    enabled: bool = True
    without_token: str = "loopback"  # noqa: S105  # where the token may be missing, no token
    database_path: str = "/app/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long events are kept."""

    event_days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged: ``level`` as Python names it."""

    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set.

    ``data_dir`` holds all that a run writes. ``broker_configured``: ``mqtt.host`` was given, so that no embedded
    broker is needed.
    """

    data_dir: Path
    models_dir: Path
    server: ServerSettings = field(default_factory=ServerSettings)
    engines: EngineSettings = field(default_factory=EngineSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    sifis: AncestorSettings = field(default_factory=AncestorSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    log: LogSettings = field(default_factory=LogSettings)
    broker_configured: bool = False

    def redacted(self) -> dict[str, Any]:
        """The settings as plain data, secrets replaced by stars."""
        return {name: _plain(getattr(self, name)) for name in (item.name for item in dataclasses.fields(self))}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: ("***" if getattr(value, item.name) else None)
            if item.name == "password"
            else _plain(getattr(value, item.name))
            for item in dataclasses.fields(value)
        }
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _between(low: float, high: float) -> Any:
    return vol.Range(min=low, max=high, msg=f"expected {low:g} to {high:g}")


def _odd_or_cell(value: int) -> int:
    if not 1 <= value <= 256:
        raise vol.Invalid("expected 1 to 256 (gaussian: an odd kernel size)")
    return value


# What a value must satisfy beyond its type; the type itself comes from the dataclass.
_CHECKS: Final[Mapping[tuple[str, str], Any]] = {
    ("server", "port"): _between(0, 65535),
    ("server", "body_megabytes"): _between(1, 4096),
    ("engines", "backend"): vol.In(("onnx", "tensorflow", "pytorch")),
    ("privacy", "parameter"): _odd_or_cell,
    ("privacy", "ladder"): [_between(0.001, 0.2)],
    ("pipeline", "working_size"): _between(160, 3840),
    ("pipeline", "waiting"): _between(1, 1000),
    ("pipeline", "picture_megabytes"): _between(1, 1024),
    ("pipeline", "picture_megapixels"): _between(1, 200),
    ("pipeline", "video_megabytes"): _between(1, 4096),
    ("pipeline", "video_seconds"): _between(1, 86400),
    ("decision", "caution"): _between(-0.3, 0.5),
    ("decision", "margin"): _between(0, 0.5),
    ("decision", "smallest_face"): _between(8, 1000),
    ("decision", "event_seconds"): _between(1, 3600),
    ("decision", "hold_seconds"): _between(1, 86400),
    ("broker", "port"): _between(0, 65535),
    ("links", "seconds"): _between(1, 3600),
    ("sifis", "without_token"): vol.In(("never", "loopback", "always")),
    ("retention", "event_days"): _between(0, 3650),
    ("log", "level"): vol.In(("debug", "info", "warning", "error")),
}


@dataclass(frozen=True, slots=True)
class _Problem:
    path: tuple[str, ...]
    text: str
    source: str


def _kind(annotation: Any) -> Any:
    """The voluptuous check for a field's type."""
    arguments = typing.get_args(annotation)
    if isinstance(annotation, types.UnionType):
        return _optional(_kind(next(argument for argument in arguments if argument is not type(None))))
    if typing.get_origin(annotation) is tuple:
        return vol.All([_kind(arguments[0])], vol.Coerce(tuple))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        allowed = [member.value for member in annotation]
        return vol.All(vol.In(allowed, msg=f"expected one of {', '.join(allowed)}"), annotation)
    return _PLAIN[annotation]


def _rule(annotation: Any, check: Any) -> Any:
    """The field's type, and what its value must satisfy beyond that."""
    if check is None:
        return _kind(annotation)
    both = vol.All(_kind(annotation), check)
    return _optional(both) if isinstance(annotation, types.UnionType) else both


def _optional(rule: Any) -> Any:
    inner = vol.Schema(rule)
    return lambda value: None if value is None else inner(value)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise vol.Invalid("expected a number")
    return value


_PLAIN: Final[Mapping[Any, Any]] = {
    Path: vol.All(vol.Any(str, msg="expected a path"), vol.Length(min=1), lambda text: Path(text).expanduser()),
    float: vol.All(vol.Any(float, int, msg="expected a number"), _no_bool, vol.Coerce(float)),
    int: vol.All(vol.Any(int, msg="expected a whole number"), _no_bool),
    bool: vol.Any(bool, msg="expected true or false"),
    str: vol.Any(str, msg="expected a text"),
}


def _section_types() -> dict[str, Any]:
    hints = typing.get_type_hints(Settings)
    return {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}


def _schema() -> vol.Schema:
    sections: dict[Any, Any] = {vol.Optional(key): _kind(Path) for key in _TOP_LEVEL}
    for section, kind in _section_types().items():
        hints = typing.get_type_hints(kind)
        keys = {}
        for item in dataclasses.fields(kind):
            keys[vol.Optional(item.name)] = _rule(hints[item.name], _CHECKS.get((section, item.name)))
        sections[vol.Optional(section)] = keys
    return vol.Schema(sections)


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
    environment = os.environ if environment is None else environment
    problems: list[_Problem] = []
    lines: Lines = {}
    given: dict[str, Any] = {}
    origin: dict[tuple[str, ...], str] = {}
    if config is not None:
        data, lines = read_settings_file(config)
        _merge(given, origin, _flatten(data), config.name)
    _merge(given, origin, _from_environment(environment, problems), "the environment")
    named = {tuple(key.split(".")): value for key, value in (flags or {}).items() if value is not None}
    _merge(given, origin, named, "the command line")
    try:
        checked = _schema()(given)
    except vol.MultipleInvalid as invalid:
        for error in invalid.errors:
            path = tuple(str(part) for part in error.path if not isinstance(part, int))
            problems.append(_Problem(path, _words(error), origin.get(path, config.name if config else "the settings")))
    if problems:
        raise SettingsError([_line(problem, lines, config) for problem in problems])
    settings = _build(checked)
    if more := settings.mqtt.problems():
        raise SettingsError(more)
    return settings


def _build(checked: Mapping[str, Any]) -> Settings:
    data_dir = checked.get("data_dir") or Path(platformdirs.user_data_dir("privface", appauthor=False))
    sections = {name: kind(**checked.get(name, {})) for name, kind in _section_types().items()}
    return Settings(
        data_dir=Path(data_dir).absolute(),
        models_dir=Path(checked.get("models_dir") or Path(data_dir) / "models").absolute(),
        broker_configured="host" in checked.get("mqtt", {}),
        **sections,
    )


def _words(error: vol.Invalid) -> str:
    if "extra keys not allowed" in str(error.msg):
        return "no such setting"
    return str(error.msg).replace("for dictionary value", "").strip()


def _line(problem: _Problem, lines: Lines, config: Path | None) -> str:
    name = ".".join(problem.path) or "the file"
    at = lines.get(problem.path)
    known = config is not None and problem.source == config.name and at is not None
    where = f"{problem.source}, line {at}" if known else problem.source
    return f"{where}: {name}: {problem.text}"


def _flatten(data: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    flat: dict[tuple[str, ...], Any] = {}
    for key, value in data.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and not prefix:
            flat.update(_flatten(value, path))
        else:
            flat[path] = value
    return flat


def _merge(
    given: dict[str, Any], origin: dict[tuple[str, ...], str], flat: Mapping[tuple[str, ...], Any], source: str
) -> None:
    for path, value in flat.items():
        origin[path] = source
        if len(path) == 1:
            given[path[0]] = value
        else:
            section = given.setdefault(path[0], {})
            if isinstance(section, dict):
                section[".".join(path[1:])] = value


def _from_environment(environment: Mapping[str, str], problems: list[_Problem]) -> dict[tuple[str, ...], Any]:
    flat: dict[tuple[str, ...], Any] = {}
    sections = _section_types()
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _NOT_SETTINGS:
            continue
        path = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        wants_text = path[0] in _TOP_LEVEL or (
            len(path) == 2 and path[0] in sections and typing.get_type_hints(sections[path[0]]).get(path[1]) in _TEXTS
        )
        try:
            flat[path] = text if wants_text else yaml.safe_load(text)
        except yaml.YAMLError:
            problems.append(_Problem(path, "can't be read", "the environment"))
    return flat


_TEXTS: Final = (str, str | None, Path, Path | None)
