"""What came of a frame, and the visits of a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privface_backend.domain.visits import Ranker
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.recognition import Timed
from privface_backend.pipeline.visits import Visits
from privface_backend.protocol import Event, FrameCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of one frame, whose card it was: the judgement, what it made of visits, the events that went out."""

    timed: Timed
    card: FrameCard
    events: tuple[Event, ...] = ()
    updates: tuple[VisitUpdate, ...] = ()
    frame: int = 0


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
