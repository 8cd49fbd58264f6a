"""Puts together what shows the household on the broker: the topics of its own, and other ways besides."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final

from privface_backend.mqtt.devices import Devices
from privface_backend.mqtt.double_take import DoubleTakeTopics
from privface_backend.mqtt.double_take_mirror import DoubleTakeMirror
from privface_backend.mqtt.home_assistant import HomeAssistant
from privface_backend.mqtt.layouts import DiscoveryTopics
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.projection import Follower, MqttProjection
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.settings import Settings


class Showing:
    """The projection of a link, with its followers. ``reach``: how the broker of the link is reached."""

    def __init__(self, link: MqttLink, settings: Settings, reach: MqttSettings, instance_id: str) -> None:
        chosen = settings.mqtt
        devices = Devices(
            topics=link.topics,
            instance_id=instance_id,
            hold_seconds=settings.decision.hold_seconds,
            kernels=settings.privacy.method == "gaussian",
        )
        engine = f"{settings.engines.detector}, {settings.engines.recognizer}"
        self._home_assistant: Final = HomeAssistant(
            link,
            devices,
            DiscoveryTopics(prefix=chosen.home_assistant_topic, node=devices.node),
            layout=chosen.home_assistant_layout if chosen.home_assistant else None,
            engine=engine,
        )
        self._mirror_link: Final = _open_mirror_link(chosen, reach) if chosen.double_take else None
        self._mirror: Final = (
            None
            if self._mirror_link is None
            else DoubleTakeMirror(self._mirror_link, DoubleTakeTopics(chosen.double_take_topic), now=time.monotonic)
        )
        followers: list[Follower] = [self._home_assistant]
        if self._mirror is not None:
            followers.append(self._mirror)
        self.projection: Final = MqttProjection(link, lambda: settings.privacy.parameter, followers)

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs in the background, by name."""
        yield "home assistant", self._home_assistant.run()
        yield "home assistant starts", self._home_assistant.greet()
        if self._mirror_link is not None and self._mirror is not None:
            yield "double take mqtt", self._mirror_link.run()
            yield "double take", self._mirror.run()


def _open_mirror_link(chosen: MqttSettings, reach: MqttSettings) -> MqttLink:
    """A connection with a last will of its own, and a client id that differs."""
    client_id = f"{reach.client_id}-double-take" if reach.client_id else ""
    return MqttLink(
        replace(reach, client_id=client_id),
        status_topic=DoubleTakeTopics(chosen.double_take_topic).available,
        quiet=True,
    )
