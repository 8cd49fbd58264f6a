"""A camera of this computer, by its index: the newest frame each time."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.handover import hand_newest
from privface_backend.engines.sources.options import take_clock, take_option, utc_now
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode, FrameCard

_LOGGER = logging.getLogger(__name__)

SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WebcamSource:
    """A webcam's frames; a frame's ``captured_at`` is when it was read. ``open_device``: index to capture."""

    index: int
    card: FrameCard = field(repr=False)
    seconds: int = SECONDS
    clock: Callable[[], datetime] = utc_now
    open_device: Callable[[int], cv2.VideoCapture] = cv2.VideoCapture

    @property
    def name(self) -> str:
        return "webcam"

    def frames(self) -> AsyncGenerator[Frame, None]:
        """The newest frames, until ``seconds`` are over.

        Raises:
            PrivFaceError: ``link_unreachable``: there is no such camera, it is taken, or it gives not one frame.
        """
        return hand_newest(self._read, f"privface-webcam-{self.index}", self.seconds)

    def _read(self) -> Generator[Frame, None, None]:
        device = self.open_device(self.index)
        try:
            if not device.isOpened():
                raise self._unreachable("The camera can't be opened.")
            device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            number = 0
            while True:
                taken, pixels = device.read()
                if not taken or pixels is None:
                    if number == 0:
                        raise self._unreachable("The camera gives no frames.")
                    # What was seen stays seen: a camera that is pulled out ends like one that is over.
                    _LOGGER.warning("Webcam %d ended early after %d frames", self.index, number)
                    return
                card = replace(self.card, captured_at=self.clock())
                yield Frame(pixels=np.ascontiguousarray(pixels, dtype=np.uint8), card=card, index=number)
                number += 1
        finally:
            device.release()

    def _unreachable(self, message: str) -> PrivFaceError:
        return PrivFaceError(
            ErrorCode.LINK_UNREACHABLE, message, allowed="a camera that is plugged in and that nobody else uses"
        )


def create(context: EngineContext) -> WebcamSource:
    """Make the source.

    Options: ``index`` (whole number), ``card`` (FrameCard), ``seconds`` (whole number: when to end), ``clock``
    (gives aware times).
    """
    return WebcamSource(
        index=take_option(context, "index", int),
        card=take_option(context, "card", FrameCard),
        seconds=take_option(context, "seconds", int, SECONDS),
        clock=take_clock(context),
    )
