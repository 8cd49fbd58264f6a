"""One way in for every frame and video, wherever it came from: recognition, events, states, counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from privface_backend.domain.frames import AnonymizedFrame
from privface_backend.domain.visits import Ranker
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.gallery.index import GalleryIndex
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.household import Household
from privface_backend.pipeline.identification import Judgement
from privface_backend.pipeline.live_visits import VisitUpdate, follow_visit
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.statements import explain, make_event
from privface_backend.pipeline.strangers import Strangers
from privface_backend.pipeline.visit_settings import VisitSettings
from privface_backend.pipeline.visits import Visits
from privface_backend.plugins.ports import Source
from privface_backend.protocol import ErrorCode, Event, FrameCard, Privacy, StreamMessage

# How often, and after how many seconds each time, a frame that can wait asks for its turn again.
_PATIENT_TRIES: Final = 240
_PATIENT_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of one frame, whose card it was: the judgement, what it made of visits, the events that went out."""

    timed: Timed
    card: FrameCard
    events: tuple[Event, ...] = ()
    updates: tuple[VisitUpdate, ...] = ()
    frame: int = 0


class Record(Protocol):
    """Keeps events, in the order of the calls, with the reasons by event id."""

    def __call__(self, events: tuple[Event, ...], reasons: Mapping[str, dict[str, Any]], /) -> None: ...


class Learn(Protocol):
    """Learns from a live frame of a camera, and from what it made of visits."""

    def __call__(
        self, judgement: Judgement, card: FrameCard, updates: Sequence[VisitUpdate], now: datetime, /
    ) -> None: ...


