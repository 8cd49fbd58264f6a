"""The configuration: one YAML or TOML file, environment variables, flags; loaded once, then frozen.

What comes later wins: defaults, file, environment (``PRIVFACE_SECTION__KEY``), flags. Every problem is
reported at once, a file's with its line. ``docs/CONFIGURATION.md`` lists all settings.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import platformdirs
import voluptuous as vol
from yarl import URL

from privface_backend.bridge.settings import (
    BRIDGE_CHECKS,
    MOST_CAMERAS,
    BridgeSettings,
    CameraFeed,
    target_rule,
)
from privface_backend.domain.camera_address import read_allowed_address
from privface_backend.domain.cameras import NONE_SEALED, SealedCameras, camera_name_problem
from privface_backend.domain.decision import Naming
from privface_backend.domain.privacy import CLEAR_METHOD, epsilon_problem, sensitivity_problem
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protection.settings import ProtectionSettings, SealedSettings
from privface_backend.settings_file import ANY, GivenSettings, Name, between, each, one_of, read_settings_file
from privface_backend.settings_push import DhtSettings, WebhookSettings
from privface_backend.settings_sections import (
    AncestorSettings,
    AuditSettings,
    BrokerSettings,
    DecisionSettings,
    DiscoverySettings,
    DropInSettings,
    EngineSettings,
    EnrollmentSettings,
    GallerySettings,
    LinkSettings,
    LogSettings,
    MemorySettings,
    PipelineSettings,
    PrivacySettings,
    RetentionSettings,
    ServerSettings,
)

_TOP_LEVEL: Final = ("data_dir", "models_dir")
_MOST_LEVELS: Final = 20


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
    enrollment: EnrollmentSettings = field(default_factory=EnrollmentSettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    frigate: FrigateSettings = field(default_factory=FrigateSettings)
    sifis: AncestorSettings = field(default_factory=AncestorSettings)
    dropin: DropInSettings = field(default_factory=DropInSettings)
    dht: DhtSettings = field(default_factory=DhtSettings)
    webhooks: tuple[WebhookSettings, ...] = ()
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    protection: ProtectionSettings = field(default_factory=ProtectionSettings)
    sealed: SealedSettings = field(default_factory=SealedSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    log: LogSettings = field(default_factory=LogSettings)
    cameras: Mapping[str, CameraFeed] = field(default_factory=lambda: MappingProxyType({}))
    bridge: BridgeSettings = field(default_factory=BridgeSettings)
    broker_configured: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that frames are anonymized with, the cameras' own too."""
        own = (feed.method for feed in self.cameras.values() if feed.method is not None)
        return tuple(dict.fromkeys((self.privacy.method, *own)))

    @property
    def feeds(self) -> Mapping[str, CameraFeed]:
        """The cameras whose pictures are taken here, by name."""
        return {name: feed for name, feed in self.cameras.items() if not feed.sealed}

    @property
    def sealed_cameras(self) -> SealedCameras:
        """Those of which no picture is taken."""
        named = (name for name, feed in self.cameras.items() if feed.sealed)
        return SealedCameras(named, everything=self.privacy.sealed)

    @property
    def unbridged_cameras(self) -> SealedCameras:
        """Those of them whose pictures the bridge doesn't take either: one beside the backend may, and seals them."""
        return NONE_SEALED if self.bridge.backend else self.sealed_cameras

    def redacted(self) -> dict[str, Any]:
        """The settings as plain data, secrets replaced by stars."""
        return {name: _plain(getattr(self, name)) for name in (item.name for item in dataclasses.fields(self))}


