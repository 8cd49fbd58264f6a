"""A ``Frigate`` that runs for the length of a block, and what it hands on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from privface_backend.bridge.pictures import Picture
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.frigate.client import ClientLimits
from privface_backend.frigate.service import Frigate
from privface_backend.frigate.settings import FrigateSettings
from support.backend import encode
from support.frigate_server import make_event
from support.mqtt import FAST

QUICK: Final = ClientLimits(seconds=5.0, connect_seconds=5.0, login_pause=0.0)


@dataclass
class SetClock:
    """Seconds that pass when a test says so, beside those that do."""

    started: float
    ahead: float = 0.0
    real: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())

    def __call__(self) -> float:
        return self.real() + self.ahead


@dataclass
class Following:
    """What runs, and what came of it."""

    frigate: Frigate
    passed: SetClock
    pictures: list[Picture] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, kind: str, event_id: str, **keys: Any) -> None:
        self.take("events", make_event(kind, event_id, **keys))

    def take(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        self.frigate.take(f"frigate/{topic}", payload, retained)

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, and have everybody look at the clock."""
        self.passed.ahead += seconds
        self.take("available", b"online")

    @property
    def shades(self) -> list[tuple[str | None, bytes, bool | None]]:
        return [(picture.source_event_id, picture.data, picture.more) for picture in self.pictures]

    def count(self, name: str) -> int:
        return self.frigate.status().get(name, 0)


@contextlib.asynccontextmanager
async def following(
    settings: FrigateSettings, cameras: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Following]:
    """It runs when the block begins; when it ends, no task of its may be left."""
    before = asyncio.all_tasks()
    pictures: list[Picture] = []
    ended: list[tuple[str, str]] = []
    passed = SetClock(asyncio.get_running_loop().time())
    frigate = Frigate(
        settings,
        **{
            "offer": pictures.append,
            "ended": lambda camera, event_id: ended.append((camera, event_id)),
            "clock": lambda: datetime.now(UTC),
            "limits": QUICK,
            "backoff": FAST,
            "monotonic": passed,
            "cameras": cameras or {},
            **options,
        },
    )
    running = asyncio.create_task(frigate.run())
    try:
        yield Following(frigate, passed, pictures, ended)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    left = asyncio.all_tasks() - before
    assert not {task.get_name() for task in left if task.get_name().startswith("frigate")}


def crop(identity: int, number: int) -> bytes:
    """A cut around somebody who walks: their face is elsewhere in each, and of another size."""
    frame = ground(640, 360)
    draw_face(frame, identity, (20, 400, 210, 90)[number % 4], (20, 150, 90)[number % 3], (150, 190, 170)[number % 3])
    return encode(frame, ".jpg")
