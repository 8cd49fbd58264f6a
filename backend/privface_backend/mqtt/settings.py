"""How to reach the broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

_BASE_RULE: Final = "allowed: levels that are not empty, between slashes, without + and #, no $ in front"


class MqttProtocol(StrEnum):
    """The version of MQTT to speak. ``AUTO``: 5, and 3.1.1 where the broker refuses it."""

    AUTO = "auto"
    V5 = "5"
    V311 = "3.1.1"


class DiscoveryLayout(StrEnum):
    """How Home Assistant is told of devices. ``DEVICES``: one message each; ``CHILD_DEVICES``: one for all, with people
    and cameras as children of the backend's device, which Home Assistant takes from 2026.11 on."""

    DEVICES = "devices"
    CHILD_DEVICES = "child_devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """How to reach the broker, and what to call ourselves there.

    ``ca_file``: the certificates to trust instead of the system's. ``cert_file`` and ``key_file``: our own, for
    brokers that ask for one. ``tls_insecure``: encrypt without checking who answers. ``client_id``: empty, one is
    made up for each run. ``timeout``: seconds that the broker has for one answer. ``home_assistant``: make devices in
    Home Assistant by its MQTT discovery, below ``home_assistant_topic``, in the layout ``home_assistant_layout``.
    ``double_take``: tell decisions as Double Take does, too, below ``double_take_topic``.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 1883
    protocol: MqttProtocol = MqttProtocol.AUTO
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    tls_insecure: bool = False
    base_topic: str = "privface"
    client_id: str = ""
    keepalive: int = 30
    timeout: float = 10.0
    outbox_limit: int = 1000
    event_qos: int = 1
    home_assistant: bool = False
    home_assistant_topic: str = "homeassistant"
    home_assistant_layout: DiscoveryLayout = DiscoveryLayout.DEVICES
    double_take: bool = False
    double_take_topic: str = "double-take"

    def problems(self) -> tuple[str, ...]:
        """What is wrong with these settings, in plain words, one text each; none: they can be used."""
        tls_files = self.ca_file or self.cert_file or self.key_file
        checks = (
            (not self.host, "mqtt.host: empty; allowed: a host name or an address"),
            (not 1 <= self.port <= 65535, "mqtt.port: allowed: 1 to 65535"),
            (not _can_be_base(self.base_topic), f"mqtt.base_topic: {_BASE_RULE}"),
            (not _can_be_base(self.home_assistant_topic), f"mqtt.home_assistant_topic: {_BASE_RULE}"),
            (not _can_be_base(self.double_take_topic), f"mqtt.double_take_topic: {_BASE_RULE}"),
            (
                len({self.base_topic, self.home_assistant_topic, self.double_take_topic}) < 3,
                "mqtt.base_topic, mqtt.home_assistant_topic: allowed: three that differ, with mqtt.double_take_topic",
            ),
            (self.password is not None and not self.username, "mqtt.password: needs mqtt.username too"),
            (bool(self.cert_file) != bool(self.key_file), "mqtt.cert_file, mqtt.key_file: both or neither"),
            (bool(tls_files or self.tls_insecure) and not self.tls, "mqtt.tls: must be on for the other tls settings"),
            (not 5 <= self.keepalive <= 65535, "mqtt.keepalive: allowed: 5 to 65535 seconds"),
            (not 0 < self.timeout <= 300, "mqtt.timeout: allowed: more than 0, at most 300 seconds"),
            (not 1 <= self.outbox_limit <= 100_000, "mqtt.outbox_limit: allowed: 1 to 100000"),
            (self.event_qos not in (0, 1), "mqtt.event_qos: allowed: 0 or 1"),
        )
        return tuple(text for wrong, text in checks if wrong)


def _can_be_base(topic: str) -> bool:
    written = all(level and level.isprintable() for level in topic.split("/"))
    return written and not any(sign in topic for sign in "+#") and not topic.startswith("$")
