"""What is too old goes: which events those are, whether the clock can be believed, and when the file is rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from privface_backend.protocol import Outcome
from privface_backend.storage.database import Database
from privface_backend.storage.file import put_meta

_SEEN: Final = "purge_clock"
_HELD: Final = "purge_held_since"
_DUE: Final = "purge_scrub_due"
_SCRUBBED: Final = "purge_scrubbed_at"
_JUMP: Final = timedelta(days=7)
"""So much further on than at the last time, the clock is doubted."""
_HELD_FOR: Final = timedelta(days=1)
"""For so long it must go on from there before it is believed."""
_AHEAD: Final = timedelta(days=1)
"""What is dated further ahead than this was recorded by a clock that was wrong."""
_BETWEEN_SCRUBS: Final = timedelta(days=1)

_TOO_OLD: Final = """
    (outcome = :known AND ts < :cutoff) OR (outcome <> :known AND ts < :nameless)
    OR (ts > :ahead AND serial < (SELECT max(serial) FROM events WHERE ts < min(:cutoff, :nameless)))
"""
_COUNT: Final = "SELECT count(*), coalesce(sum(outcome <> :known), 0) FROM events WHERE" + _TOO_OLD  # noqa: S608  # constants
_REMOVE: Final = "DELETE FROM events WHERE" + _TOO_OLD  # noqa: S608  # constants


@dataclass(frozen=True, slots=True, kw_only=True)
class TooOld:
    """How many events are too old. ``unknown``: of those, how many name nobody."""

    events: int
    unknown: int


class ClockDoubt:
    """Whether the clock may be believed, from what it said at earlier times. Kept in the database."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    def last(self) -> datetime | None:
        """The last time that was believed; without one, when the newest event was told."""
        if (kept := self._database.get_meta(_SEEN)) is not None:
            return datetime.fromisoformat(kept)
        ((newest,),) = self._database.rows("SELECT max(ts) FROM events")
        return None if newest is None else datetime.fromtimestamp(newest / 1000, UTC)

    def ahead(self, now: datetime) -> timedelta | None:
        """By how much the clock has jumped; None: it hasn't, or it has gone on from there for a day."""
        last = self.last()
        if last is None or now - last <= _JUMP:
            return None
        held = self._held()
        if held is not None and _HELD_FOR <= now - held <= _HELD_FOR + _JUMP:
            return None
        return now - last

    def note(self, now: datetime, *, doubted: bool) -> None:
        """Remember the time: as the one since when it is doubted, or as the last that was believed."""
        held = self._held()
        with self._database.transaction() as connection:
            if not doubted:
                put_meta(connection, _SEEN, now.isoformat())
                connection.execute("DELETE FROM meta WHERE key = ?", (_HELD,))
            elif held is None or not timedelta(0) <= now - held <= _HELD_FOR + _JUMP:
                # Doubted from now on; also where it has jumped once more, or back.
                put_meta(connection, _HELD, now.isoformat())

    def _held(self) -> datetime | None:
        kept = self._database.get_meta(_HELD)
        return None if kept is None else datetime.fromisoformat(kept)


class Retention:
    """Removes old events. Called on the storage's thread."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self.clock: Final = ClockDoubt(database)

    def count(self, cutoff: datetime, nameless: datetime, now: datetime) -> TooOld:
        """How many events are too old: those that name somebody from before ``cutoff``, the others from before
        ``nameless``, and what a clock that was ahead dated into the future before any of these."""
        ((events, unknown),) = self._database.rows(_COUNT, _limits(cutoff, nameless, now))
        return TooOld(events=events, unknown=unknown)

    def remove(self, cutoff: datetime, nameless: datetime, now: datetime) -> TooOld:
        """Remove them."""
        limits = _limits(cutoff, nameless, now)
        with self._database.transaction() as connection:
            found = self.count(cutoff, nameless, now)
            if found.events:
                connection.execute(_REMOVE, limits)
                put_meta(connection, _DUE, now.isoformat())
        return found

    def overwrite(self, now: datetime, *, at_once: bool) -> bool | None:
        """Overwrite what was removed, at most once a day unless ``at_once``. None: there is nothing to overwrite, or
        it isn't time; False: the file is in use, and it is tried again later."""
        if self._database.get_meta(_DUE) is None:
            return None
        last = self._database.get_meta(_SCRUBBED)
        since = None if last is None else now - datetime.fromisoformat(last)
        if not at_once and since is not None and timedelta(0) <= since < _BETWEEN_SCRUBS:
            return None
        if not self._database.scrub():
            return False
        with self._database.transaction() as connection:
            put_meta(connection, _SCRUBBED, now.isoformat())
            connection.execute("DELETE FROM meta WHERE key = ?", (_DUE,))
        return True


def _limits(cutoff: datetime, nameless: datetime, now: datetime) -> dict[str, str | int]:
    return {
        "known": Outcome.KNOWN.value,
        "cutoff": _milliseconds(cutoff),
        "nameless": _milliseconds(nameless),
        "ahead": _milliseconds(now + _AHEAD),
    }


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
