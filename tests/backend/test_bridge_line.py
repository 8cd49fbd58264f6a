"""One camera's line: the newest wins, nothing clear gets past a failure, every picture is counted once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from privface_backend.bridge.anonymizing import Workshop
from privface_backend.bridge.deliver import Answer, Wishes
from privface_backend.bridge.gate import GateRules
from privface_backend.bridge.line import CameraLine, LineParts
from privface_backend.bridge.pictures import PixelPicture
from privface_backend.bridge.strength import Strength
from privface_backend.domain.frames import Pixels
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.plugins.ports import EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import FrameCard, FrameSource
from support.bridge import until


class Receiver:
    """Takes pictures when a test lets it."""

    state = "reached"

    def __init__(self) -> None:
        self.cards: list[FrameCard] = []
        self.pixels: list[Pixels] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.answers: list[Answer] = []
        self.away_for = 0.0
        self.wanted = Wishes()

    def pack(self, pixels: Pixels) -> Pixels:
        return pixels

    async def send(self, card: FrameCard, packed: Pixels) -> Answer:
        self.cards.append(card)
        self.pixels.append(packed)
        await self.may_answer.wait()
        return self.answers.pop(0) if self.answers else Answer.TAKEN

    def wishes(self, camera: str) -> Wishes:
        assert camera == "door"
        return self.wanted

    def ready_in(self) -> float:
        return self.away_for

    async def keep_in_touch(self) -> None:
        """Nothing to keep."""


class BadAnonymizer:
    """A third party's engine that does what a test wants of it."""

    name, allowed = "gaussian", "anything"

    def __init__(self, work: Any) -> None:
        self._work = work

    def validate(self, parameter: int) -> None:
        """All are taken."""

    def sigma(self, parameter: int) -> float:
        return float(parameter)

    def parameter_for(self, sigma: float) -> int:
        return round(sigma)

    def apply(self, pixels: Pixels, parameter: int) -> Any:  # noqa: ARG002  # the port's signature
        return self._work(pixels)


class BadRegistry(Registry):
    """Has that engine alone."""

    def __init__(self, work: Any) -> None:
        super().__init__()
        self._work = work

    def create(
        self, kind: EngineKind, name: str, context: EngineContext, options: Mapping[str, object] | None = None
    ) -> Any:
        assert (kind, name, options) == (EngineKind.ANONYMIZER, "gaussian", None)
        assert context is not None
        return BadAnonymizer(self._work)


@contextlib.asynccontextmanager
async def running(
    receiver: Receiver, *, registry: Registry | None = None, keep: float = 10.0, **rules: Any
) -> AsyncIterator[CameraLine]:
    with ThreadPoolExecutor(2) as pool:
        workshop = Workshop(
            registry=registry or Registry(), limits=PictureLimits(pixels=1_000_000), keep=timedelta(seconds=keep)
        )
        parts = LineParts(workshop=workshop, deliver=receiver, pool=pool, keep_seconds=keep)
        line = CameraLine(
            "door", GateRules(**{"interval": 0.0, **rules}), Strength(method="gaussian", parameter=9), parts
        )
        task = asyncio.create_task(line.run())
        try:
            yield line
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def picture(shade: int, side: int = 32) -> PixelPicture:
    pixels = np.full((side, side, 3), shade, np.uint8)
    return PixelPicture(camera="door", pixels=pixels, captured_at=datetime.now(UTC), source=FrameSource.LINK)


def shades(receiver: Receiver) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in receiver.pixels]


def assert_all_counted(line: CameraLine) -> None:
    counts = line.counts
    assert counts.received == (
        counts.replaced + counts.unwanted + counts.stale + counts.refused + counts.sent + counts.failed
    )


async def test_while_one_is_sent_the_newest_of_the_others_waits() -> None:
    receiver = Receiver()
    receiver.may_answer.clear()
    async with running(receiver) as line:
        line.offer(picture(1))
        await until(lambda: shades(receiver) == [1])
        for shade in range(2, 6):
            line.offer(picture(shade))
        receiver.may_answer.set()
        await until(lambda: line.counts.sent == 2)
        assert shades(receiver) == [1, 5]
        assert line.counts.replaced == 3
        assert_all_counted(line)


