"""What a backend shows to Home Assistant's MQTT discovery, as a subscriber sees it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from privface_backend.mqtt.settings import DiscoveryLayout, MqttSettings
from privface_backend.mqtt.status import LinkState
from support.backend import Api, picture, running
from support.mosquitto import Mosquitto
from support.mqtt import Watcher, until, watching

PEOPLE = "/api/v1/people/{person}"
CAMERAS = "/api/v1/cameras/{camera}"


@contextlib.asynccontextmanager
async def showing(
    directory: Path,
    broker: Mosquitto,
    *,
    on: bool = True,
    layout: DiscoveryLayout = DiscoveryLayout.DEVICES,
    client_id: str = "",
    **sections: Any,
) -> AsyncIterator[Api]:
    """A backend that is connected to the broker."""
    settings = MqttSettings(port=broker.port, home_assistant=on, home_assistant_layout=layout, client_id=client_id)
    async with running(directory, mqtt=settings, broker_configured=True, **sections) as api:
        await until(lambda: api.backend.link.status.state is LinkState.CONNECTED)
        yield api


class Home:
    """What Home Assistant knows by what was published."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    @property
    def messages(self) -> dict[str, Any]:
        """What stands on each discovery topic that isn't cleared."""
        last = {message.topic: message for message in self.watcher.seen}
        return {
            topic: message.json
            for topic, message in last.items()
            if topic.startswith("homeassistant/device/") and message.payload
        }

    @property
    def devices(self) -> dict[str, Any]:
        """The components of each device, by its name."""
        children = [child for message in self.messages.values() for child in message.get("child_devices", ())]
        own = {message["device"]["name"]: message["components"] for message in self.messages.values()}
        return own | {child["name"]: child["components"] for child in children}

    async def until_devices(self, *names: str) -> None:
        await until(lambda: set(self.devices) == set(names))


@contextlib.asynccontextmanager
async def home(broker: Mosquitto) -> AsyncIterator[Home]:
    """A subscriber of everything."""
    async with watching(broker.port, "#") as watcher:
        yield Home(watcher)


async def frame(api: Api, *identities: int, camera: str = "Front door", source: str = "mqtt") -> None:
    """Send a frame that comes alone."""
    card = f'{{"more": false, "source": "{source}"}}'
    headers = {"Content-Type": "image/png", "X-PrivFace-Frame-Card": card}
    assert (await api.frame(camera, picture(*identities), headers=headers)).status == 200


async def remove(api: Api, camera: str) -> int:
    """Remove a camera; the answer's status."""
    return (await api.call("DELETE", f"/api/v1/cameras/{camera}", pattern=CAMERAS)).status
