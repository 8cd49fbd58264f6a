"""What the tests of examples/node-red use, and why they skip."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from support.backend_process import VARIABLE, find_interpreter
from support.chromium import find_chromium
from support.node_red import find_node_red
from support.workshop import Workshop, opened


@pytest.fixture(scope="session", autouse=True)
def everything_there() -> None:
    """Skip where a program is missing that scripts/test would have installed."""
    missing = []
    if find_node_red() is None:
        missing.append("Node-RED (scripts/test node_red installs it where npm and a network are)")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None:
        missing.append("mosquitto (apt-get install mosquitto)")
    if find_interpreter() is None:
        missing.append(f"an interpreter with the backend (scripts/test makes .venv-test; or set {VARIABLE})")
    if missing:
        pytest.skip(f"not here: {', '.join(missing)}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def workshop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workshop]:
    """One for all tests: each deploys its flow."""
    python = find_interpreter()
    assert python is not None
    async with opened(tmp_path_factory.mktemp("workshop"), python) as workshop:
        yield workshop


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium fonts-liberation")
    async with async_playwright() as playwright:
        # Chromium's own sandbox doesn't start as root.
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()
