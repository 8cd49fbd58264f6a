"""Who is there: a pure state machine a person, fed with sightings, asked with the time.

Late and out-of-order sightings are judged by when the frame was captured, never by when it arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A person was named on a camera."""

    camera: str
    captured_at: datetime
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The newest sighting of a person, and how long it holds."""

    last: Sighting | None = None
    hold: timedelta = timedelta(seconds=30)

    def seen(self, sighting: Sighting) -> Presence:
        """The presence after a sighting; an older one than the last changes nothing."""
        if self.last is not None and sighting.captured_at < self.last.captured_at:
            return self
        return replace(self, last=sighting)

    def present(self, now: datetime) -> bool:
        """Whether the last sighting still holds at ``now``."""
        return self.last is not None and now < self.last.captured_at + self.hold

    def settled(self, now: datetime) -> Presence:
        """The presence at ``now``: over, where the last sighting lies ahead since the clock was set back."""
        if self.last is None or self.last.captured_at <= now + self.hold:
            return self
        return replace(self, last=replace(self.last, captured_at=now - self.hold))

    @property
    def leaves_at(self) -> datetime | None:
        """When the last sighting stops holding."""
        return None if self.last is None else self.last.captured_at + self.hold
