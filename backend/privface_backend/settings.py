"""The configuration, frozen once it is loaded. ``docs/CONFIGURATION.md`` lists all settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from yarl import URL

from privface_backend.bridge.settings import (
    BridgeSettings,
    CameraFeed,
)
from privface_backend.domain.cameras import NONE_SEALED, SealedCameras
from privface_backend.frigate.settings import FrigateSettings
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protection.settings import ProtectionSettings, SealedSettings
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
