"""Frigate's clock beside ours: its times are turned into ours, also where it is an hour off."""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

_LOGGER: Final = logging.getLogger(__name__)
_TOLERATED: Final = 10.0
_REMEMBERED: Final = 64
_REMEMBERED_SECONDS: Final = 60.0


class ForeignClock:
    """Learns from messages, which say when they are from, how far Frigate's clock is from ours.

    The shortest delay of the last minute counts: a message may take its time, but none comes before it was sent. Up to
    ten seconds are taken for that time, and nothing is corrected. More than a minute from one message to the next is
    a clock that was set.
    """

    def __init__(self) -> None:
        self._delays: Final[deque[tuple[datetime, float]]] = deque(maxlen=_REMEMBERED)
        self._off = False

    @property
    def behind(self) -> float:
        """Seconds to add to Frigate's times; less than 0 where its clock is ahead."""
        shortest = min((delay for _, delay in self._delays), default=0.0)
        return shortest if abs(shortest) > _TOLERATED else 0.0

    def learn(self, frame_time: float, received_at: datetime) -> None:
        """Take note of a message about a frame of ``frame_time`` that came just now."""
        oldest = received_at - timedelta(seconds=_REMEMBERED_SECONDS)
        while self._delays and not oldest <= self._delays[0][0] <= received_at:
            self._delays.popleft()
        delay = received_at.timestamp() - frame_time
        if self._delays and abs(delay - min(before for _, before in self._delays)) > _REMEMBERED_SECONDS:
            self._delays.clear()
        self._delays.append((received_at, delay))
        self._tell()

    def to_ours(self, frame_time: float, now: datetime) -> datetime:
        """The moment of a frame by our clock; never after ``now``."""
        try:
            return min(datetime.fromtimestamp(frame_time + self.behind, UTC), now)
        except (OverflowError, OSError, ValueError):
            return now

    def _tell(self) -> None:
        behind = self.behind
        if (behind != 0.0) is self._off:
            return
        self._off = behind != 0.0
        if self._off:
            way = "behind" if behind > 0 else "ahead of"
            _LOGGER.warning("Frigate's clock is %.0f seconds %s ours; its times are corrected", abs(behind), way)
        else:
            _LOGGER.info("Frigate's clock is right again")
