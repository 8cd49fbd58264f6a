"""The announcement by zeroconf, seen by another one on this computer's loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from zeroconf import ServiceListener, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from privface_backend import __version__
from privface_backend.discovery.addresses import Listening, announced_addresses
from privface_backend.discovery.announcement import Announcement, announced, keep_announced
from privface_backend.protocol import API_VERSION, ZEROCONF_TYPE
from privface_backend.server import run_server
from privface_backend.settings import Settings
from privface_backend.settings_sections import DiscoverySettings, ServerSettings
from support.backend import make_settings, until

# Others may run these tests at the same time: each run has addresses and names of its own. Two addresses are as two
# computers: each has a port 5353 of its own.
HERE, THERE = ((f"127.{number}.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}",) for number in (11, 12))
# Of another network (RFC 5737).
ELSEWHERE = ("198.51.100.7",)
EVERYWHERE = "0.0.0.0"  # noqa: S104  # what is tested needs it
NETWORK = announced_addresses(Listening(EVERYWHERE, 1))


class Browser(ServiceListener):
    """Who is there, by name, and how often each came and went."""

    def __init__(self, network: AsyncZeroconf) -> None:
        self._network = network
        self.there: set[str] = set()
        self.gone: list[str] = []

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002  # zeroconf's signature
        self.there.add(name.removesuffix(f".{ZEROCONF_TYPE}"))

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:  # noqa: ARG002  # zeroconf's signature
        self.there.discard(name.removesuffix(f".{ZEROCONF_TYPE}"))
        self.gone.append(name.removesuffix(f".{ZEROCONF_TYPE}"))

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        pass

    async def ask(self, name: str) -> AsyncServiceInfo:
        info = await self._network.async_get_service_info(ZEROCONF_TYPE, f"{name}.{ZEROCONF_TYPE}")
        assert info is not None
        return info


@contextlib.asynccontextmanager
async def browsing(*addresses: str) -> AsyncIterator[Browser]:
    network = AsyncZeroconf(interfaces=list(addresses or HERE))
    browser = Browser(network)
    try:
        await network.async_add_service_listener(ZEROCONF_TYPE, browser)
        yield browser
    finally:
        await network.async_close()


def new(port: int = 8090) -> Announcement:
    return Announcement(instance_id=str(uuid.uuid4()), port=port)


def name_of(announcement: Announcement) -> str:
    return f"PrivFace {announcement.instance_id[:6]}"


@contextlib.asynccontextmanager
async def keeping(find: Callable[[], tuple[str, ...]]) -> AsyncIterator[str]:
    """Announced for the length of the block, under this name."""
    announcement = new()
    task = asyncio.create_task(keep_announced(announcement, find, check_seconds=0.01))
    try:
        yield name_of(announcement)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """The level and the first words of what was logged, debug aside."""
    return [
        (record.levelname, " ".join(record.getMessage().split()[:4]))
        for record in caplog.records
        if record.levelno > logging.DEBUG and record.name.startswith(("privface", "zeroconf"))
    ]


async def test_it_is_found_with_what_it_says_and_seen_to_leave() -> None:
    announcement = new(8123)
    async with browsing() as browser:
        async with announced(announcement, HERE) as name:
            assert name == name_of(announcement)
            await until(lambda: name in browser.there)
            info = await browser.ask(name)
            assert info.port == 8123
            assert info.parsed_addresses() == list(HERE)
            assert info.decoded_properties == {
                "instance_id": announcement.instance_id,
                "version": __version__,
                "api_version": str(API_VERSION),
                "path": "/",
            }
        # Not by its time running out: that would take more than an hour.
        await until(lambda: name not in browser.there)


async def test_a_name_that_is_taken_gets_a_number() -> None:
    first, second = new(1), new(2)
    second = replace(second, instance_id=first.instance_id[:6] + second.instance_id[6:])
    names = {name_of(first), f"{name_of(first)}-2"}
    async with browsing() as browser, announced(first, HERE) as one:
        async with announced(second, THERE) as other:
            assert {one, other} == names
            await until(lambda: names <= browser.there)
            assert [(await browser.ask(name)).port for name in (one, other)] == [1, 2]
        await until(lambda: other not in browser.there)
        assert one in browser.there


async def test_a_network_that_fails_or_comes_later_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = 0
    addresses: tuple[str, ...] = ()

    def find() -> tuple[str, ...]:
        nonlocal asked
        asked += 1
        return addresses

    async with browsing() as browser, keeping(find) as name:
        await until(lambda: asked > 3)
        addresses, asked = ELSEWHERE, 0
        await until(lambda: asked > 3)
        assert told(caplog) == [("WARNING", "PrivFace can't be announced")]
        addresses = HERE
        await until(lambda: name in browser.there)
        await until(lambda: len(told(caplog)) > 1)
        assert told(caplog)[1:] == [("INFO", "Announced on the network")]


async def test_it_follows_when_the_address_changes() -> None:
    addresses = HERE
    async with browsing() as browser, keeping(lambda: addresses) as name:
        await until(lambda: name in browser.there)
        addresses = THERE
        await until(lambda: name in browser.gone)
        await until(lambda: name in browser.there)
        assert (await browser.ask(name)).parsed_addresses() == list(THERE)


async def test_cancelled_at_any_moment_it_ends_and_leaves_nothing() -> None:
    left = set()
    async with browsing() as browser:
        # Before anything, while it looks for others of its name, while it is told, after.
        for seconds in (0.0, 0.001, 0.3, 1.0, 2.0):
            async with keeping(lambda: HERE) as name:
                await asyncio.sleep(seconds)
            # Of a name that was told, the browser hears before it hears of the next one.
            left.add(name)
        async with announced(new(), HERE) as last:
            await until(lambda: last in browser.there)
        assert not left & browser.there
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


def on(directory: Path, host: str, *, zeroconf: bool = True) -> Settings:
    server = ServerSettings(host=host, port=0)
    return make_settings(directory, server=server, discovery=DiscoverySettings(zeroconf=zeroconf))


@pytest.mark.skipif(not NETWORK, reason="this computer is in no network")
async def test_a_service_for_all_is_announced_with_its_port_for_as_long_as_it_runs(tmp_path: Path) -> None:
    async with browsing(*NETWORK) as browser:
        async with run_server(on(tmp_path, EVERYWHERE)) as (backend, run):
            name = f"PrivFace {backend.core.instance_id[:6]}"
            await until(lambda: name in browser.there)
            info = await browser.ask(name)
            assert info.port == run["port"]
            assert info.parsed_addresses() == list(NETWORK)
            assert info.decoded_properties["instance_id"] == backend.core.instance_id
            assert re.fullmatch(r"privface-[0-9a-f-]+\.local\.", info.server or "")
        await until(lambda: name not in browser.there)


@pytest.mark.parametrize(("host", "zeroconf"), [("127.0.0.1", True), (EVERYWHERE, False)])
async def test_a_service_for_this_computer_alone_or_with_the_setting_off_is_not(
    tmp_path: Path, host: str, zeroconf: bool
) -> None:
    async with run_server(on(tmp_path, host, zeroconf=zeroconf)):
        assert "zeroconf" not in names_of_tasks()
    if NETWORK:
        async with run_server(on(tmp_path, EVERYWHERE)):
            assert "zeroconf" in names_of_tasks()
