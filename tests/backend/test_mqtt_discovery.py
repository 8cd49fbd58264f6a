"""What is told about REST on a real Mosquitto: to whom it may concern, retained, with each connection."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from privface_backend import __version__
from privface_backend.mqtt.discovery import keep_telling
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.protocol import API_VERSION, MIN_API_VERSION
from privface_backend.server import run_server
from privface_backend.settings_sections import DiscoverySettings, ServerSettings
from support.backend import make_settings
from support.mosquitto import Mosquitto, needs_mosquitto
from support.mqtt import FAST, Seen, Watcher, running, until, watching

pytestmark = needs_mosquitto

INSTANCE = "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def settings(broker: Mosquitto) -> MqttSettings:
    return MqttSettings(port=broker.port, base_topic=f"test/{uuid.uuid4().hex}")


@contextlib.asynccontextmanager
async def telling(link: MqttLink, find_url: Callable[[], Awaitable[str | None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_telling(link, INSTANCE, find_url))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def discovering(broker: Mosquitto, base: str = "privface") -> AsyncIterator[Watcher]:
    """A subscriber that comes now: what it is given at once was retained."""
    async with watching(broker.port, f"{base}/discovery/#") as watcher:
        yield watcher


async def first(watcher: Watcher) -> Seen:
    await until(lambda: watcher.seen)
    return watcher.seen[0]


async def nothing_retained(broker: Mosquitto, base: str) -> None:
    async with discovering(broker, base) as watcher:
        # What is retained comes with the subscription, before what is published after it.
        await watcher.client.publish(f"{base}/discovery/end", b"end", qos=1)
        assert (await first(watcher)).topic == f"{base}/discovery/end"


async def test_it_is_retained_for_those_who_come_later(broker: Mosquitto) -> None:
    chosen = settings(broker)

    async def find_url() -> str:
        return "http://192.168.1.5:8090"

    async with running(MqttLink(chosen, backoff=FAST)) as link, telling(link, find_url):
        async with discovering(broker, chosen.base_topic) as watcher:
            await first(watcher)
        async with discovering(broker, chosen.base_topic) as late:
            message = await first(late)
    assert message.retained
    assert message.topic == f"{chosen.base_topic}/discovery/{INSTANCE}"
    assert message.json == {
        "instance_id": INSTANCE,
        "url": "http://192.168.1.5:8090",
        "version": __version__,
        "api_version": API_VERSION,
        "min_api_version": MIN_API_VERSION,
    }


async def test_with_each_connection_it_is_told_again_as_it_is_then(broker: Mosquitto) -> None:
    chosen = settings(broker)
    urls = iter(["http://192.168.1.5:8090", "http://192.168.1.6:8090", None])
    looked_at = asyncio.Event()

    async def find_url() -> str | None:
        url = next(urls)
        if url is None:
            # What is taken back isn't kept for those who come later.
            await looked_at.wait()
        return url

    def latest(watcher: Watcher) -> Any:
        payloads = [message.payload and message.json["url"] for message in watcher.seen]
        return payloads[-1] if payloads else None

    async with running(MqttLink(chosen, backoff=FAST)) as link, telling(link, find_url):
        async with discovering(broker, chosen.base_topic) as watcher:
            await until(lambda: latest(watcher) == "http://192.168.1.5:8090")
        await asyncio.to_thread(broker.restart)
        async with discovering(broker, chosen.base_topic) as watcher:
            await until(lambda: latest(watcher) == "http://192.168.1.6:8090")
        await asyncio.to_thread(broker.restart)
        # No way to it any more: it is taken back.
        async with discovering(broker, chosen.base_topic) as watcher:
            looked_at.set()
            await until(lambda: latest(watcher) == b"")
        await nothing_retained(broker, chosen.base_topic)


async def test_a_link_that_is_there_already_is_told_at_once(broker: Mosquitto) -> None:
    chosen = settings(broker)

    async def find_url() -> str:
        return "http://127.0.0.1:1"

    async with running(MqttLink(chosen, backoff=FAST)) as link:
        await link.wait_connected(10)
        async with telling(link, find_url), discovering(broker, chosen.base_topic) as watcher:
            assert (await first(watcher)).json["url"] == "http://127.0.0.1:1"


@contextlib.asynccontextmanager
async def serving(
    directory: Path,
    broker: Mosquitto,
    discovery: DiscoverySettings | None = None,
    host: str = "127.0.0.1",
    *,
    home_assistant: bool = False,
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A service on a free port; its instance's id and what stands in its run file."""
    chosen = make_settings(
        directory,
        server=ServerSettings(host=host, port=0),
        mqtt=MqttSettings(port=broker.port, home_assistant=home_assistant),
        broker_configured=True,
        discovery=discovery or DiscoverySettings(zeroconf=False),
    )
    async with run_server(chosen) as (backend, run):
        yield backend.core.instance_id, run


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # what is tested
async def test_a_service_tells_the_port_that_it_was_given(tmp_path: Path, broker: Mosquitto, host: str) -> None:
    async with serving(tmp_path, broker, host=host) as (instance, run), discovering(broker) as watcher:
        message = await first(watcher)
        assert message.topic == f"privface/discovery/{instance}"
        assert message.json["instance_id"] == instance
        # The broker is on loopback, too.
        assert message.json["url"] == f"http://127.0.0.1:{run['port']}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {run['token']}"}) as session,
            session.get(f"{message.json['url']}/api/v1/info") as response,
        ):
            assert (await response.json())["instance_id"] == instance


async def test_an_address_that_was_set_is_told_as_it_is(tmp_path: Path, broker: Mosquitto) -> None:
    discovery = DiscoverySettings(zeroconf=False, url="https://home.example:8443/faces")
    async with serving(tmp_path, broker, discovery), discovering(broker) as watcher:
        assert (await first(watcher)).json["url"] == "https://home.example:8443/faces"


async def test_switched_off_it_takes_back_what_was_told(tmp_path: Path, broker: Mosquitto) -> None:
    async with serving(tmp_path, broker), discovering(broker) as watcher:
        await first(watcher)
    async with discovering(broker) as watcher:
        assert (await first(watcher)).retained
        async with serving(tmp_path, broker, DiscoverySettings(zeroconf=False, mqtt=False)):
            await until(lambda: watcher.seen[-1].payload == b"")
    await nothing_retained(broker, "privface")


async def test_a_home_that_is_shown_devices_is_not_offered_the_integration_too(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with serving(tmp_path, broker), discovering(broker) as watcher:
        await first(watcher)
    async with discovering(broker) as watcher:
        assert (await first(watcher)).retained
        async with serving(tmp_path, broker, home_assistant=True):
            await until(lambda: watcher.seen[-1].payload == b"")
    await nothing_retained(broker, "privface")
