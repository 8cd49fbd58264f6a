"""One way in for every frame and video, wherever it came from: recognition, events, states, counts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.household import Household
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.visits import visit_events
from privface_backend.plugins.ports import Source
from privface_backend.protocol import ErrorCode, Event, FrameCard, Privacy, StreamMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of one frame, whose card it was: the judgement, and the events that went out."""

    timed: Timed
    card: FrameCard
    events: tuple[Event, ...]
    frame: int = 0


class Intake:
    """Takes frames in. ``record`` keeps events (in the order of the calls); ``clock`` gives aware times."""

    def __init__(
        self,
        *,
        recognition: Recognition,
        cameras: Cameras,
        household: Household,
        bus: Bus,
        record: Callable[[tuple[Event, ...]], None],
        clock: Callable[[], datetime],
        lifetime: timedelta,
    ) -> None:
        self._recognition: Final = recognition
        self._cameras: Final = cameras
        self._household: Final = household
        self._bus: Final = bus
        self._record: Final = record
        self._clock: Final = clock
        self._lifetime: Final = lifetime

    async def camera_frame(self, data: bytes, card: FrameCard) -> Seen:
        """A camera's frame: the newest wins, what is found becomes events.

        Raises:
            PrivFaceError: ``camera_disabled``, ``superseded``, ``overloaded``, or what recognition raises.
        """
        camera = self._cameras.get(card.camera)
        if not camera.enabled:
            self._cameras.count(card.camera, skipped=True)
            self._recognition.skip(ErrorCode.CAMERA_DISABLED)
            raise PrivFaceError(ErrorCode.CAMERA_DISABLED, "Recognition is switched off for this camera.")
        skipped = True
        try:
            timed = await self._recognition.identify(
                data, claimed=card.privacy, default=self.default_privacy(card.camera), newest=card.camera
            )
            skipped = False
        finally:
            self._cameras.count(card.camera, skipped=skipped)
        return Seen(timed=timed, card=card, events=self.tell(timed, card))

    async def stream(self, source: Source, *, claimed: Privacy | None, default: Privacy) -> AsyncGenerator[Seen, None]:
        """Every frame of a source, judged; its frames' cards say where they come from. Close it when done early."""
        async with contextlib.aclosing(source.frames()) as frames:
            async for frame in frames:
                timed = await self._recognition.identify_pixels(frame.pixels, claimed=claimed, default=default)
                yield Seen(timed=timed, card=frame.card, events=(), frame=frame.index)

    def default_privacy(self, camera: str) -> Privacy:
        """How a clear frame of this camera is anonymized."""
        default = self._recognition.rules.default_privacy
        parameter = self._cameras.get(camera).parameter
        return default if parameter is None else Privacy(method=default.method, parameter=parameter)

    def tell(self, timed: Timed, card: FrameCard, *, live: bool = True) -> tuple[Event, ...]:
        """Make the events of a judged frame, keep them and tell everyone.

        ``live``: the frame shows what is before a camera now; one of a recording changes no state.

        Raises:
            PrivFaceError: ``overloaded``: the camera is new, and there are too many.
        """
        if live:
            self._cameras.get(card.camera)
        events = visit_events(timed.judgement, card, timed.latency_ms, now=self._clock(), lifetime=self._lifetime)
        if events:
            self._record(events)
            if live:
                self._household.take(events)
        for event in events:
            self._bus.tell(Message(StreamMessage.EVENT, event.to_dict(), event))
        self.tell_states()
        return events

    def tell_states(self) -> None:
        """Tell of the states of people and cameras that changed since this was last called."""
        for state in self._household.changes(self._clock()):
            self._bus.tell(Message(StreamMessage.STATE, state.to_dict(), state))
