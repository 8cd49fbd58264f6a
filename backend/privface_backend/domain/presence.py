"""Who is there: a pure state machine a person and camera, fed with sightings, asked with the time.

Seen, when a first sighting isn't firm yet; present, once one is; left, when the last one is older than it holds. Late
and out-of-order sightings are judged by when the frame was captured, never by when it arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from privface_backend.protocol import PresencePhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A person was named on a camera. ``firm``: the name is confirmed; ``visit_id``: the visit that it is of."""

    camera: str
    captured_at: datetime
    score: float
    firm: bool = True
    visit_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A person's stay before one camera.

    ``last``: the newest sighting; ``since``: the first of the stay; ``firm``: whether one of the stay was; ``hold``:
    how long a sighting holds; ``before``: what was true before the visit of ``last``, in case that is taken back.
    """

    last: Sighting | None = None
    since: datetime | None = None
    firm: bool = False
    hold: timedelta = timedelta(seconds=30)
    before: Presence | None = None

    def seen(self, sighting: Sighting) -> Presence:
        """The presence after a sighting; one that is older than the stay changes nothing."""
        if self.last is None or self.since is None:
            return replace(self, last=sighting, since=sighting.captured_at, firm=sighting.firm)
        if sighting.captured_at + self.hold < self.since:
            return self
        if sighting.captured_at >= self.last.captured_at + self.hold:
            return self._next_stay(sighting)
        newer = sighting.captured_at >= self.last.captured_at
        return replace(
            self,
            last=sighting if newer else self.last,
            since=min(self.since, sighting.captured_at),
            firm=self.firm or sighting.firm,
            before=self._before(sighting) if newer else self.before,
        )

    def _next_stay(self, sighting: Sighting) -> Presence:
        return Presence(
            last=sighting,
            since=sighting.captured_at,
            firm=sighting.firm,
            hold=self.hold,
            before=self._before(sighting),
        )

    def _before(self, sighting: Sighting) -> Presence | None:
        """What was true before the visit of a sighting that becomes the last one."""
        goes_on = self.last is not None and self.last.visit_id == sighting.visit_id
        before = self.before if goes_on else replace(self, before=None)
        return None if before is None else before.without(sighting.visit_id)

    def taken_back(self, visit_id: str) -> Presence:
        """The presence without what a visit said, as far as it rests on that."""
        if self.last is None or self.last.visit_id != visit_id:
            return replace(self, before=None if self.before is None else self.before.without(visit_id))
        return self.before or Presence(hold=self.hold)

    def without(self, visit_id: str) -> Presence | None:
        """The same; None where it rests on that visit."""
        return None if self.last is not None and self.last.visit_id == visit_id else self

    def phase(self, now: datetime) -> PresencePhase:
        """Where in the stay ``now`` is."""
        if not self.present(now):
            return PresencePhase.LEFT
        return PresencePhase.PRESENT if self.firm else PresencePhase.SEEN

    def present(self, now: datetime) -> bool:
        """Whether the last sighting still holds at ``now``."""
        return self.last is not None and now < self.last.captured_at + self.hold

    def settled(self, now: datetime) -> Presence:
        """The presence at ``now``: over, where the last sighting lies ahead since the clock was set back."""
        if self.last is None or self.last.captured_at <= now + self.hold:
            return self
        past = now - self.hold
        return replace(self, last=replace(self.last, captured_at=past), since=past)

    @property
    def leaves_at(self) -> datetime | None:
        """When the last sighting stops holding."""
        return None if self.last is None else self.last.captured_at + self.hold