class Intake:
    """Takes frames in. ``record`` keeps events; ``clock`` gives aware times; ``wake`` is called when the time of the
    next thing to do may have changed; ``gate`` raises where no camera's frame may be looked at now; ``learn`` sees
    every live frame."""

    def __init__(
        self,
        *,
        recognition: Recognition,
        index: GalleryIndex,
        cameras: Cameras,
        household: Household,
        bus: Bus,
        record: Record,
        clock: Callable[[], datetime],
        settings: VisitSettings,
        strangers: Strangers | None = None,
        wake: Callable[[], None] = lambda: None,
        gate: Callable[[], None] = lambda: None,
        learn: Learn | None = None,
    ) -> None:
        self._recognition: Final = recognition
        self._index: Final = index
        self._cameras: Final = cameras
        self._household: Final = household
        self._bus: Final = bus
        self._record: Final = record
        self._clock: Final = clock
        self._settings: Final = settings
        self._strangers: Final = strangers
        self._wake: Final = wake
        self._gate: Final = gate
        self._learn: Final = learn
        self._visits: Final = self._make_visits()

    def _make_visits(self) -> Visits:
        return Visits(rules=self._settings.rules, timing=self._settings.timing, likeness=self._likeness)

    def _likeness(self, similarity: float, relative: float) -> float:
        return self._recognition.model.likeness(similarity, relative)

    async def camera_frame(self, data: bytes, card: FrameCard) -> Seen:
        """A camera's frame: the newest wins, what is found becomes events.

        Raises:
            PrivFaceError: ``camera_disabled``, ``superseded``, ``overloaded``, what recognition raises, or ``gate``.
        """
        return await self.judged_frame(
            card,
            lambda: self._recognition.identify(
                data, claimed=card.privacy, default=self.default_privacy(card.camera), newest=whose(card)
            ),
        )

    async def anonymized_frame(self, frame: AnonymizedFrame, card: FrameCard) -> Seen:
        """A camera's frame that was anonymized in this process, before it came here; as ``camera_frame``.

        Raises:
            PrivFaceError: as ``camera_frame``.
        """
        return await self.judged_frame(
            card,
            lambda: self._recognition.identify_pixels(frame.pixels, claimed=frame.privacy, newest=whose(card)),
        )

    async def judged_frame(self, card: FrameCard, identify: Callable[[], Awaitable[Timed]]) -> Seen:
        """A camera's frame that ``identify`` judges, which is called unless the camera is switched off; as
        ``camera_frame``.

        Raises:
            PrivFaceError: ``camera_disabled``, or what ``identify`` raises.
        """
        self._gate()
        camera = self._cameras.get(card.camera)
        if not camera.enabled:
            self._cameras.count_skipped(card.camera)
            self._recognition.skip(ErrorCode.CAMERA_DISABLED)
            raise PrivFaceError(ErrorCode.CAMERA_DISABLED, "Recognition is switched off for this camera.")
        try:
            timed = await identify()
        except BaseException:
            self._cameras.count_skipped(card.camera)
            raise
        self._cameras.count_frame(card.camera)
        return self.tell(timed, card)

    async def stream(
        self, source: Source, *, claimed: Privacy | None, default: Privacy, patient: bool = False
    ) -> AsyncGenerator[Seen, None]:
        """Every frame of a source, judged; its frames' cards say where they come from. Close it when done early.
        ``patient``: while the lane is full a frame waits, for a minute at most.

        Raises:
            PrivFaceError: what the source, ``Process.anonymize`` and the lane raise; ``sealed``, before it is opened.
        """
        self._recognition.require_pictures()
        async with contextlib.aclosing(source.frames()) as frames:
            async for frame in frames:
                tries = _PATIENT_TRIES if patient else 0
                while True:
                    try:
                        timed = await self._recognition.identify_pixels(frame.pixels, claimed=claimed, default=default)
                        break
                    except PrivFaceError as error:
                        if error.code is not ErrorCode.OVERLOADED or tries == 0:
                            raise
                    tries -= 1
                    await asyncio.sleep(_PATIENT_SECONDS)
                yield Seen(timed=timed, card=frame.card, frame=frame.index)

    def default_privacy(self, camera: str) -> Privacy:
        """How a clear frame of this camera is anonymized."""
        default = self._recognition.rules.default_privacy
        parameter = self._cameras.get(camera).parameter
        return default if parameter is None else replace(default, parameter=parameter)

    def tell(self, timed: Timed, card: FrameCard) -> Seen:
        """Take a frame that shows what is before a camera now into its visits; keep the events and tell everyone.

        Raises:
            PrivFaceError: ``overloaded``: the camera is new, and there are too many.
        """
        self._cameras.note_source(card.camera, card.source)
        now = self._clock()
        updates = self._visits.take(
            timed.judgement, card, timed.latency_ms, now=now, ranker=self._recognition.ranking()
        )
        if self._learn is not None:
            self._learn(timed.judgement, card, updates, now)
        events = self._tell_updates(updates, live=True)
        self._wake()
        return Seen(timed=timed, card=card, events=events, updates=updates)

    def record(self, *, live: bool = False) -> Recording:
        """Visits of their own for a recording or a stream that somebody asked about; the states of people and cameras
        follow it only where it is ``live``, and then its first frame makes the camera."""
        return Recording(
            self._make_visits(),
            self._recognition.ranking,
            partial(self._tell_updates, live=live),
            accept=self._accept if live else lambda _card: None,
        )

    def _accept(self, card: FrameCard) -> None:
        self._cameras.add(card.camera)

    def forget(self, person_ids: Collection[str]) -> int:
        """Remember nothing of the visits of people who were forgotten while these went on; 0: nothing waits here."""
        self._visits.forget(person_ids)
        return 0

    def drop_visits(self, camera: str) -> None:
        """Say nothing more about what a camera has shown: it was switched off."""
        self._visits.drop(camera)

    def forget_camera(self, camera: str) -> None:
        """Forget a camera: its settings, its visits and who is before it. It comes back with its next frame.

        Raises:
            PrivFaceError: ``not_found``.
        """
        was_seen = self._household.forget_camera(camera)
        if not was_seen and all(known.name != camera for known in self._cameras.all()):
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no camera of that name.")
        self.drop_visits(camera)
        self._cameras.remove(camera)

    def end_source_event(self, camera: str, source_event_id: str) -> None:
        """Say what is to be said of a source event whose sender has no more frames of it."""
        if self._recognition.ready:
            self._tell_updates(self._visits.end_source_event(camera, source_event_id), live=True)
            self._wake()

    def pass_time(self) -> None:
        """Say what is to be said because nothing came for a while, and tell of states."""
        if self._recognition.ready:
            self._tell_updates(self._visits.pass_time(self._clock(), self._recognition.ranking()), live=True)
        self.tell_states()

    def next_due(self) -> datetime | None:
        """When ``pass_time`` will have something to do if nothing comes before."""
        due = (self._visits.next_due(), self._household.next_change(self._clock()))
        return min((moment for moment in due if moment is not None), default=None)

    def _tell_updates(self, updates: Sequence[VisitUpdate], *, live: bool) -> tuple[Event, ...]:
        events = tuple(event for update in updates if (event := self._tell_update(update, live=live)) is not None)
        self.tell_states()
        return events

    def _tell_update(self, update: VisitUpdate, *, live: bool) -> Event | None:
        """Take an update into the states, and make, keep and tell its event if it has one."""
        now, snapshot = self._clock(), self._index.snapshot
        stranger = None if self._strangers is None else self._strangers.take(update, now)
        if live:
            follow_visit(self._household, update, now)
        if update.statement is None or (update.statement.person_id or "") not in {"", *snapshot.names}:
            return None
        event = make_event(update, snapshot, now=now, lifetime=self._settings.lifetime, stranger=stranger)
        ranking = self._recognition.ranking()
        reasons = explain(
            update, self._settings.rules.decision, people=ranking.people, source=self._recognition.model.source
        )
        self._record((event,), {event.event_id: reasons})
        if live:
            self._household.note_event(event.camera, event.event_id, event.captured_at)
        self._bus.tell(Message(StreamMessage.EVENT, event.to_dict(), event, update.live.frame.size))
        return event

    def tell_states(self) -> None:
        """Tell of the states of people and cameras that changed since this was last called."""
        for state in self._household.changes(self._clock()):
            self._bus.tell(Message(StreamMessage.STATE, state.to_dict(), state))


class Recording:
    """The visits of one recording, whose time is that of its frames."""

    def __init__(
        self,
        visits: Visits,
        ranker: Callable[[], Ranker],
        tell: Callable[[Sequence[VisitUpdate]], tuple[Event, ...]],
        *,
        accept: Callable[[FrameCard], None],
    ) -> None:
        self._visits: Final = visits
        self._ranker: Final = ranker
        self._tell: Final = tell
        self._accept: Final = accept

    def take(self, seen: Seen) -> Seen:
        """Take the next frame in.

        Raises:
            PrivFaceError: ``overloaded``: it is of a new camera, and there are too many.
        """
        self._accept(seen.card)
        now, ranker = seen.card.captured_at, self._ranker()
        passed = self._visits.pass_time(now, ranker)
        taken = self._visits.take(
            seen.timed.judgement, seen.card, seen.timed.latency_ms, now=now, ranker=ranker, number=seen.frame
        )
        updates = (*passed, *taken)
        return replace(seen, updates=updates, events=self._tell(updates))

    def end(self) -> tuple[tuple[VisitUpdate, ...], tuple[Event, ...]]:
        """The recording is over: what there is must do."""
        updates = self._visits.end_all()
        return updates, self._tell(updates)


def whose(card: FrameCard) -> str:
    """Of what the newest frame counts: of a camera, or of one object before it that the sender follows."""
    return card.camera if card.source_event_id is None else f"{card.camera}\n{card.source_event_id}"
