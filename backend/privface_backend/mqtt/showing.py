"""Puts together what shows the household on the broker: the topics of its own, and other ways besides."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final

from privface_backend.domain.privacy import BLUR_METHOD, base_method
from privface_backend.mqtt.devices import Devices
from privface_backend.mqtt.double_take import DoubleTakeTopics
from privface_backend.mqtt.double_take_mirror import DoubleTakeMirror
from privface_backend.mqtt.home_assistant import HomeAssistant
from privface_backend.mqtt.layouts import DiscoveryTopics
from privface_backend.mqtt.left_overs import LeftOvers
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.projection import Follower, MqttProjection
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.settings import Settings


class Showing:
    """The projection of a link, with its followers. ``reach``: how the broker of the link is reached; ``links``: all
    connections that show anything."""

    def __init__(self, link: MqttLink, settings: Settings, reach: MqttSettings, instance_id: str) -> None:
        chosen = settings.mqtt
        devices = Devices(
            topics=link.topics,
            instance_id=instance_id,
            hold_seconds=settings.decision.hold_seconds,
            kernels=base_method(settings.privacy.method) == BLUR_METHOD,
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
        self.left_overs: Final = LeftOvers(link)
        followers: list[Follower] = [self._home_assistant, self.left_overs]
        if self._mirror is not None:
            followers.append(self._mirror)
        self.links: Final = (link,) if self._mirror_link is None else (link, self._mirror_link)
        self.projection: Final = MqttProjection(link, lambda: settings.privacy.parameter, followers)

    async def published(self) -> None:
        """Wait until the links have been handed what is shown of people."""
        await self._home_assistant.published()

    def tell_forgotten(self, person_id: str) -> None:
        """Somebody was forgotten while nobody was there to show it."""
        self._home_assistant.tell_forgotten(person_id)

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
