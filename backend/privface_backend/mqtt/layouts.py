"""How the messages of Home Assistant's MQTT discovery hold the devices: each in one of its own, or all in one. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from privface_backend import __version__
from privface_backend.mqtt.devices import BACKEND, Component, Device
from privface_backend.mqtt.settings import DiscoveryLayout
from privface_backend.mqtt.topics import encode_json

_MANUFACTURER: Final = "PrivFace"
_SUPPORT_URL: Final = "https://github.com/privface/privface"

Document = dict[str, Any]
"""A message before it is encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryTopics:
    """Where the messages of one backend stand. ``prefix``: Home Assistant's discovery prefix; ``node``: see
    ``Devices``."""

    prefix: str
    node: str

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.prefix}/status"

    @property
    def below(self) -> str:
        """What all topics of all layouts begin with."""
        return f"{self.prefix}/device/{self.node}/"

    @property
    def whole(self) -> str:
        """The topic of the message that holds all devices."""
        return f"{self.below}config"

    def of(self, key: str) -> str:
        """The topic of the message that holds one device; ``+`` for all of them."""
        return f"{self.below}{key}/config"

    @property
    def filters(self) -> tuple[str, str]:
        """What all topics of all layouts match."""
        return self.of("+"), self.whole


class Layout(Protocol):
    """Which message holds which device."""

    def holds(self, topic: str) -> bool:
        """Whether a message of this layout may stand on ``topic``, one of those of ``DiscoveryTopics``."""

    def topic(self, key: str) -> str:
        """Where the message stands that holds the device of that key."""

    def documents(self, devices: Iterable[Device]) -> dict[str, Document]:
        """What is to stand on each topic; ``components`` are there, and can be added to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    """What the layouts have in common. ``status``: where the backend says that it is there."""

    topics: DiscoveryTopics
    status: str

    def _identifiers(self, device: Device) -> list[str]:
        """The same in each layout, so that Home Assistant keeps what its user has set for the device."""
        return [self.topics.node if device.key == BACKEND else f"{self.topics.node}_{device.key}"]

    def _document(self, device: Device, components: Mapping[str, Component]) -> Document:
        about = {
            "identifiers": self._identifiers(device),
            "name": device.name,
            "model": device.model,
            "manufacturer": _MANUFACTURER,
        }
        if device.sw_version is not None:
            about["sw_version"] = device.sw_version
        return {
            "device": about,
            "origin": {"name": "PrivFace", "sw_version": __version__, "support_url": _SUPPORT_URL},
            "availability": [{"topic": self.status}],
            "qos": 1,
            "components": dict(components),
        }


class SeparateMessages(_Envelope):
    """One message a device, which names the backend's as the one that it is behind."""

    def holds(self, topic: str) -> bool:
        return topic != self.topics.whole

    def topic(self, key: str) -> str:
        return self.topics.of(key)

    def documents(self, devices: Iterable[Device]) -> dict[str, Document]:
        documents = {}
        for device in devices:
            document = self._document(device, device.components)
            if device.key != BACKEND:
                document["device"]["via_device"] = self.topics.node
            documents[self.topic(device.key)] = document
        return documents


class OneMessage(_Envelope):
    """One message for all: the backend's device, and the others as its children."""

    def holds(self, topic: str) -> bool:
        return topic == self.topics.whole

    def topic(self, key: str) -> str:
        del key
        return self.topics.whole

    def documents(self, devices: Iterable[Device]) -> dict[str, Document]:
        by_key = {device.key: device for device in devices}
        backend = by_key.pop(BACKEND)
        children = [
            {"identifiers": self._identifiers(child), "name": child.name, "components": dict(_named(child))}
            for child in by_key.values()
        ]
        return {self.topics.whole: {**self._document(backend, dict(_named(backend))), "child_devices": children}}


def make_layout(chosen: DiscoveryLayout, topics: DiscoveryTopics, status: str) -> Layout:
    """The layout of that name."""
    kind = OneMessage if chosen is DiscoveryLayout.CHILD_DEVICES else SeparateMessages
    return kind(topics=topics, status=status)


def _named(device: Device) -> Iterator[tuple[str, Component]]:
    """The components by keys that no other device's have."""
    return ((f"{device.key}_{own}", component) for own, component in device.components.items())


def read_document(payload: bytes) -> Document:
    """What an earlier run has left on the broker; empty where that is no message of ours."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def only_children(payload: bytes) -> bytes:
    """A message that holds all devices, without the entities of the backend's own; empty where it is none."""
    document = read_document(payload)
    if not isinstance(document.get("child_devices"), list):
        return b""
    return encode_json({key: value for key, value in document.items() if key != "components"})


def platforms(document: Document) -> dict[str, str]:
    """The components that a message makes entities of, with their platforms."""
    return dict(_platforms(document))


def _platforms(document: Document) -> Iterator[tuple[str, str]]:
    children = document.get("child_devices")
    for holder in (document, *(children if isinstance(children, list) else ())):
        components = holder.get("components") if isinstance(holder, dict) else None
        for key, component in components.items() if isinstance(components, dict) else ():
            # One that names its platform only makes none, but takes one back.
            if isinstance(component, dict) and len(component) > 1 and isinstance(component.get("platform"), str):
                yield key, component["platform"]
