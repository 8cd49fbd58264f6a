"""How to reach Frigate, and what of it to follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class PictureWay(StrEnum):
    """How Frigate's pictures come: asked for over HTTP, or as it publishes them over MQTT."""

    HTTP = "http"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrigateSettings:
    """Where Frigate is and what of it is looked at.

    ``topic``: what its MQTT topics start with; ``url``: its web address, with port 8971 (which wants ``username`` and
    ``password``) or 5000 (which doesn't); ``verify_tls`` off takes any certificate; ``zones``: only objects that have
    been in one of these, none for all; ``interval``: seconds between two looks at one object; ``crop``: the object
    alone, or the whole picture; ``sub_labels``: write names back.
    """

    enabled: bool = False
    topic: str = "frigate"
    url: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    verify_tls: bool = True
    pictures: PictureWay = PictureWay.HTTP
    labels: tuple[str, ...] = ("person",)
    zones: tuple[str, ...] = ()
    interval: float = 1.0
    crop: bool = True
    sub_labels: bool = False

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with these settings together: the key, and what it needs."""
        levels = self.topic.split("/")
        if not all(level and level.isprintable() for level in levels) or any(sign in self.topic for sign in "+#"):
            yield "topic", "allowed: levels that are not empty, between slashes, without + and #"
        if not all(label and label.isprintable() and not any(sign in label for sign in "/+#") for label in self.labels):
            yield "labels", "allowed: names of objects, without /, + and #"
        if not self.labels:
            yield "labels", "needs one at least, such as person"
        if bool(self.username) != bool(self.password):
            yield (
                ("password", "needs frigate.username too")
                if self.password
                else ("username", "needs frigate.password too")
            )
        if self.enabled and not self.url and (self.sub_labels or self.pictures is PictureWay.HTTP):
            yield "enabled", "needs frigate.url, such as http://192.168.1.10:5000, or frigate.pictures: mqtt alone"
