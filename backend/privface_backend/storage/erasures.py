"""Who was forgotten, by id alone: the receipts, what of them is still to be done, and pictures that are held back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from privface_backend.protocol import to_wire_time
from privface_backend.storage.database import Database
from privface_backend.storage.schema import sealed

_PATIENCE: Final = timedelta(seconds=30)
"""For how long the file's rewriting is left to the process that forgot somebody."""
SIGHTINGS: Final = "sightings"
"""The key of the single value that says where everybody was seen last."""
_PUT: Final = """
    INSERT OR REPLACE INTO erasures (person_id, forgotten_at, body, rewritten_at, cleared_at, digest)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_RECEIPTS: Final = "SELECT person_id, forgotten_at, body, rewritten_at, cleared_at FROM erasures "


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was removed with a person. ``counts``: by what it was; ``rewritten_at``: when the database's file was
    written anew without it; ``cleared_at``: when the service had taken them out of its memory and off the broker,
    ``cleared`` saying how much that was. None: it is still to come."""

    person_id: str
    forgotten_at: datetime
    counts: Mapping[str, int]
    templates_by_contract: Mapping[str, int] = field(default_factory=dict)
    rewritten_at: datetime | None = None
    cleared_at: datetime | None = None
    cleared: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return self.rewritten_at is not None and self.cleared_at is not None

    def to_dict(self) -> dict[str, object]:
        return {
            "person_id": self.person_id,
            "forgotten_at": to_wire_time(self.forgotten_at),
            **self.counts,
            "templates_by_contract": dict(self.templates_by_contract),
            "complete": self.is_complete,
            "file": {
                "state": "due" if self.rewritten_at is None else "rewritten",
                "at": None if self.rewritten_at is None else to_wire_time(self.rewritten_at),
            },
            "service": {
                "state": "due" if self.cleared_at is None else "cleared",
                "at": None if self.cleared_at is None else to_wire_time(self.cleared_at),
                "retained": self.cleared.get("retained", 0),
                "waiting": self.cleared.get("waiting", 0),
            },
        }


class Erasures:
    """The receipts in the database. Called on the storage's thread."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    def add(self, receipt: Receipt) -> None:
        """Keep a receipt, in the place of an older one for that id."""
        body = {
            "counts": dict(receipt.counts),
            "templates_by_contract": dict(receipt.templates_by_contract),
            "cleared": dict(receipt.cleared),
        }
        row = sealed(
            "erasures",
            receipt.person_id,
            _text(receipt.forgotten_at),
            json.dumps(body, separators=(",", ":")),
            _text(receipt.rewritten_at),
            _text(receipt.cleared_at),
        )
        with self._database.transaction(durable=True) as connection:
            connection.execute(_PUT, row)

    def get(self, person_id: str) -> Receipt | None:
        found = self._database.rows(_RECEIPTS + "WHERE person_id = ?", (person_id,))
        return _receipt(*found[0]) if found else None

    def list(self) -> tuple[Receipt, ...]:
        """All, oldest first."""
        rows = self._database.rows(_RECEIPTS + "ORDER BY forgotten_at, rowid")
        return tuple(_receipt(*row) for row in rows)

    def uncleared(self) -> tuple[str, ...]:
        """The ids of people whom the service has still to take out of its memory and off the broker."""
        return tuple(row[0] for row in self._database.rows("SELECT person_id FROM erasures WHERE cleared_at IS NULL"))

    def clear(self, person_id: str, cleared: Mapping[str, int], now: datetime) -> None:
        """Note that the service did its part."""
        receipt = self.get(person_id)
        if receipt is not None and receipt.cleared_at is None:
            self.add(replace(receipt, cleared=cleared, cleared_at=now))

    def finish(self, person_id: str, now: datetime) -> Receipt | None:
        """The receipt of somebody who was forgotten just now, by this process."""
        if self._database.scrub_if_due():
            self._rewritten((person_id,), now)
        return self.get(person_id)

    def finish_others(self, now: datetime) -> None:
        """Write the file anew where a process that forgot somebody could not, or ended before it did."""
        due = self._database.rows(
            "SELECT person_id FROM erasures WHERE rewritten_at IS NULL AND (forgotten_at < ? OR forgotten_at > ?)",
            (_text(now - _PATIENCE), _text(now + _PATIENCE)),
        )
        if due and self._database.scrub(patiently=False):
            self._rewritten([person_id for (person_id,) in due], now)

    def _rewritten(self, person_ids: Iterable[str], now: datetime) -> None:
        for person_id in person_ids:
            if (receipt := self.get(person_id)) is not None and receipt.rewritten_at is None:
                self.add(replace(receipt, rewritten_at=now))

    def hold_back(self, picture_digests: Iterable[str], now: datetime) -> int:
        """Keep pictures, by their files' sha256, from being enrolled from a directory again. How many are new."""
        with self._database.transaction(durable=True) as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO held_back (picture_digest, forgotten_at, digest) VALUES (?, ?, ?)",
                [sealed("held_back", digest, _text(now)) for digest in sorted(set(picture_digests))],
            )
            return connection.total_changes - before

    def held_back(self) -> frozenset[str]:
        """The pictures that are not enrolled from a directory, by their files' sha256."""
        return frozenset(row[0] for row in self._database.rows("SELECT picture_digest FROM held_back"))

    def release(self, picture_digests: Collection[str]) -> int:
        """Let pictures be enrolled again. How many were held back."""
        with self._database.transaction(durable=True) as connection:
            return connection.executemany(
                "DELETE FROM held_back WHERE picture_digest = ?", [(digest,) for digest in picture_digests]
            ).rowcount

    def forget_sightings(self, person_id: str) -> None:
        """Take a person out of what an ended service kept of who is where."""
        with self._database.transaction(durable=True):
            found = self._database.get_meta(SIGHTINGS)
            if found is None or json.dumps(person_id)[1:-1] not in found:
                return
            kept: list[dict[str, Any]] = [one for one in json.loads(found) if one.get("person_id") != person_id]
            self._database.set_meta(SIGHTINGS, json.dumps(kept), secret=True)


def _receipt(person_id: str, forgotten_at: str, body: str, rewritten_at: str | None, cleared_at: str | None) -> Receipt:
    document = json.loads(body)
    return Receipt(
        person_id=person_id,
        forgotten_at=datetime.fromisoformat(forgotten_at),
        counts=document["counts"],
        templates_by_contract=document["templates_by_contract"],
        rewritten_at=None if rewritten_at is None else datetime.fromisoformat(rewritten_at),
        cleared_at=None if cleared_at is None else datetime.fromisoformat(cleared_at),
        cleared=document["cleared"],
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
