"""A camera that takes longer than Home Assistant, and PrivFace, wait for it."""

import threading
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.cottage import KNOWN, NOBODY, UNKNOWN, Cottage

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAST_LOOK = "sensor.shed_last_look"


@pytest_asyncio.fixture(loop_scope="session")
async def garden(cottage: Cottage) -> AsyncIterator[str]:
    """Another camera, which takes a picture each second."""
    camera = await cottage.add_camera("Garden", interval=1)
    yield camera
    await cottage.home.call("switch.turn_off", entity_id=f"switch.{camera}_recognition")


async def test_it_is_given_up_while_others_go_on_and_comes_back(cottage: Cottage, garden: str) -> None:
    shed, gate = await cottage.add_camera("Shed"), threading.Event()
    await cottage.look(shed, KNOWN)
    await cottage.home.until_state(LAST_LOOK, "ok")
    cottage.show(shed, UNKNOWN, gate)
    frames, others, started = len(cottage.frames(shed)), len(cottage.frames(garden)), time.monotonic()
    await cottage.press(shed)
    longest = await _watch(cottage)
    assert 10 <= time.monotonic() - started < 15
    assert longest < 2, "the event loop was held"
    assert len(cottage.frames(garden)) - others >= 5
    assert cottage.home.log.count("can be sent (camera_slow)") == 1
    gate.set()  # the server answers now, to nobody
    cottage.show(shed, NOBODY)
    await cottage.press(shed)
    await cottage.answered(shed, frames)
    await cottage.home.until_state(LAST_LOOK, "no_face")
    assert len(cottage.frames(shed)) == frames + 1, "what came late, or an older picture, was sent"
    assert cottage.home.log.count("Pictures of camera.shed_lens can be sent again") == 1


async def _watch(cottage: Cottage) -> float:
    """Wait until the look is given up; the longest that Home Assistant took for an answer meanwhile, in seconds."""
    longest = 0.0

    async def given_up() -> bool:
        nonlocal longest
        asked = time.monotonic()
        state = await cottage.state(LAST_LOOK)
        longest = max(longest, time.monotonic() - asked)
        return bool(state["state"] == "camera_slow")

    await cottage.home.until(given_up, "the look isn't given up", 30)
    return longest
