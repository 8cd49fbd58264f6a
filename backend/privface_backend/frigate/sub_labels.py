"""Names written back: the sub label of the object that a confirmed event is about.

Only while Frigate's own face recognition is off, so that nobody's word is overwritten: its configuration says so before
the first name and again every few minutes. Where that can't be read, nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from privface_backend.domain.backoff import Backoff
from privface_backend.frigate.client import FailureKind, FrigateClient, FrigateError
from privface_backend.protocol import Event, FrameSource, Outcome, Phase

_LOGGER: Final = logging.getLogger(__name__)
_MOST_WAITING: Final = 256
_MOST_NAMED: Final = 512
_MOST_ATTEMPTS: Final = 10
_FEW_MINUTES: Final = 180.0
_NO_NAME: Final = ""


@dataclass(slots=True, kw_only=True, eq=False)
class _Wanted:
    """What an object's sub label should be for a visit; an empty ``name`` takes it away."""

    visit_id: str
    name: str = field(repr=False)
    score: float | None = None
    attempts: int = 0


class SubLabels:
    """A sink that writes names to Frigate; ``run`` is its whole life.

    ``recheck``: seconds after which Frigate's configuration is read again.
    """

    name: Final = "frigate"

    def __init__(
        self,
        open_client: Callable[[], AbstractAsyncContextManager[FrigateClient]],
        *,
        recheck: float = _FEW_MINUTES,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters: Final[Counter[str]] = Counter()
        self._open_client: Final = open_client
        self._recheck: Final = recheck
        self._backoff: Final = backoff or Backoff()
        self._monotonic: Final = monotonic
        self._waiting: Final[OrderedDict[str, _Wanted]] = OrderedDict()
        # The objects that were, or may have been, given a name, each with the visit that it was for.
        self._named: Final[OrderedDict[str, str]] = OrderedDict()
        self._wake: Final = asyncio.Event()
        self._checked_until = float("-inf")
        self._signs = 0
        self._forbidden = False
        self._failures = 0

    def publish(self, event: Event) -> None:
        """Take an event in; never waits."""
        self.take_event(event)

    def take_event(self, event: Event) -> None:
        """Note what an event says of an object of Frigate's: a name, or that one doesn't hold any more."""
        if event.source is not FrameSource.FRIGATE or event.source_event_id is None:
            return
        firm = event.outcome is Outcome.KNOWN and event.phase is Phase.CONFIRMED
        name = event.person if firm else None
        if event.corrects:
            self._correct(event, name)
        if name:
            self._want(event.source_event_id, _wanted(event, name))

    def note_their_recognition(self) -> None:
        """Frigate's own recognition has shown itself: nothing is written before its configuration is read again."""
        self._signs += 1
        self._checked_until = float("-inf")

    async def run(self) -> None:
        """Write until cancelled."""
        async with self._open_client() as client:
            while True:
                self._wake.clear()
                if not self._waiting:
                    await self._wake.wait()
                elif await self._write_next(client):
                    self._failures = 0
                else:
                    self._failures += 1
                    await asyncio.sleep(self._backoff.delay(self._failures))

    def _correct(self, event: Event, name: str | None) -> None:
        """Name all objects of a visit anew, or take their names away: those that have one by now."""
        for event_id, wanted in tuple(self._waiting.items()):
            if wanted.visit_id == event.visit_id:
                del self._waiting[event_id]
        for event_id, visit_id in self._named.items():
            if visit_id == event.visit_id:
                self._want(event_id, _wanted(event, name or _NO_NAME))

    def _want(self, event_id: str, wanted: _Wanted) -> None:
        self._waiting[event_id] = wanted
        self._waiting.move_to_end(event_id)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
            self.counters["dropped"] += 1
        self._wake.set()

    async def _write_next(self, client: FrigateClient) -> bool:
        """Write what has waited longest; False: Frigate is to be tried again later."""
        event_id, wanted = next(iter(self._waiting.items()))
        try:
            if await self._is_forbidden(client):
                self.counters["withheld"] += len(self._waiting)
                self._waiting.clear()
                return True
            self._remember(event_id, wanted)
            await client.set_sub_label(event_id, wanted.name, wanted.score)
        except FrigateError as error:
            return self._fail(event_id, wanted, error)
        self.counters["written" if wanted.name else "cleared"] += 1
        if self._failures:
            _LOGGER.info("Sub labels are written to Frigate again")
        self._done(event_id, wanted)
        return True

    async def _is_forbidden(self, client: FrigateClient) -> bool:
        """Whether Frigate's own recognition is on, as its configuration said lately."""
        now, signs = self._monotonic(), self._signs
        if now < self._checked_until:
            return self._forbidden
        recognizes = await client.recognizes_faces()
        if signs != self._signs and not recognizes:
            raise FrigateError(FailureKind.BAD_ANSWER, "its configuration and its messages disagree")
        self._checked_until = now + self._recheck
        if recognizes is not self._forbidden:
            self._forbidden = recognizes
            if recognizes:
                _LOGGER.warning("Frigate's own face recognition is on: no sub labels are written")
            else:
                _LOGGER.info("Frigate's own face recognition is off: sub labels are written")
        return recognizes

    def _remember(self, event_id: str, wanted: _Wanted) -> None:
        self._named[event_id] = wanted.visit_id
        self._named.move_to_end(event_id)
        while len(self._named) > _MOST_NAMED:
            self._named.popitem(last=False)

    def _fail(self, event_id: str, wanted: _Wanted, error: FrigateError) -> bool:
        """Take note of a failure; True: this one is over, and the next may be tried."""
        self.counters["failures"] += 1
        if error.kind is FailureKind.MISSING:
            # Frigate has forgotten the object.
            self._named.pop(event_id, None)
            self._done(event_id, wanted)
            return True
        level = logging.DEBUG if self._failures else logging.WARNING
        _LOGGER.log(level, "No sub label was written to Frigate: %s", error.reason)
        wanted.attempts += 1
        if wanted.attempts >= _MOST_ATTEMPTS:
            self.counters["dropped"] += 1
            self._done(event_id, wanted)
        elif self._waiting.get(event_id) is wanted:
            # The others needn't wait for this one.
            self._waiting.move_to_end(event_id)
        return False

    def _done(self, event_id: str, wanted: _Wanted) -> None:
        # Unless something else is wanted of it by now.
        if self._waiting.get(event_id) is wanted:
            del self._waiting[event_id]
        if not wanted.name and event_id not in self._waiting:
            self._named.pop(event_id, None)


def _wanted(event: Event, name: str) -> _Wanted:
    score = to_score(event.evidence, event.score) if name else None
    return _Wanted(visit_id=event.visit_id, name=name, score=score)


def to_score(evidence: float | None, score: float | None) -> float:
    """How sure a name is, from above 0 to 1, as Frigate wants it: the probability that goes with the evidence (decimal
    logarithm of the likelihood ratio) if both were as likely before; without evidence, the similarity."""
    if evidence is not None:
        share = 1.0 / (1.0 + math.pow(10.0, max(-30.0, min(30.0, -evidence))))
    else:
        share = 0.5 if score is None else score
    return round(max(0.001, min(1.0, share)), 3)
