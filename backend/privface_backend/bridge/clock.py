"""How far the backend's clock is from this one, told from its answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_TOLERANCE: Final = timedelta(seconds=2)


@dataclass(slots=True)
class BackendClock:
    """``offset``: what to add to a time of this clock to get the backend's; moved no further than answers ask for."""

    offset: timedelta = timedelta()

    def note(self, told: datetime, *, asked: datetime, answered: datetime, exact: timedelta = timedelta()) -> None:
        """Take in the time that an answer told: somewhere between ``asked`` and ``answered`` by this clock, cut down to
        ``exact``."""
        low, high = told - answered, told + exact - asked
        self.offset = min(max(self.offset, low), max(low, high))

    def note_header(self, text: str | None, *, asked: datetime, answered: datetime) -> None:
        """The same from an answer's header ``Date``, whole seconds."""
        try:
            told = parsedate_to_datetime(text or "")
        except ValueError:
            return
        if told.tzinfo is not None:
            self.note(told, asked=asked, answered=answered, exact=timedelta(seconds=1))

    def to_backend(self, moment: datetime) -> datetime:
        """A time of this clock as the backend's clock has it; as it is where the two agree to two seconds."""
        return moment if abs(self.offset) <= _TOLERANCE else moment + self.offset
