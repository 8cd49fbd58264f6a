"""Topics with one level that names the camera. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from privface_backend.bridge.settings import CAMERA_LEVEL


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A pattern such as ``cameras/{camera}/snapshot``, checked before (``settings.pattern_problem``)."""

    text: str

    @property
    def topic_filter(self) -> str:
        """The MQTT filter that lets its topics in."""
        return self.text.replace(CAMERA_LEVEL, "+")

    def camera(self, topic: str) -> str | None:
        """The camera that a topic names; None: the topic is not one of these."""
        wanted, given = self.text.split("/"), topic.split("/")
        if len(wanted) != len(given):
            return None
        name: str | None = None
        for pattern, level in zip(wanted, given, strict=True):
            if pattern == CAMERA_LEVEL:
                name = level
            elif pattern != level:
                return None
        return name or None
