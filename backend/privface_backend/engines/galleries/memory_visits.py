"""What is remembered of visits, in dictionaries."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import KeptVisit, NegativeExample, RememberedFace, Stranger, check_faces
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


class DictVisitMemory:
    """The port's memory until the process ends. ``people``: the ids of those who are there, as they change."""

    def __init__(self, people: Container[str]) -> None:
        self._people: Final = people
        self._visits: Final[dict[str, KeptVisit]] = {}
        self._strangers: Final[dict[str, Stranger]] = {}
        self._negatives: Final[dict[str, NegativeExample]] = {}
        self._number = 0
        self._revision = 0

    @property
    def tables(self) -> tuple[dict[Any, Any], ...]:
        """All that can change, to be put back as it was."""
        return self._visits, self._strangers, self._negatives

    def keep_visit(self, visit: KeptVisit) -> bool:
        _check(visit.faces, visit.contract)
        if visit.person_id is not None and visit.person_id not in self._people:
            return False
        if visit.stranger_id is not None and visit.stranger_id not in self._strangers:
            return False
        self._visits[visit.id] = visit
        return True

    def visit(self, visit_id: str) -> KeptVisit | None:
        return self._visits.get(visit_id)

    def visits(self) -> Sequence[KeptVisit]:
        return tuple(sorted(self._visits.values(), key=lambda visit: visit.last_seen))

    def remove_visit(self, visit_id: str) -> bool:
        return self._visits.pop(visit_id, None) is not None

    def next_stranger_number(self) -> int:
        self._number += 1
        return self._number

    def last_stranger_number(self) -> int:
        return self._number

    def put_stranger(self, stranger: Stranger, *, new: bool = False) -> bool:
        _check(stranger.faces, stranger.contract)
        if not new and stranger.id not in self._strangers:
            return False
        if any(other.number == stranger.number for other in self._strangers.values() if other.id != stranger.id):
            raise PrivFaceError(ErrorCode.CONFLICT, "There is a stranger of that number already.")
        self._number = max(self._number, stranger.number)
        self._strangers[stranger.id] = stranger
        self._revision += 1
        return True

    def strangers(self, contract: Contract | None = None) -> Sequence[Stranger]:
        chosen = (one for one in self._strangers.values() if contract is None or one.contract == contract.key)
        return tuple(sorted(chosen, key=lambda stranger: stranger.number))

    def remove_stranger(self, stranger_id: str, *, heir: str | None = None) -> bool:
        if heir is not None and heir not in self._people:
            raise PrivFaceError(ErrorCode.CONFLICT, "There is no such person.")
        if self._strangers.pop(stranger_id, None) is None:
            return False
        for visit in [visit for visit in self._visits.values() if visit.stranger_id == stranger_id]:
            if heir is None:
                del self._visits[visit.id]
            else:
                self._visits[visit.id] = replace(visit, person_id=heir, stranger_id=None)
        self._revision += 1
        return True

    def add_negative(self, negative: NegativeExample) -> bool:
        _check(negative.faces, negative.contract)
        if negative.person_id not in self._people:
            return False
        self._negatives[negative.id] = negative
        self._revision += 1
        return True

    def negatives(self, contract: Contract | None = None) -> Sequence[NegativeExample]:
        chosen = (one for one in self._negatives.values() if contract is None or one.contract == contract.key)
        return tuple(sorted(chosen, key=lambda negative: negative.created_at))

    def remove_negative(self, negative_id: str) -> bool:
        return self._drop_negatives([one.id for one in self._negatives.values() if one.id == negative_id]) > 0

    def remove_negatives(self, person_id: str) -> int:
        return self._drop_negatives([one.id for one in self._negatives.values() if one.person_id == person_id])

    def remove_visits(self, person_id: str) -> int:
        gone = [visit.id for visit in self._visits.values() if visit.person_id == person_id]
        for visit_id in gone:
            del self._visits[visit_id]
        return len(gone)

    def purge(self, older_than: datetime) -> int:
        visits = [visit.id for visit in self._visits.values() if visit.last_seen < older_than]
        for visit_id in visits:
            del self._visits[visit_id]
        strangers = [stranger.id for stranger in self._strangers.values() if stranger.last_seen < older_than]
        for stranger_id in strangers:
            self.remove_stranger(stranger_id)
        return len(visits) + len(strangers)

    def revision(self) -> int:
        return self._revision

    def _drop_negatives(self, negative_ids: Sequence[str]) -> int:
        for negative_id in negative_ids:
            del self._negatives[negative_id]
        self._revision += bool(negative_ids)
        return len(negative_ids)


def _check(faces: Sequence[RememberedFace], contract: str) -> None:
    check_faces(faces, contract)
    if len({face.level for face in faces}) < len(faces):
        raise PrivFaceError(ErrorCode.CONFLICT, "There is one face a level.")
