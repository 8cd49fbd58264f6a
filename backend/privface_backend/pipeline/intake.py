"""One way in for every frame and video, wherever it came from: recognition, events, states, counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from privface_backend.domain.frames import AnonymizedFrame
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.household import Household
from privface_backend.pipeline.identification import Judgement
from privface_backend.pipeline.live_visits import VisitUpdate, follow_visit
from privface_backend.pipeline.matcher import Matcher
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.recording import Recording, Seen
from privface_backend.pipeline.statements import explain, make_event
from privface_backend.pipeline.strangers import Strangers
from privface_backend.pipeline.visit_settings import VisitSettings
from privface_backend.pipeline.visits import Visits
from privface_backend.plugins.ports import Source
from privface_backend.protocol import ErrorCode, Event, FrameCard, Privacy, StreamMessage

# How often, and after how many seconds each time, a frame that can wait asks for its turn again.
_PATIENT_TRIES: Final = 240
_PATIENT_SECONDS: Final = 0.25


class Record(Protocol):
    """Keeps events, in the order of the calls, with the reasons by event id."""

    def __call__(self, events: tuple[Event, ...], reasons: Mapping[str, dict[str, Any]], /) -> None: ...


class Learn(Protocol):
    """Learns from a live frame of a camera, and from what it made of visits."""

    def __call__(
        self, judgement: Judgement, card: FrameCard, updates: Sequence[VisitUpdate], now: datetime, /
    ) -> None: ...


class _Followed:
    """The visits and strangers before the cameras whose faces one matcher compares."""

    def __init__(self, matcher: Matcher, settings: VisitSettings, strangers: Strangers | None) -> None:
        self.matcher: Final = matcher
        self.strangers: Final = strangers
        self._settings: Final = settings
        self.visits: Final = self.make_visits()

    def make_visits(self) -> Visits:
        return Visits(rules=self._settings.rules, timing=self._settings.timing, likeness=self._likeness)

    def _likeness(self, similarity: float, relative: float) -> float:
        return self.matcher.model.likeness(similarity, relative)


class Intake:
    """Takes frames in. ``record`` keeps events; ``clock`` gives aware times; ``wake`` is called when the time of the
    next thing to do may have changed; ``gate`` raises where no camera's frame may be looked at now; ``learn`` sees
    every live frame that shows how strongly it should be anonymized; ``strangers`` makes those of a matcher's cameras.
    """

    def __init__(
        self,
        *,
        recognition: Recognition,
        cameras: Cameras,
        household: Household,
        bus: Bus,
        record: Record,
        clock: Callable[[], datetime],
        settings: VisitSettings,
        strangers: Callable[[Matcher], Strangers | None] = lambda _matcher: None,
        wake: Callable[[], None] = lambda: None,
        gate: Callable[[], None] = lambda: None,
        learn: Learn | None = None,
    ) -> None:
        self._recognition: Final = recognition
        self._cameras: Final = cameras
        self._household: Final = household
        self._bus: Final = bus
        self._record: Final = record
        self._clock: Final = clock
        self._settings: Final = settings
        self._wake: Final = wake
        self._gate: Final = gate
        self._learn: Final = learn
        self._followed: Final = {
            matcher: _Followed(matcher, settings, strangers(matcher)) for matcher in recognition.matchers.all
        }

    def _of(self, camera: str) -> _Followed:
        return self._followed[self._recognition.matchers.of(camera)]

    async def camera_frame(self, data: bytes, card: FrameCard) -> Seen:
        """A camera's frame: the newest wins, what is found becomes events.

        Raises:
            PrivFaceError: ``camera_disabled``, ``superseded``, ``overloaded``, what recognition raises, or ``gate``.
        """
        return await self.judged_frame(
            card,
            lambda: self._recognition.identify(
                data,
                claimed=card.privacy,
                default=self.default_privacy(card.camera),
                camera=card.camera,
                newest=whose(card),
            ),
        )

    async def anonymized_frame(self, frame: AnonymizedFrame, card: FrameCard) -> Seen:
        """A camera's frame that was anonymized in this process, before it came here; as ``camera_frame``.

        Raises:
            PrivFaceError: as ``camera_frame``.
        """
        return await self.judged_frame(
            card,
            lambda: self._recognition.identify_pixels(
                frame.pixels, claimed=frame.privacy, camera=card.camera, newest=whose(card)
            ),
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
                        timed = await self._recognition.identify_pixels(
                            frame.pixels, claimed=claimed, default=default, camera=frame.card.camera
                        )
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
        now, followed = self._clock(), self._of(card.camera)
        updates = followed.visits.take(
            timed.judgement, card, timed.latency_ms, now=now, ranker=followed.matcher.ranking()
        )
        # What is sealed isn't anonymized at all.
        if self._learn is not None and not followed.matcher.sealed:
            self._learn(timed.judgement, card, updates, now)
        events = self._tell_updates(followed, updates, live=True)
        self._wake()
        return Seen(timed=timed, card=card, events=events, updates=updates)

    def record(self, *, live: bool = False) -> Recording:
        """Visits of their own for a recording or a stream that somebody asked about, which is of pictures; the states
        of people and cameras follow it only where it is ``live``, and then its first frame makes the camera."""
        followed = self._followed[self._recognition.matcher]
        return Recording(
            followed.make_visits(),
            followed.matcher.ranking,
            partial(self._tell_updates, followed, live=live),
            accept=partial(self._accept, live=live),
        )

    def _accept(self, card: FrameCard, *, live: bool) -> None:
        self._recognition.require_pictures(card.camera)
        if live:
            self._cameras.add(card.camera)

    def forget(self, person_ids: Collection[str]) -> int:
        """Remember nothing of the visits of people who were forgotten while these went on; 0: nothing waits here."""
        for followed in self._followed.values():
            followed.visits.forget(person_ids)
        return 0

    def drop_visits(self, camera: str) -> None:
        """Say nothing more about what a camera has shown: it was switched off."""
        self._of(camera).visits.drop(camera)

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
        followed = self._of(camera)
        if followed.matcher.ready:
            self._tell_updates(followed, followed.visits.end_source_event(camera, source_event_id), live=True)
            self._wake()

    def pass_time(self) -> None:
        """Say what is to be said because nothing came for a while, and tell of states."""
        for followed in self._followed.values():
            if followed.matcher.ready:
                updates = followed.visits.pass_time(self._clock(), followed.matcher.ranking())
                self._tell_updates(followed, updates, live=True)
        self.tell_states()

    def next_due(self) -> datetime | None:
        """When ``pass_time`` will have something to do if nothing comes before."""
        visits = (followed.visits.next_due() for followed in self._followed.values())
        due = (*visits, self._household.next_change(self._clock()))
        return min((moment for moment in due if moment is not None), default=None)

    def _tell_updates(self, followed: _Followed, updates: Sequence[VisitUpdate], *, live: bool) -> tuple[Event, ...]:
        told = (self._tell_update(followed, update, live=live) for update in updates)
        events = tuple(event for event in told if event is not None)
        self.tell_states()
        return events

    def _tell_update(self, followed: _Followed, update: VisitUpdate, *, live: bool) -> Event | None:
        """Take an update into the states, and make, keep and tell its event if it has one."""
        now, matcher = self._clock(), followed.matcher
        snapshot = matcher.index.snapshot
        stranger = None if followed.strangers is None else followed.strangers.take(update, now)
        if live:
            follow_visit(self._household, update, now)
        if update.statement is None or (update.statement.person_id or "") not in {"", *snapshot.names}:
            return None
        event = make_event(update, snapshot, now=now, lifetime=self._settings.lifetime, stranger=stranger)
        people, source = matcher.ranking().people, matcher.model.source
        reasons = explain(update, self._settings.rules.decision, people=people, source=source)
        self._record((event,), {event.event_id: reasons})
        if live:
            self._household.note_event(event.camera, event.event_id, event.captured_at)
        self._bus.tell(Message(StreamMessage.EVENT, event.to_dict(), event, update.live.frame.size))
        return event

    def tell_states(self) -> None:
        """Tell of the states of people and cameras that changed since this was last called."""
        for state in self._household.changes(self._clock()):
            self._bus.tell(Message(StreamMessage.STATE, state.to_dict(), state))


def whose(card: FrameCard) -> str:
    """Of what the newest frame counts: of a camera, or of one object before it that the sender follows."""
    return card.camera if card.source_event_id is None else f"{card.camera}\n{card.source_event_id}"
