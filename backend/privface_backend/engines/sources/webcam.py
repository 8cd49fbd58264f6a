"""A camera of this computer, by its index: the newest frame each time."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.connection import (
    Connection,
    OnState,
    connect_for_ever,
    connect_once,
    ignore_state,
)
from privface_backend.engines.sources.handover import hand_newest
from privface_backend.engines.sources.options import (
    take_clock,
    take_limit,
    take_on_state,
    take_option,
    utc_now,
)
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode, FrameCard

_LOGGER = logging.getLogger(__name__)

SECONDS: Final = 30.0


def open_quietly(index: int) -> cv2.VideoCapture:
    """OpenCV's camera; what it writes past the log when there is none is said by what is raised."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2.VideoCapture(index)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebcamSource:
    """A webcam's frames; a frame's ``captured_at`` is when it was read. ``seconds``: None: no end; ``open_device``:
    index to capture."""

    index: int
    card: FrameCard = field(repr=False)
    seconds: float | None = SECONDS
    clock: Callable[[], datetime] = utc_now
    on_state: OnState = field(default=ignore_state, repr=False)
    backoff: Backoff = field(default_factory=Backoff, repr=False)
    open_device: Callable[[int], cv2.VideoCapture] = open_quietly

    @property
    def name(self) -> str:
        return "webcam"

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """The newest frames, until ``seconds`` are over; without an end, until this is closed: a camera that is pulled
        out is opened again.

        Raises:
            PrivFaceError: ``link_unreachable``: there is no such camera, it is taken, or it gives not one frame.
        """
        connection = Connection(f"Webcam {self.index}", self.on_state)
        connect = partial(self._connect, count(), connection)
        if self.seconds is None:
            stream = connect_for_ever(connect, connection, self.backoff)
        else:
            stream = connect_once(connect, connection)
        async with aclosing(stream):
            async for frame in stream:
                yield frame

    def _connect(self, numbers: Iterator[int], connection: Connection) -> AsyncGenerator[Frame, None]:
        read = partial(self._read, numbers)
        return hand_newest(read, f"privface-webcam-{self.index}", self.seconds, connection.skips)

    def _read(self, numbers: Iterator[int]) -> Generator[Frame, None, None]:
        device = self.open_device(self.index)
        try:
            if not device.isOpened():
                raise self._unreachable("The camera can't be opened.")
            device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            read = 0
            while True:
                taken, pixels = device.read()
                if not taken or pixels is None:
                    if read == 0:
                        raise self._unreachable("The camera gives no frames.")
                    # What was seen stays seen: a camera that is pulled out ends like one that is over.
                    if self.seconds is not None:
                        _LOGGER.warning("Webcam %d ended early after %d frames", self.index, read)
                    return
                card = replace(self.card, captured_at=self.clock())
                yield Frame(pixels=np.ascontiguousarray(pixels, dtype=np.uint8), card=card, index=next(numbers))
                read += 1
        finally:
            device.release()

    def _unreachable(self, message: str) -> PrivFaceError:
        return PrivFaceError(
            ErrorCode.LINK_UNREACHABLE, message, allowed="a camera that is plugged in and that nobody else uses"
        )


def create(context: EngineContext) -> WebcamSource:
    """Make the source.

    Options: ``index`` (whole number), ``card`` (FrameCard), ``seconds`` (number: when to end; None: when it is closed),
    ``clock`` (gives aware times, on any thread), ``on_state`` (takes a SourceState).
    """
    return WebcamSource(
        index=take_option(context, "index", int),
        card=take_option(context, "card", FrameCard),
        seconds=take_limit(context, "seconds", SECONDS),
        clock=take_clock(context),
        on_state=take_on_state(context),
    )
