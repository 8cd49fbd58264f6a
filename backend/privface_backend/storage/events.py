"""The log of events, for as long as they are kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from privface_backend.domain.explanations import Explanation, without_person
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Event, Outcome
from privface_backend.storage.database import Database
from privface_backend.storage.schema import SqlValue, sealed

LONGEST_PAGE: Final = 1000

_PAGE: Final = """
    SELECT serial, event_id, body FROM events
    WHERE (:before IS NULL OR serial < :before) AND (:after IS NULL OR serial > :after)
      AND (:camera IS NULL OR camera = :camera) AND (:person_id IS NULL OR person_id = :person_id)
      AND (:outcome IS NULL OR outcome = :outcome) AND (:since IS NULL OR ts >= :since)
"""
_EXPLAIN: Final = """
    INSERT INTO explanations (event_id, body, digest) VALUES (?, ?, ?)
    ON CONFLICT (event_id) DO UPDATE SET body = excluded.body, digest = excluded.digest
"""
_NONE: Final[Mapping[str, Explanation]] = MappingProxyType({})
_NEWEST_FIRST: Final = _PAGE + "ORDER BY serial DESC LIMIT :limit"
_OLDEST_FIRST: Final = _PAGE + "ORDER BY serial ASC LIMIT :limit"


class EventLog:
    """Events in the order in which they were appended. Called on the storage's thread."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    def append(self, event: Event) -> None:
        self.extend((event,))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """While the block lasts, no other process changes anything: not who is enrolled, either."""
        with self._database.transaction():
            yield

    def extend(self, events: Iterable[Event], explanations: Mapping[str, Explanation] = _NONE) -> None:
        """Add events, all or none; one whose id is there already takes the place of the older one.

        ``explanations``: plain JSON by event id; those of events that are not among ``events`` are left out.
        """
        rows = [self._row(event) for event in events]
        added = {row[0] for row in rows}
        explained = [(_storable(event_id), explanation) for event_id, explanation in explanations.items()]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO events (event_id, ts, camera, person_id, outcome, body, digest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO UPDATE SET ts = excluded.ts, "
                "camera = excluded.camera, person_id = excluded.person_id, outcome = excluded.outcome, "
                "body = excluded.body, digest = excluded.digest",
                rows,
            )
            connection.executemany(
                _EXPLAIN,
                [self._explanation_row(event_id, why) for event_id, why in explained if event_id in added],
            )

    def explanation(self, event_id: str) -> dict[str, Any] | None:
        """Why an event came out as it did, as it was given; None: nothing is known of that (any more)."""
        key = _storable(event_id)
        found = self._database.rows("SELECT body FROM explanations WHERE event_id = ?", (key,))
        return dict(json.loads(self._open("explanations", key, found[0][0]))) if found else None

    def get(self, event_id: str) -> Event | None:
        key = _storable(event_id)
        found = self._database.rows("SELECT body FROM events WHERE event_id = ?", (key,))
        return self._event(key, found[0][0]) if found else None

    def list(
        self,
        *,
        limit: int = 100,
        before: str | None = None,
        after: str | None = None,
        camera: str | None = None,
        person_id: str | None = None,
        outcome: Outcome | None = None,
        since: datetime | None = None,
    ) -> Sequence[Event]:
        """Events, newest first: the newest, or those next to the event whose id is ``before`` or ``after``.

        At most ``limit``, and never over 1,000.

        Raises:
            PrivFaceError: ``event_not_found``: there is no event of that id any more.
        """
        rows = self._database.rows(
            _NEWEST_FIRST if after is None else _OLDEST_FIRST,
            {
                "limit": max(1, min(limit, LONGEST_PAGE)),
                "before": self._serial(before),
                "after": self._serial(after),
                "camera": None if camera is None else self._database.seals.protection.lookup(camera),
                "person_id": None if person_id is None else _storable(person_id),
                "outcome": None if outcome is None else outcome.value,
                "since": None if since is None else _milliseconds(since),
            },
        )
        rows.sort(key=lambda row: -int(row[0]))
        return [self._event(event_id, body) for _, event_id, body in rows]

    def count(self) -> int:
        return int(self._database.rows("SELECT count(*) FROM events")[0][0])

    def forget_person(self, person_id: str, visit_ids: Collection[str] = ()) -> tuple[int, int]:
        """Remove the events of a person, and those of ``visit_ids``, that were theirs whatever was said of them; and
        that other events took these back. How many events were removed, and how many of others changed."""
        with self._database.transaction(durable=True) as connection:
            removed: set[str] = set()
            others: list[Event] = []
            for event_id, body in connection.execute("SELECT event_id, body FROM events"):
                event = self._event(event_id, body)
                if event.person_id == person_id or event.visit_id in visit_ids:
                    removed.add(event.event_id)
                elif event.corrects is not None:
                    others.append(event)
            ids = [(_storable(event_id),) for event_id in removed]
            connection.executemany("DELETE FROM events WHERE event_id = ?", ids)
            changed = [replace(event, corrects=None) for event in others if event.corrects in removed]
            self.extend(changed)
        if removed or changed:
            self._database.scrub()
        return len(removed), len(changed)

    def forget_mentions(self, person_id: str) -> int:
        """Take a person out of the explanations of events that name somebody else or nobody, and overwrite what that
        held. How many explanations there were."""
        with self._database.transaction(durable=True) as connection:
            rows = connection.execute("SELECT event_id, body FROM explanations").fetchall()
            told = ((event_id, self._open("explanations", event_id, body)) for event_id, body in rows)
            sought = json.dumps(person_id)[1:-1]
            changed = [
                self._explanation_row(event_id, without_person(json.loads(body), person_id))
                for event_id, body in told
                if sought in body
            ]
            connection.executemany(_EXPLAIN, changed)
        if changed:
            self._database.scrub()
        return len(changed)

    def _row(self, event: Event) -> tuple[SqlValue, ...]:
        event_id = _storable(event.event_id)
        body = json.dumps(event.to_dict(), separators=(",", ":"))
        seals = self._database.seals
        return sealed(
            "events",
            event_id,
            _milliseconds(event.ts),
            seals.protection.lookup(event.camera),
            None if event.person_id is None else _storable(event.person_id),
            event.outcome.value,
            seals.seal(body, "events", "body", event_id),
        )

    def _event(self, event_id: str, body: bytes) -> Event:
        return Event.from_dict(json.loads(self._open("events", event_id, body)))

    def _explanation_row(self, event_id: str, explanation: Explanation) -> tuple[SqlValue, ...]:
        body = json.dumps(explanation, separators=(",", ":"), default=dict)
        return sealed("explanations", event_id, self._database.seals.seal(body, "explanations", "body", event_id))

    def _open(self, table: str, event_id: str, body: bytes) -> str:
        return self._database.seals.open(body, table, "body", event_id)

    def _serial(self, event_id: str | None) -> int | None:
        if event_id is None:
            return None
        found = self._database.rows("SELECT serial FROM events WHERE event_id = ?", (_storable(event_id),))
        if not found:
            raise PrivFaceError(ErrorCode.EVENT_NOT_FOUND, "There is no event of that id any more.")
        return int(found[0][0])


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)


def _storable(text: str) -> str:
    # JSON can carry half a surrogate pair, which no UTF-8 can.
    return text.encode("utf-8", "replace").decode("utf-8")
