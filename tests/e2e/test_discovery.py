"""Home Assistant finds the backend by what it says on a network: real mDNS between two hosts."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support.backend_process import SYNTHETIC, BackendProcess, Token
from support.hass import HomeAssistant
from support.network import Host, NoNetworkError, two_hosts

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTED = "binary_sensor.privface_connectivity"
SETTINGS = {**SYNTHETIC, "server__host": "0.0.0.0"}  # noqa: S104  # a network that only these tests have


@dataclass(kw_only=True)
class Lan:
    """Home Assistant on one host, and another one for backends."""

    home: HomeAssistant
    other: Host
    directory: Path
    python: Path

    def backend(self, port: int) -> BackendProcess:
        """The backend, always the same one, at this port."""
        return BackendProcess(self.directory / "backend", python=self.python, port=port, settings=SETTINGS)

    async def answer(self, flow: Mapping[str, Any], **answer: str) -> dict[str, Any]:
        """Fill a flow's form in; the result."""
        path = f"/api/config/config_entries/flow/{flow['flow_id']}"
        result: dict[str, Any] = await self.home.request("POST", path, answer)
        return result

    async def entry_state(self) -> str:
        """The state of the one entry."""
        (entry,) = await self.home.command("config_entries/get", domain="privface")
        return str(entry["state"])


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts on a network of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/usr/sbin:/sbin", prepend=":")
        try:
            with two_hosts() as hosts:
                yield hosts
        except NoNetworkError as error:
            pytest.skip(f"no network of its own here: {error}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lan(
    hosts: tuple[Host, Host], tmp_path_factory: pytest.TempPathFactory, backend_python: Path
) -> AsyncIterator[Lan]:
    """Home Assistant on such a network, alone so far."""
    directory = tmp_path_factory.mktemp("lan")
    async with HomeAssistant(directory / "home", more="zeroconf:\n", host=hosts[0]) as home:
        yield Lan(home=home, other=hosts[1], directory=directory, python=backend_python)


async def test_it_is_found_added_and_followed(lan: Lan) -> None:
    before, after = lan.backend(8090), lan.backend(8123)
    try:
        await lan.other.run(before.start)
        await _add(lan, await lan.other.run(before.create_token))
        await lan.other.run(before.stop)
        await lan.home.until_state(CONNECTED, "off")
        lan.other.move(3)
        await lan.other.run(after.start)
        await _follow(lan)
    finally:
        for backend in (before, after):
            await lan.other.run(backend.stop)
    assert " ERROR (MainThread) [custom_components.privface" not in lan.home.log


async def _add(lan: Lan, token: Token) -> None:
    flow = await lan.home.until_discovered("privface", "discovery_confirm")
    assert flow["context"]["source"] == "zeroconf"
    assert flow["context"]["title_placeholders"]["name"] == "192.168.77.2:8090"
    assert (await lan.answer(flow, token="wrong"))["errors"] == {"base": "invalid_auth"}
    added = await lan.answer(flow, token=token.text)
    assert added["type"] == "create_entry", added
    await lan.home.until_state(CONNECTED, "on")
    assert await lan.entry_state() == "loaded"


async def _follow(lan: Lan) -> None:
    """The token goes to the new address once somebody has said that it may."""
    flow = await lan.home.until_discovered("privface", "discovery_moved")
    assert (await lan.home.states())[CONNECTED]["state"] == "off"
    form = await lan.home.request("GET", f"/api/config/config_entries/flow/{flow['flow_id']}")
    named = form["description_placeholders"]
    assert (named["old"], named["url"]) == ("http://192.168.77.2:8090", "http://192.168.77.3:8123")
    assert (await lan.answer(flow))["reason"] == "address_changed"
    await lan.home.until_state(CONNECTED, "on")
    assert await lan.entry_state() == "loaded"
