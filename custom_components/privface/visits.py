"""What is known of visits: whose each is, by its newest event, and when it was seen. Pure, and in any order.

An event of a visit takes the place of the earlier ones, so one that corrects needs no more than to be taken in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from .api import Event, Outcome

STRANGER: Final = "stranger"
_MOST_VISITS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit before a camera (the backend's name of it).

    ``said``: whose it is, a person's id or ``STRANGER``, None where nobody can be named; ``said_at``: when the frame of
    the event that said so was captured; ``since``, ``seen``: the first and the last that is known of it; ``stranger``:
    the id of the stranger, the same at each of their visits, if the backend tells strangers apart.
    """

    visit_id: str
    camera: str
    since: datetime
    seen: datetime
    said: str | None
    said_at: datetime
    score: float | None
    stranger: str | None
    seq: int
    ts: datetime


class Visits:
    """The visits of all cameras, the newest ones."""

    def __init__(self) -> None:
        self._visits: Final[dict[str, Visit]] = {}

    def __iter__(self) -> Iterator[Visit]:
        return iter(self._visits.values())

    def take_event(self, event: Event, captured_at: datetime) -> tuple[Visit, ...]:
        """Take an event in, captured at that time; the visits that were forgotten for it."""
        told = Visit(
            visit_id=event.visit_id,
            camera=event.camera,
            since=captured_at,
            seen=captured_at,
            said=_read_owner(event),
            said_at=captured_at,
            score=event.score,
            stranger=None if event.stranger is None else event.stranger.id,
            seq=event.seq,
            ts=event.ts,
        )
        known = self._visits.get(event.visit_id)
        if known is not None:
            if (told.seq, told.ts) == (known.seq, known.ts):
                # Snapshots repeat it.
                return ()
            newest = told if (told.seq, told.ts) > (known.seq, known.ts) else known
            told = replace(newest, since=min(told.since, known.since), seen=max(told.seen, known.seen))
        self._visits[event.visit_id] = told
        forgotten: list[Visit] = []
        while len(self._visits) > _MOST_VISITS:
            oldest = min(self._visits.values(), key=lambda visit: visit.seen)
            forgotten.append(self._visits.pop(oldest.visit_id))
        return tuple(forgotten)

    def of(self, owner: str, camera: str) -> list[Visit]:
        """The visits of somebody before a camera, that which was seen last at the end."""
        visits = (visit for visit in self if (visit.said, visit.camera) == (owner, camera))
        return sorted(visits, key=lambda visit: (visit.seen, visit.since, visit.visit_id))

    def see(self, visit: Visit, captured_at: datetime) -> None:
        """Note that a visit goes on: it was seen then, too."""
        self._visits[visit.visit_id] = replace(visit, seen=max(visit.seen, captured_at))


def _read_owner(event: Event) -> str | None:
    if event.outcome is Outcome.UNKNOWN:
        return STRANGER
    return event.person_id if event.outcome is Outcome.KNOWN else None