def _plain(value: Any) -> Any:
    if isinstance(value, WebhookSettings):
        # Its path is often all that guards it.
        return {item.name: _shown(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)} | {
            "url": f"{value.place}/***"
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _shown(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Path | StrEnum):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


_SECRETS: Final = frozenset({"password", "secret", "token", "key"})
_ADDRESSES: Final = frozenset({"address", "url"})


def _shown(key: str, value: Any) -> Any:
    if key in _SECRETS:
        return "***" if value else None
    if key in _ADDRESSES and value:
        return _without_login(value)
    return [_without_login(address) for address in value] if key == "allow" else _plain(value)


def _without_login(address: str) -> str:
    """A camera's address without user, password and query, where cameras take keys."""
    try:
        url = URL(address)
    except ValueError:
        return "***"
    if url.raw_user or url.raw_password:
        url = url.with_password(None).with_user("***")
    shown = url.with_query(None).with_fragment(None).human_repr()
    return f"{shown}?***" if url.raw_query_string else shown


def _ladder(values: tuple[float, ...]) -> tuple[float, ...]:
    rising = all(low < high for low, high in itertools.pairwise((0.0, *values)))
    if not rising or not 1 <= len(values) <= _MOST_LEVELS or not 0.001 <= min(values) <= max(values) <= 0.2:
        raise vol.Invalid(f"expected 1 to {_MOST_LEVELS} rising values from 0.001 to 0.2")
    return values


def _web_address(text: str) -> str:
    expected = "expected http:// or https://, a host, and no user, query or fragment"
    try:
        url = URL(text)
        given = url.scheme in {"http", "https"} and url.host and url.port
    except ValueError:
        raise vol.Invalid(expected) from None
    if text and (not given or url.raw_user or url.raw_password or url.raw_query_string or url.raw_fragment):
        raise vol.Invalid(expected)
    return text.rstrip("/")


def _socket_address(text: str) -> str:
    expected = "expected ws:// or wss:// and a host"
    try:
        url = URL(text)
        given = url.scheme in {"ws", "wss"} and url.host and url.port and not url.raw_fragment
    except ValueError:
        raise vol.Invalid(expected) from None
    if not given:
        raise vol.Invalid(expected)
    return text


def _allowed_by(problem_of: Callable[[object], str | None]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if (problem := problem_of(value)) is not None:
            raise vol.Invalid(f"expected {problem.partition(': ')[2]}")
        return value

    return check


# What a value must satisfy beyond its type; the type itself comes from the dataclass.
_CHECKS: Final[Mapping[Name, Any]] = {
    ("server", "port"): between(0, 65535),
    ("server", "body_megabytes"): between(1, 4096),
    ("engines", "backend"): one_of("onnx", "tensorflow", "pytorch"),
    ("privacy", "ladder"): _ladder,
    ("privacy", "target"): target_rule,
    ("privacy", "epsilon"): _allowed_by(epsilon_problem),
    ("privacy", "sensitivity"): _allowed_by(sensitivity_problem),
    ("pipeline", "working_size"): between(160, 3840),
    ("pipeline", "waiting"): between(1, 1000),
    ("pipeline", "picture_megabytes"): between(1, 1024),
    ("pipeline", "picture_megapixels"): between(1, 200),
    ("pipeline", "video_megabytes"): between(1, 4096),
    ("pipeline", "video_seconds"): between(1, 86400),
    ("decision", "naming"): one_of(*Naming),
    ("decision", "caution"): between(-0.3, 0.5),
    ("decision", "margin"): between(0, 0.5),
    ("decision", "smallest_face"): between(8, 1000),
    ("decision", "settle_seconds"): between(0.1, 60),
    ("decision", "gap_seconds"): between(1, 600),
    ("decision", "event_seconds"): between(1, 3600),
    ("decision", "hold_seconds"): between(1, 86400),
    ("broker", "port"): between(0, 65535),
    ("discovery", "url"): _web_address,
    ("links", "allow"): each(read_allowed_address),
    ("links", "seconds"): between(1, 3600),
    ("frigate", "url"): _web_address,
    ("frigate", "interval"): between(0.1, 600),
    ("sifis", "without_token"): one_of("never", "loopback", "always"),
    ("dropin", "without_token"): one_of("never", "loopback", "always"),
    ("dht", "url"): _socket_address,
    ("dht", "frames_every"): between(1, 100_000),
    ("dht", "waiting"): between(1, 1000),
    ("dht", "outbox"): between(1, 10_000),
    ("retention", "event_days"): between(0, 3650),
    ("retention", "unknown_days"): between(0, 3650),
    ("retention", "purge_hours"): between(1, 168),
    ("memory", "hours"): between(0, 720),
    ("audit", "megabytes"): between(1, 1024),
    ("audit", "days"): between(1, 3650),
    ("audit", "files"): between(2, 1000),
    ("log", "level"): one_of("debug", "info", "warning", "error"),
    ("bridge", "backend"): _web_address,
    **BRIDGE_CHECKS,
}


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
    given = GivenSettings(setting_types(), _CHECKS)
    if config is not None:
        given.take_file(read_settings_file(config), config.name)
    given.take_environment(os.environ if environment is None else environment)
    for dotted, value in (flags or {}).items():
        if value is not None:
            given.take(tuple(dotted.split(".")), value, "the command line")
    given.check()
    settings = _build(given.values)
    problems = (
        *_mqtt_problems(settings.mqtt),
        *((("frigate", key), text) for key, text in settings.frigate.problems()),
        *((("protection", key), text) for key, text in settings.protection.problems(settings.data_dir)),
        *_engine_problems(settings, given.values),
        *_camera_problems(settings),
        *sealed_problems(settings),
    )
    for name, text in problems:
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


def _mqtt_problems(mqtt: MqttSettings) -> Iterator[tuple[Name, str]]:
    for problem in mqtt.problems():
        names, _, text = problem.partition(": ")
        first, *others = names.split(", ")
        yield tuple(first.split(".")), f"with {others[0]}: {text}" if others else text
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            yield ("mqtt", key), "there is no such file"


def _engine_problems(settings: Settings, given: Mapping[Name, Any]) -> Iterator[tuple[Name, str]]:
    """What is wrong with the names of engines, and with the privacy parameter; the defaults need no look."""
    if not any(name[0] in {"engines", "privacy"} for name in given):
        return
    from privface_backend.models.store import WeightsStore  # noqa: PLC0415  # those who set no engine needn't wait
    from privface_backend.plugins.ports import EngineContext  # noqa: PLC0415  # as above
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # as above
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above

    registry = Registry()
    for kind in (EngineKind.DETECTOR, EngineKind.RECOGNIZER, EngineKind.ALIGNER):
        if getattr(settings.engines, kind) not in registry.names(kind):
            yield ("engines", kind.value), f"expected one of {', '.join(registry.names(kind))}"
    privacy = settings.privacy
    if privacy.method not in (methods := registry.names(EngineKind.ANONYMIZER)):
        yield ("privacy", "method"), f"expected one of {', '.join(methods)}"
    elif (privacy.method, privacy.parameter) != ((usual := PrivacySettings()).method, usual.parameter):
        context = EngineContext(weights=WeightsStore(settings.models_dir))
        try:
            registry.create(EngineKind.ANONYMIZER, privacy.method, context).validate(privacy.parameter)
        except PrivFaceError as error:
            key = "parameter" if ("privacy", "parameter") in given else "method"
            yield ("privacy", key), f"{error.message} Allowed as privacy.parameter: {error.allowed}"


def _camera_name_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    for name in settings.cameras:
        if problem := camera_name_problem(name):
            yield ("cameras", name), f"expected another name: {problem}"


def _camera_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """What is wrong with the cameras' names, and with how their pictures are to be anonymized."""
    if not settings.cameras:
        return
    from privface_backend.plugins.ports import EngineContext  # noqa: PLC0415  # those who set no camera needn't wait
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # as above
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above
    from privface_backend.plugins.weightless import NoWeights  # noqa: PLC0415  # as above

    registry, context = Registry(), EngineContext(weights=NoWeights())
    methods = registry.names(EngineKind.ANONYMIZER)
    if len(settings.cameras) > MOST_CAMERAS:
        yield ("cameras",), f"expected at most {MOST_CAMERAS} cameras"
    yield from _camera_name_problems(settings)
    for name, feed in settings.feeds.items():
        key = ("cameras", name)
        method, parameter = feed.strength(settings.privacy.method, settings.privacy.parameter)
        if feed.frigate is not None and not settings.frigate.enabled:
            yield (*key, "frigate"), "needs frigate.enabled: true, and where Frigate is"
        if method not in methods:
            yield (*key, "method"), f"expected one of {', '.join(methods)}"
            continue
        if feed.adaptive and method == CLEAR_METHOD:
            yield (*key, "adaptive"), "needs another method than none"
        anonymizer = registry.create(EngineKind.ANONYMIZER, method, context)
        for option, value in (("parameter", parameter), *feed.limits()):
            try:
                anonymizer.validate(value)
            except PrivFaceError as error:
                yield (*key, option), error.explanation


def sealed_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """What is wrong with sealed mode: a sealed backend that is to take pictures, a bridge that is to seal inside of a
    backend, cameras that a bridge can't seal by themselves, a key where the backend's data lies."""
    bridged = settings.feeds or settings.bridge.topics or settings.frigate.enabled
    if settings.privacy.sealed and bridged and not settings.bridge.backend:
        yield (
            ("privacy", "sealed"),
            "with cameras, bridge.topics or frigate: a sealed backend takes no pictures; `privface bridge` seals them",
        )
    if settings.privacy.sealed and settings.gallery.folder is not None:
        yield (
            ("privacy", "sealed"),
            "with gallery.folder: a sealed backend takes no pictures; enroll with `privface seal enroll`",
        )
    if settings.mqtt.sealed_frames and not settings.sealed_cameras:
        text = "expected a sealed backend or camera, as no other takes them"
        yield ("mqtt", "sealed_frames"), f"without privacy.sealed, or a camera with sealed: {text}"
    if settings.bridge.sealed and not settings.bridge.backend:
        yield ("bridge", "sealed"), "without bridge.backend: expected the address of a sealed backend elsewhere"
    yield from _sealed_camera_problems(settings)
    yield from ((("sealed", key), text) for key, text in settings.sealed.problems(settings.data_dir))


def _sealed_camera_problems(settings: Settings) -> Iterator[tuple[Name, str]]:
    """A camera's name tells the backend what to refuse; whoever seals its pictures has settings of its own."""
    sealed = [name for name, feed in settings.cameras.items() if feed.sealed]
    text = "`privface bridge` seals all of its cameras, with bridge.sealed, or none"
    for name in sealed if settings.bridge.backend else ():
        yield ("cameras", name, "sealed"), f"with bridge.backend: belongs into the backend's own settings; {text}"
    for name in settings.feeds if sealed and not settings.privacy.sealed else ():
        if name in settings.sealed_cameras:
            yield ("cameras", name), "expected another name: a sealed camera has it, but for case or accents"
