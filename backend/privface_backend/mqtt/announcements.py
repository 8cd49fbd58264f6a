"""What stands on Home Assistant's discovery topics as devices come and go. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from privface_backend.mqtt.devices import Device
from privface_backend.mqtt.layouts import Document, Layout, platforms, read_document
from privface_backend.mqtt.topics import encode_json

_MOST_TAKEN_BACK: Final = 500
"""How many components a message takes back at most; the oldest go first. Home Assistant needs to be told once."""


class Announcements:
    """The devices that are shown, as the messages of a layout.

    Home Assistant keeps an entity whose component is merely left out of an updated message. So a component that was in
    a message and isn't any more, be it since an earlier run, stands there with nothing but its platform.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout: Final = layout
        self._devices: Final[dict[str, Device]] = {}
        self._made: Final[dict[str, dict[str, str]]] = {}
        self._taken_back: Final[dict[str, dict[str, str]]] = {}

    def show(self, device: Device) -> None:
        """Show a device, a new one or one that has changed."""
        self._devices[device.key] = device

    def drop(self, key: str) -> None:
        """Show a device no longer."""
        self._devices.pop(key, None)

    def holds(self, topic: str) -> bool:
        """Whether a message of this layout may stand on a topic."""
        return self._layout.holds(topic)

    def find(self, topic: str, payload: bytes) -> bool:
        """Take note of what stands on a topic; False: nothing is to stand there."""
        if topic not in {self._layout.topic(key) for key in self._devices}:
            return False
        self._made.setdefault(topic, {}).update(platforms(read_document(payload)))
        return True

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """What is to stand on each topic now; empty clears it."""
        documents = self._layout.documents(self._devices.values())
        for topic in self._made.keys() - documents.keys():
            del self._made[topic]
            self._taken_back.pop(topic, None)
            yield topic, b""
        for topic, document in documents.items():
            self._take_back(topic, document)
            yield topic, encode_json(document)

    def _take_back(self, topic: str, document: Document) -> None:
        now = platforms(document)
        gone = {**self._taken_back.get(topic, {}), **self._made.get(topic, {})}
        kept = [(key, platform) for key, platform in gone.items() if key not in now][-_MOST_TAKEN_BACK:]
        self._made[topic], self._taken_back[topic] = now, dict(kept)
        document["components"] |= {key: {"platform": platform} for key, platform in kept}
