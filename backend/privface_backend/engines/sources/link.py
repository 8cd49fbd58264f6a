"""A camera's address: RTSP, MJPEG (or another stream) over HTTP, or a snapshot that is fetched again and again.

The newest frame each time. An address can hold a password: it is in no log line, ``repr`` or error. Which
addresses may be opened is decided before (``pipeline.links``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeAlias, cast

import yarl
from av.video.frame import VideoFrame

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Frame, Pixels
from privface_backend.engines.sources.connection import (
    Connection,
    OnState,
    connect_for_ever,
    connect_once,
    ignore_state,
)
from privface_backend.engines.sources.decoding import AUTO, Decoding, check_hardware
from privface_backend.engines.sources.handover import hand_newest
from privface_backend.engines.sources.options import take_clock, take_limit, take_on_state, take_option
from privface_backend.engines.sources.snapshots import Snapshots, open_snapshots
from privface_backend.engines.sources.stream import CameraStream, unreachable
from privface_backend.engines.sources.upright import upright
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import FrameCard

Taken: TypeAlias = tuple[Pixels, datetime]
"""A frame, and when it came."""
FindPeer: TypeAlias = Callable[[], Awaitable[str]]
"""An IP address that may be connected to; a PrivFaceError where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimes:
    """Seconds: for connecting, between two frames, in all (None: no end); and from one snapshot to the next."""

    connect: float = 10.0
    read: float = 10.0
    total: float | None = 30.0
    snapshot: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSource:
    """A camera link's frames; a frame's ``captured_at`` is when it came.

    ``peer``: the IP address to connect to instead of asking for the host's again; empty: ask. ``find_peer``: finds and
    checks it anew for each connection, since a camera's may change. ``hardware``: what decodes: "auto", "off", or a
    device's type.
    """

    address: str = field(repr=False)
    card: FrameCard = field(repr=False)
    peer: str = ""
    find_peer: FindPeer | None = field(default=None, repr=False)
    times: LinkTimes = field(default_factory=LinkTimes)
    max_pixels: int = 25_000_000
    max_bytes: int = 20 * 1024 * 1024
    hardware: str = AUTO
    clock: Callable[[], datetime]
    on_state: OnState = field(default=ignore_state, repr=False)
    backoff: Backoff = field(default_factory=Backoff, repr=False)

    @property
    def name(self) -> str:
        return "link"

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """The newest frames, until the time is over or the camera ends it; without a time, until this is closed: what
        breaks is then connected again.

        Raises:
            PrivFaceError: ``link_unreachable``: no connection, or not one frame, within the time.
        """
        connection = Connection(f"The link of {self.card.camera}", self.on_state)
        decoding = Decoding(self.hardware)
        total = self.times.total
        if total is None:
            stream = connect_for_ever(partial(self._connect, connection, decoding, None), connection, self.backoff)
        else:
            deadline = asyncio.get_running_loop().time() + total
            stream = connect_once(partial(self._connect, connection, decoding, deadline), connection)
        count = 0
        async with aclosing(stream):
            async for pixels, came_at in stream:
                yield Frame(pixels=pixels, card=replace(self.card, captured_at=came_at), index=count)
                count += 1
        if count == 0:
            raise unreachable("The camera gave no frame in time.")

    async def _connect(
        self, connection: Connection, decoding: Decoding, deadline: float | None
    ) -> AsyncGenerator[Taken, None]:
        peer = self.peer if self.find_peer is None else await self.find_peer()
        if yarl.URL(self.address).scheme in {"http", "https"}:
            async with open_snapshots(self._snapshots(peer)) as pictures:
                if pictures is not None:
                    async with aclosing(pictures.every(self.times.snapshot, deadline)) as polled:
                        async for pixels in polled:
                            yield pixels, self.clock()
                    return
        loop = asyncio.get_running_loop()
        seconds = None if deadline is None else deadline - loop.time()
        read = partial(self._read, decoding, peer)
        async with aclosing(hand_newest(read, "privface-link", seconds, connection.skips)) as stream:
            async for picture, came_at in stream:
                # Only what is taken costs the conversion.
                yield await loop.run_in_executor(None, self._convert, picture), came_at

    def _convert(self, picture: VideoFrame) -> Pixels:
        try:
            return upright(picture)
        except (OSError, ValueError):
            pass
        raise unreachable("The camera's frames can't be converted.")

    def _snapshots(self, peer: str) -> Snapshots:
        return Snapshots(
            address=self.address,
            peer=peer,
            connect_seconds=self.times.connect,
            read_seconds=self.times.read,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
        )

    def _read(self, decoding: Decoding, peer: str) -> Generator[tuple[VideoFrame, datetime], None, None]:
        stream = CameraStream(
            address=self.address,
            peer=peer,
            connect_seconds=self.times.connect,
            read_seconds=self.times.read,
            max_pixels=self.max_pixels,
            decoding=decoding,
        )
        for picture in stream.read():
            yield picture, self.clock()


def create(context: EngineContext) -> LinkSource:
    """Make the source.

    Options: ``address`` (text), ``card`` (FrameCard), ``peer`` (the host's checked IP address) or ``find_peer`` (gives
    it, asynchronously), ``seconds`` (number: when to end; None: when it is closed), ``connect_seconds``,
    ``read_seconds``, ``snapshot_seconds``, ``max_bytes`` (of a snapshot), ``max_pixels`` (of a frame), ``hardware``
    (auto, off, or a device's type), ``clock`` (gives aware times, on any thread), ``on_state`` (takes a SourceState).

    Raises:
        PrivFaceError: ``bad_request``: there is no such hardware.
    """
    usual, find_peer = LinkTimes(), context.options.get("find_peer")
    if find_peer is not None and not callable(find_peer):
        raise TypeError("the source's option find_peer must find addresses")
    return LinkSource(
        address=take_option(context, "address", str),
        card=take_option(context, "card", FrameCard),
        peer=take_option(context, "peer", str, ""),
        find_peer=cast("FindPeer | None", find_peer),
        times=LinkTimes(
            connect=float(take_option(context, "connect_seconds", (int, float), usual.connect)),
            read=float(take_option(context, "read_seconds", (int, float), usual.read)),
            total=take_limit(context, "seconds", usual.total),
            snapshot=float(take_option(context, "snapshot_seconds", (int, float), usual.snapshot)),
        ),
        max_pixels=take_option(context, "max_pixels", int, 25_000_000),
        max_bytes=take_option(context, "max_bytes", int, 20 * 1024 * 1024),
        hardware=check_hardware(take_option(context, "hardware", str, AUTO)),
        clock=take_clock(context),
        on_state=take_on_state(context),
    )
