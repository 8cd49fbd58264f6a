"""This computer's cameras, with a device in place of OpenCV's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from privface_backend.domain.frames import Pixels
from privface_backend.engines.sources.webcam import WebcamSource
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.plugins.ports import EngineContext, Source
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import ErrorCode, FrameCard
from support.backend import until

START = datetime(2026, 11, 23, 8, 15, 30, tzinfo=UTC)
CARD = FrameCard(camera="webcam-0", captured_at=START)


class Device:
    """A webcam: its frames' brightness is their number."""

    def __init__(self, *, opens: bool = True, most: int = 1_000_000) -> None:
        self.read_frames, self.released, self.index = 0, False, -1
        self._opens, self._most = opens, most
        self._tick = threading.Event()

    def open(self, index: int) -> cv2.VideoCapture:
        self.index = index
        return cast("cv2.VideoCapture", self)

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self._opens

    def set(self, _setting: int, _value: float) -> bool:
        return True

    def read(self) -> tuple[bool, Pixels | None]:
        self._tick.wait(0.002)
        if self.read_frames >= self._most:
            return False, None
        self.read_frames += 1
        return True, np.full((24, 32, 3), self.read_frames % 250, dtype=np.uint8)

    def release(self) -> None:
        self.released = True


def webcam(open_device: Callable[[int], Any], seconds: int = 30) -> WebcamSource:
    return WebcamSource(index=0, card=CARD, seconds=seconds, clock=lambda: START, open_device=open_device)


async def test_the_newest_frame_comes_and_closing_releases_the_camera() -> None:
    device = Device()
    async with aclosing(webcam(device.open).frames()) as frames:
        first = await anext(frames)
        await until(lambda: device.read_frames > first.index + 20)
        await anext(frames)
        third = await anext(frames)
    assert third.index >= first.index + 20
    assert device.released
    assert device.index == 0


async def test_it_ends_with_its_time() -> None:
    device = Device()
    assert len([frame async for frame in webcam(device.open, seconds=1).frames()]) > 2
    assert device.released


async def test_a_camera_that_cannot_be_opened_is_unreachable() -> None:
    device = Device(opens=False)
    with pytest.raises(PrivFaceError) as caught:
        await anext(webcam(device.open).frames())
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
    assert device.released


async def test_a_camera_that_gives_no_frame_is_unreachable() -> None:
    device = Device(most=0)
    with pytest.raises(PrivFaceError) as caught:
        await anext(webcam(device.open).frames())
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
    assert device.released


async def test_a_camera_that_is_pulled_out_keeps_what_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(most=3)
    frames = [frame async for frame in webcam(device.open).frames()]
    assert 1 <= len(frames) <= 3
    assert device.released
    assert "ended early after 3 frames" in caplog.text


async def test_opencv_itself_finds_no_camera_at_a_wild_index(tmp_path: Path) -> None:
    options = {"index": 97, "card": CARD, "seconds": 3}
    made = Registry().create(
        EngineKind.SOURCE, "webcam", EngineContext(weights=WeightsStore(tmp_path), options=options)
    )
    assert isinstance(made, Source)
    with pytest.raises(PrivFaceError) as caught:
        await anext(made.frames())
    assert caught.value.code is ErrorCode.LINK_UNREACHABLE
