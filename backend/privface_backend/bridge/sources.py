"""Pictures that are fetched: by source plugins, as long as they are wanted, and again when a source is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, cast

from privface_backend.bridge.line import CameraLine
from privface_backend.bridge.pictures import PixelPicture
from privface_backend.bridge.settings import CameraFeed
from privface_backend.domain.backoff import Backoff
from privface_backend.domain.camera_address import read_camera_address
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.pipeline.links import owner_link
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.plugins.ports import EngineContext, Source, SourceState
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import FrameCard, FrameSource
from privface_backend.resolver import resolve_host

_LOGGER: Final = logging.getLogger(__name__)
BACKOFF: Final = Backoff(first=0.5, ceiling=30.0)


def check_address(camera: str, address: str) -> None:
    """Refuse an address that can't be a camera's, whatever its host turns out to be.

    Raises:
        SettingsError: with the setting's name.
    """
    try:
        read_camera_address(address)
    except ValueError as error:
        raise SettingsError([f"cameras.{camera}.address: {error}"]) from None


class SourceOpener:
    """Makes one camera's source, anew each time: so a host that moved is found again."""

    def __init__(
        self,
        camera: str,
        feed: CameraFeed,
        *,
        registry: Registry,
        limits: PictureLimits,
        clock: Callable[[], datetime],
    ) -> None:
        """Take over what to open; nothing is opened yet.

        Raises:
            SettingsError: the address can't be used.
        """
        self.camera: Final = camera
        self._feed: Final = feed
        self._registry: Final = registry
        self._limits: Final = limits
        self._clock: Final = clock
        if feed.address is not None:
            check_address(camera, feed.address)

    async def open(self, *, seconds: float | None, on_state: Callable[[SourceState], None]) -> Source:
        """The source. ``seconds``: when to end; None: when it is closed.

        Raises:
            PrivFaceError: ``link_not_allowed``, ``link_unreachable``, ``engine_unknown``, ``engine_missing``.
        """
        name, options = await self._options()
        card = FrameCard(camera=self.camera, captured_at=self._clock(), source=FrameSource.LINK)
        common = {"card": card, "clock": self._clock, "seconds": seconds, "on_state": on_state}
        context = EngineContext(weights=NoWeights(), options={**common, **options})
        return cast("Source", self._registry.create(EngineKind.SOURCE, name, context))

    async def _options(self) -> tuple[str, dict[str, object]]:
        """The plugin's name, and what it alone is made with."""
        limits: dict[str, object] = {"max_bytes": self._limits.bytes, "max_pixels": self._limits.pixels}
        if self._feed.address is not None:
            link = await owner_link(self._feed.address, resolve_host)
            # Each time that it connects again: a camera may get another address from the home's router.
            address = {"address": link.address, "find_peer": self._find_peer, "snapshot_seconds": self._feed.interval}
            return "link", limits | address
        if self._feed.webcam is not None:
            return "webcam", {"index": self._feed.webcam}
        return "folder", limits | {"path": self._feed.folder}

    async def _find_peer(self) -> str:
        """Where the host of the address is now."""
        return (await owner_link(self._feed.address or "", resolve_host)).peer


class SourceFeed:
    """One camera's source, for its line."""

    def __init__(self, line: CameraLine, opener: SourceOpener, backoff: Backoff = BACKOFF) -> None:
        self._line: Final = line
        self._opener: Final = opener
        self._backoff: Final = backoff
        self._frames = 0

    async def run(self) -> None:
        """Fetch whenever pictures are wanted, until cancelled."""
        failures = 0
        while True:
            if self._line.wanted_for() <= 0:
                await self._line.wait(float("inf"))
                continue
            before = self._frames
            await self._read_while_wanted()
            failures = 0 if self._frames > before else failures + 1
            if self._line.wanted_for() > 0:
                await asyncio.sleep(self._backoff.delay(failures + 1))

    async def _read_while_wanted(self) -> None:
        reading = asyncio.create_task(self._read(), name=f"source of {self._line.camera}")
        try:
            while not reading.done() and (left := self._line.wanted_for()) > 0:
                changed = asyncio.create_task(self._line.wait(left))
                await asyncio.wait({reading, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            source = await self._opener.open(seconds=None, on_state=self._note)
            async with contextlib.aclosing(source.frames()) as frames:
                async for frame in frames:
                    self._frames += 1
                    self._line.offer(
                        PixelPicture(
                            camera=self._line.camera,
                            pixels=frame.pixels,
                            captured_at=frame.card.captured_at,
                            source=frame.card.source,
                            source_event_id=frame.card.source_event_id,
                        )
                    )
        except PrivFaceError as error:
            # What was lost while it was open has been logged by the source.
            level = logging.DEBUG if self._line.source == "lost" else logging.WARNING
            _LOGGER.log(level, "The source of %s can't be opened: %s", self._line.camera, error.message)
            self._line.note_source("lost")

    def _note(self, state: SourceState) -> None:
        self._line.note_source(state.state)
