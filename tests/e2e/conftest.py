"""What the end-to-end tests use, and why they skip."""

import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.backend_process import ROOT, VARIABLE, find_interpreter
from support.chromium import find_chromium
from support.cottage import Cottage, furnished
from support.hass import HomeAssistant
from support.household import Household, move_in
from support.stage import Stage, UnreachableError, staged


def _has_network() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("224.0.0.251", 5353))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session", autouse=True)
def everything_there() -> None:
    """Skip where a program is missing that scripts/test would have installed."""
    missing = []
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None:
        missing.append("mosquitto (apt-get install mosquitto)")
    if find_chromium() is None:
        missing.append("chromium (apt-get install chromium fonts-liberation)")
    if find_interpreter() is None:
        missing.append(f"an interpreter with the backend (scripts/test makes .venv-test; or set {VARIABLE})")
    if not _has_network():
        # Its own client for HTTP sets zeroconf up, which fails there.
        missing.append("a network interface beside loopback, without which Home Assistant makes no connection")
    if missing:
        pytest.skip(f"not here: {', '.join(missing)}")


@pytest.fixture(scope="session")
def backend_python() -> Path:
    """The interpreter that has the backend."""
    python = find_interpreter()
    assert python is not None
    return python


# All share one event loop: homes that wait for their tests would be cut off while another loop runs.
@pytest_asyncio.fixture(loop_scope="session")
async def home(tmp_path: Path) -> AsyncIterator[HomeAssistant]:
    """A Home Assistant of the test's own."""
    async with HomeAssistant(tmp_path / "home") as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory, backend_python: Path) -> AsyncIterator[Stage]:
    """A home with everything but PrivFace's own entry, the same for all tests that ask for it."""
    models = Path(os.environ.get("PRIVFACE_MODELS_DIR") or ROOT / ".cache" / "models")
    try:
        async with staged(tmp_path_factory.mktemp("stage"), backend_python, models) as stage:
            yield stage
    except UnreachableError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def household(stage: Stage) -> Household:
    """The stage once PrivFace is set up in it."""
    return await move_in(stage)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cottage(tmp_path_factory: pytest.TempPathFactory, backend_python: Path) -> AsyncIterator[Cottage]:
    """A small home with PrivFace, to which tests bring their cameras."""
    async with furnished(tmp_path_factory.mktemp("cottage"), backend_python) as cottage:
        yield cottage
