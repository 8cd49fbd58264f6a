"""Pictures that are fetched: by source plugins, as long as they are wanted, and again when a source is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, cast

from privface_backend.bridge.line import CameraLine
from privface_backend.bridge.pictures import PixelPicture
from privface_backend.bridge.settings import CameraFeed
from privface_backend.domain.backoff import Backoff
from privface_backend.errors import PrivFaceError, SettingsError
from privface_backend.pipeline.links import AddressLink, LinkPolicy
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.plugins.ports import EngineContext, Source, SourceState
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import FrameCard, FrameSource
from privface_backend.settings import LinkSettings

_LOGGER: Final = logging.getLogger(__name__)
BACKOFF: Final = Backoff(first=0.5, ceiling=30.0)


async def resolve_host(host: str) -> Sequence[str]:
    """The IP addresses of a host's name, as this computer finds them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def address_policy(camera: str, address: str) -> LinkPolicy:
    """Decides about one camera's address, which its owner has allowed by setting it.

    Raises:
        SettingsError: it can't be used.
    """
    # A star at its end would make it an entry for several addresses.
    with contextlib.suppress(SettingsError):
        if not address.endswith("*"):
            return LinkPolicy(LinkSettings(allow=(address,)), resolve_host)
    raise SettingsError(
        [f"cameras.{camera}.address: expected rtsp, rtsps, http or https://host/path, and no metadata address"]
    )


class SourceFeed:
    """One camera's source, made anew each time that it is opened: so a host that moved is found again."""

    def __init__(
        self,
        line: CameraLine,
        feed: CameraFeed,
        *,
        registry: Registry,
        limits: PictureLimits,
        clock: Callable[[], datetime],
        backoff: Backoff = BACKOFF,
    ) -> None:
        """Take over what to open; nothing is opened yet.

        Raises:
            SettingsError: the address can't be used.
        """
        self._line: Final = line
        self._feed: Final = feed
        self._registry: Final = registry
        self._limits: Final = limits
        self._clock: Final = clock
        self._backoff: Final = backoff
        self._policy: Final = None if feed.address is None else address_policy(line.camera, feed.address)
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
            source = await self.open()
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
            _LOGGER.debug("The source of %s: %s", self._line.camera, error.message)
            self._line.note_source("lost")

    async def open(self) -> Source:
        """The source, made for what is set.

        Raises:
            PrivFaceError: ``link_not_allowed``, ``link_unreachable``, ``engine_unknown``, ``engine_missing``.
        """
        name, options = await self._options()
        context = EngineContext(weights=NoWeights(), options=options)
        return cast("Source", self._registry.create(EngineKind.SOURCE, name, context))

    async def _options(self) -> tuple[str, dict[str, object]]:
        """The plugin's name and what it is made with."""
        common: dict[str, object] = {
            "card": FrameCard(camera=self._line.camera, captured_at=self._clock(), source=FrameSource.LINK),
            "clock": self._clock,
            "seconds": None,
            "on_state": self._note,
        }
        limits: dict[str, object] = {"max_bytes": self._limits.bytes, "max_pixels": self._limits.pixels}
        if self._policy is not None:
            link = cast("AddressLink", await self._policy.check(self._feed.address or ""))
            return "link", common | limits | {
                "address": link.address,
                "peer": link.peer,
                "snapshot_seconds": self._feed.interval,
            }
        if self._feed.webcam is not None:
            return "webcam", common | {"index": self._feed.webcam}
        return "folder", common | limits | {"path": self._feed.folder}

    def _note(self, state: SourceState) -> None:
        self._line.note_source(state.state)