async def test_what_nobody_took_is_tried_again_unless_a_newer_one_waits() -> None:
    receiver = Receiver()
    receiver.answers = [Answer.AWAY]
    async with running(receiver) as line:
        line.offer(picture(1))
        await until(lambda: line.counts.sent == 1)
        assert shades(receiver) == [1, 1]
        receiver.answers, receiver.away_for = [Answer.AWAY], 0.0
        receiver.may_answer.clear()
        line.offer(picture(2))
        await until(lambda: shades(receiver) == [1, 1, 2])
        receiver.away_for = 60.0
        receiver.may_answer.set()
        line.offer(picture(3))
        await until(lambda: line.counts.replaced == 1)
        receiver.away_for = 0.0
        line.offer(picture(4))
        await until(lambda: line.counts.sent == 2)
        assert shades(receiver) == [1, 1, 2, 4]
        assert_all_counted(line)


async def test_nothing_is_kept_longer_than_it_is_of_use() -> None:
    receiver = Receiver()
    receiver.away_for = 60.0
    async with running(receiver, keep=0.05) as line:
        line.offer(picture(1))
        await until(lambda: line.counts.stale == 1)
        receiver.away_for = 0.0
        line.offer(picture(2))
        await until(lambda: line.counts.sent == 1)
        assert shades(receiver) == [2]
        assert_all_counted(line)


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (Answer.TAKEN, {"sent": 1}),
        (Answer.SUPERSEDED, {"sent": 1, "superseded": 1}),
        (Answer.DISABLED, {"sent": 1, "disabled": 1}),
        (Answer.REFUSED, {"failed": 1}),
    ],
)
async def test_each_answer_is_counted(answer: Answer, counted: dict[str, int]) -> None:
    receiver = Receiver()
    receiver.answers = [answer]
    async with running(receiver) as line:
        line.offer(picture(1))
        await until(lambda: line.counts.sent + line.counts.failed == 1)
        assert {name: count for name, count in line.counts.to_dict().items() if count and name != "received"} == counted
        assert_all_counted(line)


def _fail(_pixels: Pixels) -> Pixels:
    raise ValueError("it holds a picture")


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(_fail, id="raises"),
        pytest.param(lambda pixels: pixels, id="gives the picture back"),
        pytest.param(lambda pixels: pixels[:, :-1].copy(), id="gives another size"),
        pytest.param(lambda pixels: pixels.astype(np.float32), id="gives another type"),
        pytest.param(lambda _pixels: None, id="gives nothing"),
    ],
)
async def test_nothing_clear_gets_past_an_anonymizer_that_fails(work: Any, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    async with running(receiver, registry=BadRegistry(work)) as line:
        for refused, side in enumerate((32, 700), start=1):
            line.offer(picture(1, side))
            await until(lambda n=refused: line.counts.refused == n)
        assert receiver.cards == []
        assert_all_counted(line)
    assert len([record for record in caplog.records if "anonymizer_failed" in record.getMessage()]) == 1
    assert "it holds a picture" not in caplog.text


async def test_a_camera_that_is_switched_off_meanwhile_sends_nothing() -> None:
    receiver, entered, go = Receiver(), threading.Event(), threading.Event()

    def work(pixels: Pixels) -> Pixels:
        entered.set()
        assert go.wait(30)
        return pixels.copy()

    async with running(receiver, registry=BadRegistry(work)) as line:
        line.offer(picture(1))
        await until(entered.is_set)
        line.offer(picture(2))
        line.follow(enabled=False)
        go.set()
        await until(lambda: line.counts.unwanted == 2)
        assert receiver.cards == []
        assert_all_counted(line)


async def test_what_has_too_many_pixels_is_refused() -> None:
    receiver = Receiver()
    async with running(receiver) as line:
        line.offer(picture(1, side=1001))
        await until(lambda: line.counts.refused == 1)
        assert_all_counted(line)


async def test_the_receivers_own_word_is_followed_within_the_owners_limits() -> None:
    receiver = Receiver()
    receiver.wanted = Wishes(enabled=True, kernel=33)
    async with running(receiver) as line:
        line.offer(picture(1))
        await until(lambda: line.counts.sent == 1)
        receiver.wanted = Wishes(enabled=True, kernel=3)
        line.offer(picture(1))
        await until(lambda: line.counts.sent == 2)
        receiver.wanted = Wishes(enabled=False)
        await until(lambda: not line.gate.enabled)
        receiver.wanted = replace(receiver.wanted, enabled=True)
        await until(lambda: line.gate.enabled)
    assert [card.privacy and card.privacy.parameter for card in receiver.cards] == [33, 9]
