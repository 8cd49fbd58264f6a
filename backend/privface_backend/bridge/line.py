"""One camera's pictures, from when they come to when they are delivered: the newest waits, all others go.

Where a sender follows objects, as Frigate does, the newest of each object waits: one doesn't take the place of another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final

from privface_backend.bridge.adaptive import Advised, Limits, follow
from privface_backend.bridge.anonymizing import StalePictureError, Workshop
from privface_backend.bridge.counts import Counts
from privface_backend.bridge.deliver import Answer, Deliver
from privface_backend.bridge.gate import LOOK_NOW, Gate, GateRules, Turn
from privface_backend.bridge.pictures import AnyPicture
from privface_backend.bridge.strength import Strength
from privface_backend.bridge.waiting import WaitingRoom
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import FrameCard

_LOGGER: Final = logging.getLogger(__name__)
_REST_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParts:
    """What all cameras' lines share. ``keep_seconds``: how old a picture may become; ``monotonic`` gives seconds."""

    workshop: Workshop
    deliver: Deliver
    pool: Executor
    keep_seconds: float
    monotonic: Callable[[], float] = time.monotonic


class CameraLine:
    """One camera's line. ``limits``: between which its strength follows the backend's advice; None: it doesn't.

    All methods are for the event loop; ``run`` is its whole life.
    """

    def __init__(
        self,
        camera: str,
        rules: GateRules,
        own: Strength,
        parts: LineParts,
        *,
        enabled: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self.camera: Final = camera
        self.gate: Final = Gate(rules, parts.monotonic)
        self.counts: Final = Counts()
        self.source: str | None = None
        self._own: Final = own
        self._limits: Final = limits
        self._advised = Advised()
        self._parts: Final = parts
        self._switch: Final = enabled
        self._kernel: int | None = None
        self._waiting: Final = WaitingRoom()
        self._changed = asyncio.Event()
        self._troubles: set[str] = set()
        self.gate.enable(enabled)

    def offer(self, picture: AnyPicture) -> None:
        """Take a picture in; one that waits already goes."""
        self.counts.received += 1
        if self.gate.due() is None:
            self.counts.unwanted += 1
            return
        self.counts.replaced += self._waiting.put(picture, self._parts.monotonic())
        self._wake()

    def refuse(self, code: str, text: str) -> None:
        """Count a picture that came, and that nobody can look at."""
        self.counts.received += 1
        self._refused(code, text)

    def start_burst(self, trigger: str, *, asked: bool = False) -> None:
        """Look ``frames`` times from now on; see ``Gate.start_burst``."""
        if self.gate.start_burst(trigger, asked=asked):
            self._wake()

    def look(self) -> None:
        """Look because somebody wants it."""
        self.start_burst(LOOK_NOW, asked=True)

    def follow(self, *, enabled: bool | None = None, kernel: int | None = None) -> None:
        """Take over what the backend says of the camera. It can't switch on what is off in the settings."""
        if enabled is not None and self.gate.enabled != (enabled and self._switch):
            self.gate.enable(enabled and self._switch)
            _LOGGER.info("The camera %s is switched %s", self.camera, "on" if self.gate.enabled else "off")
            if not self.gate.enabled:
                self._drop_unwanted()
        if kernel is not None:
            self._kernel = kernel
        self._wake()

    def advise(self, kernel: int | None) -> None:
        """Take over how strongly the backend would anonymize the camera's pictures; None: it doesn't say any more."""
        self._advised = Advised(kernel=kernel)

    def doubt_advice(self) -> None:
        """The backend is away: what it advised last stays, unless the camera's own strength is more."""
        self._advised = replace(self._advised, current=False)

    def trust_advice(self) -> None:
        """The backend is back: what it advised last holds."""
        self._advised = replace(self._advised, current=True)

    @property
    def strength(self) -> Strength:
        """How strongly the next picture is anonymized, unless the backend asks for more.

        Raises:
            PrivFaceError: ``engine_unknown``, ``engine_missing``.
        """
        return follow(self._own, self._limits, self._advised, self._parts.workshop.anonymizer(self._own.method))

    def note_source(self, state: str) -> None:
        """How the camera's source stands, in a word: connecting, connected or lost. It logs by itself."""
        if state == "lost" and self.source != "lost":
            self.counts.lost += 1
        self.source = state

    def to_dict(self) -> dict[str, Any]:
        """How the camera stands, for the bridge's state."""
        return {"enabled": self.gate.enabled, "source": self.source, **self.counts.to_dict()}

    def wanted_for(self) -> float:
        """Seconds for which pictures are wanted; 0: they are not, infinite: always."""
        until = self.gate.wanted_until
        return 0.0 if until is None else max(0.0, until - self._parts.monotonic())

    async def wait(self, seconds: float) -> None:
        """Until something about the camera changed, or for so many seconds."""
        changed = self._changed
        try:
            async with asyncio.timeout(None if seconds == float("inf") else max(0.0, seconds)):
                await changed.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Look at what comes and deliver it, until cancelled."""
        while True:
            picture, arrived, turn = await self._next()
            try:
                card, packed = await asyncio.get_running_loop().run_in_executor(
                    self._parts.pool, self._prepare, picture, turn, self.strength, self._kernel
                )
            except StalePictureError:
                self.counts.stale += 1
            except PrivFaceError as error:
                self._refused(error.code, error.message)
            else:
                self.counts.faceless += card.privacy is not None and card.privacy.kept == 0
                await self._deliver(card, packed, arrived)
            picture = packed = None  # type: ignore[assignment]  # nothing clear is kept while the next one is waited for

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _next(self) -> tuple[AnyPicture, float, Turn]:
        """The newest picture, when its turn has come and somebody is there to take it."""
        while True:
            ask_again = self._follow_receiver()
            waiting = next(iter(self._waiting), None)
            if waiting is None:
                await self.wait(ask_again)
                continue
            due, now = self.gate.due(), self._parts.monotonic()
            left = waiting.arrived + self._parts.keep_seconds - now
            if due is None:
                self._drop_unwanted()
            elif left <= 0:
                self._waiting.take(waiting)
                self.counts.stale += 1
            elif (delay := max(due - now, self._parts.deliver.ready_in())) > 0:
                await self.wait(min(delay, left))
            elif (turn := self.gate.take()) is not None:
                self._waiting.take(waiting)
                # Whoever fetches looks whether more are wanted.
                self._wake()
                return waiting.picture, waiting.arrived, turn

    def _follow_receiver(self) -> float:
        """Take over what the receiver says by itself. Seconds until it makes sense to ask again."""
        wishes = self._parts.deliver.wishes(self.camera)
        if wishes.enabled is None:
            return float("inf")
        if wishes.enabled != self.gate.enabled:
            self.follow(enabled=wishes.enabled)
        self._kernel = wishes.kernel
        self._advised = Advised(kernel=wishes.advised)
        return _ASK_SECONDS

    def _drop_unwanted(self) -> None:
        self.counts.unwanted += self._waiting.clear()

    def _prepare(
        self, picture: AnyPicture, turn: Turn, strength: Strength, kernel: int | None
    ) -> tuple[FrameCard, Any]:
        """On a thread: from the clear picture to what is sent."""
        done = self._parts.workshop.prepare(picture, strength, kernel)
        card = done.card
        if card.trigger is None and card.more is None:
            card = replace(card, trigger=turn.trigger, more=turn.more)
        return card, self._parts.deliver.pack(done.content)

    async def _deliver(self, card: FrameCard, packed: Any, arrived: float) -> None:
        """Deliver, again if need be, until it is too late or a newer picture waits."""
        while self.gate.enabled:
            answer = await self._parts.deliver.send(card, packed)
            if answer is not Answer.AWAY:
                self._count(answer)
                return
            if not await self._may_try_again(arrived, card.source_event_id):
                return
        self.counts.unwanted += 1

    async def _may_try_again(self, arrived: float, source_event_id: str | None) -> bool:
        """Wait until it makes sense to send a picture again; False: it is of no use any more."""
        while True:
            left = arrived + self._parts.keep_seconds - self._parts.monotonic()
            if self._waiting.has_newer(source_event_id):
                self.counts.replaced += 1
                return False
            if left <= 0:
                self.counts.stale += 1
                return False
            if (delay := self._parts.deliver.ready_in()) <= 0:
                return True
            await self.wait(min(delay, left))

    def _count(self, answer: Answer) -> None:
        if answer is Answer.REFUSED:
            self.counts.failed += 1
            return
        self.counts.sent += 1
        self._troubles.clear()
        if answer is Answer.SUPERSEDED:
            self.counts.superseded += 1
        elif answer is Answer.DISABLED:
            self.counts.disabled += 1
            # Without a broker nobody says when it is switched on again.
            self.gate.rest(_REST_SECONDS)

    def _refused(self, code: str, text: str) -> None:
        self.counts.refused += 1
        level = logging.DEBUG if code in self._troubles else logging.WARNING
        self._troubles.add(code)
        _LOGGER.log(level, "A picture of %s is not sent (%s): %s", self.camera, code, text)
