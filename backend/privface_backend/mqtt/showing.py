"""Puts together what shows the household on the broker: the topics of its own, and other ways besides."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any, Final

from privface_backend.mqtt.devices import Devices
from privface_backend.mqtt.home_assistant import HomeAssistant
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.projection import MqttProjection
from privface_backend.settings import Settings


class Showing:
    """The projection of a link, with its followers."""

    def __init__(self, link: MqttLink, settings: Settings, instance_id: str) -> None:
        chosen = settings.mqtt
        devices = Devices(
            topics=link.topics,
            prefix=chosen.home_assistant_topic,
            instance_id=instance_id,
            hold_seconds=settings.decision.hold_seconds,
            kernels=settings.privacy.method == "gaussian",
        )
        engine = f"{settings.engines.detector}, {settings.engines.recognizer}"
        self._home_assistant: Final = HomeAssistant(link, devices, enabled=chosen.home_assistant, engine=engine)
        followers = [self._home_assistant]
        self.projection: Final = MqttProjection(link, lambda: settings.privacy.parameter, followers)

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs in the background, by name."""
        yield "home assistant", self._home_assistant.run()
