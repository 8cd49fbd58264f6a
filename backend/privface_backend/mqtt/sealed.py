"""Sealed frames from the broker: bounded, fresh ones only; what is wrong with one is counted, and never answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from privface_backend.audit.acts import Doing, going_on, note_card
from privface_backend.audit.auditor import Auditor
from privface_backend.audit.entries import Act, By, Entry
from privface_backend.audit.repeats import Repeats
from privface_backend.domain.cameras import camera_name_problem
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.link import MqttLink
from privface_backend.protocol import ErrorCode, FrameCard, FrameSource, WireError
from privface_backend.sealed.frames import SealedFrame
from privface_backend.sealed.intake import SealedIntake
from privface_backend.sealed.wire import MOST_BYTES

_LOGGER: Final = logging.getLogger(__name__)
MOST_WAITING: Final = 32
KEEP: Final = timedelta(seconds=30)
_AHEAD: Final = timedelta(minutes=5)
_OPERATION: Final = "take_sealed_frame"
# The intake has told of all others by itself.
_UNTOLD: Final = frozenset({ErrorCode.BAD_REQUEST, ErrorCode.BAD_FRAME_CARD, ErrorCode.CONTRACT_MISMATCH})


class SealedListener:
    """Takes what comes on the topic of sealed frames. ``run`` is its whole life. ``counts``: of what was refused, by
    reason; ``replaced``: too many waited."""

    def __init__(self, link: MqttLink, intake: SealedIntake, audit: Auditor, clock: Callable[[], datetime]) -> None:
        self._topic: Final = link.topics.sealed
        self._intake: Final = intake
        self._audit: Final = audit
        self._repeats: Final = Repeats()
        self._clock: Final = clock
        self._waiting: Final[deque[bytes]] = deque()
        self._came: Final = asyncio.Event()
        self.counts: Final[Counter[str]] = Counter()
        link.listen(self._topic, self.take)

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """Keep a message until its turn comes; never waits."""
        if topic != self._topic or not payload:
            return
        if retained or len(payload) > MOST_BYTES:
            self._refuse(ErrorCode.BAD_REQUEST, "retained" if retained else "too large")
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._refuse(ErrorCode.OVERLOADED, "replaced")
        self._waiting.append(payload)
        self._came.set()

    async def run(self) -> None:
        """Take frames in, one after the other. No engine is needed for them."""
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                while self._waiting:
                    await self._take_in(self._waiting.popleft())
        finally:
            self._tell(self._repeats.end_all())

    async def _take_in(self, payload: bytes) -> None:
        try:
            frame, card = read_message(payload, self._clock())
            self._audit.check()
            await self._identify(frame, card)
        except PrivFaceError as error:
            self._refuse(error.code, error.code.value)

    async def _identify(self, frame: SealedFrame, card: FrameCard) -> None:
        """The act, which the audit log tells of as it does of frames over REST."""
        doing = Doing(act=Act.IDENTIFY, operation=_OPERATION, by=By.MQTT)
        failure: str | None = None
        try:
            with going_on(doing):
                note_card(card)
                await self._intake.camera_frame(frame, card)
        except PrivFaceError as error:
            failure = error.code.value
            raise
        finally:
            self._tell(self._repeats.take((None, _OPERATION, card.camera), doing, failure))

    def _tell(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._audit.tell(entry)

    def _refuse(self, code: ErrorCode, reason: str) -> None:
        if code in _UNTOLD:
            self._intake.recognition.skip(code)
        level = logging.DEBUG if self.counts[reason] else logging.WARNING
        self.counts[reason] += 1
        _LOGGER.log(level, "A sealed frame from the broker is not taken: %s", reason)


def read_message(payload: bytes, now: datetime) -> tuple[SealedFrame, FrameCard]:
    """A sealed frame and its card, which says which camera's it is and when it was taken.

    Raises:
        PrivFaceError: ``bad_request``: it is none; ``bad_frame_card``: its card can't be used, or it is too old.
    """
    document = _read_object(payload)
    given, frame = document.get("card"), document.get("frame")
    if not isinstance(given, Mapping) or not isinstance(given.get("camera"), str) or given.get("captured_at") is None:
        raise PrivFaceError(ErrorCode.BAD_FRAME_CARD, "The frame card doesn't say which camera's it is, or when.")
    try:
        card = FrameCard.from_dict(given, camera="", received_at=now)
        seen = SealedFrame.from_dict(frame if isinstance(frame, Mapping) else {})
    except WireError as error:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"The message can't be used at {error.key}.") from None
    if camera_name_problem(card.camera) or not now - KEEP <= card.captured_at <= now + _AHEAD:
        raise PrivFaceError(ErrorCode.BAD_FRAME_CARD, "The frame is too old or from the future, or its camera no name.")
    source = FrameSource.MQTT if given.get("source") is None else card.source
    return seen, replace(card, source=source)


def _read_object(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "The message is no JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
