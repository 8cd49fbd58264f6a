"""Delivery inside of the backend's own process: pixels, without a file in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from privface_backend.bridge.deliver import Answer, Wishes
from privface_backend.domain.frames import AnonymizedFrame, Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.intake import Intake
from privface_backend.pipeline.recognition import Recognition
from privface_backend.protocol import ErrorCode, FrameCard

_ANSWERS: Final = {ErrorCode.SUPERSEDED: Answer.SUPERSEDED, ErrorCode.CAMERA_DISABLED: Answer.DISABLED}
_STARTING_SECONDS: Final = 1.0


class LocalDeliver:
    """Hands pictures to the intake. ``advised``: which kernel is advised for a camera."""

    def __init__(
        self,
        intake: Intake,
        cameras: Cameras,
        recognition: Recognition,
        advised: Callable[[str], int | None] = lambda _camera: None,
    ) -> None:
        self._intake: Final = intake
        self._cameras: Final = cameras
        self._recognition: Final = recognition
        self._advised: Final = advised

    @property
    def state(self) -> str:
        return "reached" if self._recognition.ready else "starting"

    def pack(self, content: Pixels) -> Pixels:
        return content

    def wishes(self, camera: str) -> Wishes:
        known = next((one for one in self._cameras.all() if one.name == camera), None)
        if known is None:
            return Wishes(enabled=True)
        return Wishes(enabled=known.enabled, kernel=known.parameter, advised=self._advised(camera))

    def ready_in(self) -> float:
        return 0.0 if self._recognition.ready else _STARTING_SECONDS

    async def send(self, card: FrameCard, packed: Pixels) -> Answer:
        if card.privacy is None:
            return Answer.REFUSED
        try:
            await self._intake.anonymized_frame(AnonymizedFrame(pixels=packed, privacy=card.privacy), card)
        except PrivFaceError as error:
            return _ANSWERS.get(error.code, Answer.REFUSED)
        return Answer.TAKEN

    async def keep_in_touch(self) -> None:
        """There is nothing to keep."""
        await asyncio.Event().wait()
