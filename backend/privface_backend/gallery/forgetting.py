"""Forgetting a person: all that names them, is about them, or was made of their face."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import numpy as np

from privface_backend.domain.faces import Vector, Vectors
from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import KeptVisit
from privface_backend.domain.people import EnrolledFace
from privface_backend.plugins.ports import GalleryStore
from privface_backend.storage.erasures import Erasures, Receipt
from privface_backend.storage.events import EventLog

_SAME: Final = 1.0 - 1e-4
"""The cosine from which on two vectors are copies of one: whoever stored them may have rounded."""


class _Remembered(Protocol):
    """Somebody's face, as one level remembers it."""

    @property
    def vector(self) -> Vector: ...


class Forgetting:
    """Forgets in the store, the log and the database's single values. On the storage's thread."""

    def __init__(
        self,
        *,
        store: GalleryStore,
        events: EventLog | None,
        erasures: Erasures | None,
        clear_caches: Callable[[], int],
        clock: Callable[[], datetime],
    ) -> None:
        self._store: Final = store
        self._events: Final = events
        self._erasures: Final = erasures
        self._clear_caches: Final = clear_caches
        self._clock: Final = clock

    def forget(self, person_id: str, pictures: Collection[str] = ()) -> Receipt | None:
        """Forget a person; None: there is no such person. ``pictures``: the sha256 of files that lie where people are
        enrolled from, under their name.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``.
        """
        if all(person.id != person_id for person in self._store.people()):
            return None
        cached = self._clear_caches()
        now = self._clock()
        with self._store.transaction():
            receipt = self._remove(person_id, pictures, cached, now)
            if self._erasures is not None:
                self._erasures.add(receipt)
        if self._erasures is not None:
            return self._erasures.finish(person_id, self._clock())
        return receipt

    def _remove(self, person_id: str, pictures: Collection[str], cached: int, now: datetime) -> Receipt:
        store, memory = self._store, self._store.memory
        faces = store.faces(person_id)
        before = store.contracts()
        theirs = self._vectors(person_id, faces)
        visits = [visit for visit in memory.visits() if visit.person_id == person_id or theirs.any_of(visit)]
        counts = Counter[str](faces=len(faces), cached=cached, **self._forget_others(person_id, theirs))
        counts["visits"] += sum(memory.remove_visit(visit.id) for visit in visits)
        counts["negatives"] = memory.remove_negatives(person_id)
        counts.update(self._forget_events(person_id, visits))
        counts.update(self._hold_back(faces, pictures, now))
        store.remove_person(person_id)
        after = store.contracts()
        templates = {key: number - after.get(key, 0) for key, number in before.items() if number > after.get(key, 0)}
        counts["templates"] = sum(templates.values())
        return Receipt(person_id=person_id, forgotten_at=now, counts=dict(counts), templates_by_contract=templates)

    def _vectors(self, person_id: str, faces: Sequence[EnrolledFace]) -> _Vectors:
        """Everything that is kept of the person's face."""
        found = _Vectors()
        ids = {face.id for face in faces}
        for key in self._store.contracts():
            found.add(key, (one for one in self._store.templates(Contract.from_key(key)) if one.face_id in ids))
        for visit in self._store.memory.visits():
            if visit.person_id == person_id:
                found.add(visit.contract, visit.faces)
        return found

    def _forget_others(self, person_id: str, theirs: _Vectors) -> dict[str, int]:
        """Remove what was made of the person's face and kept as somebody else's: what others are not, and strangers."""
        memory = self._store.memory
        denied = [one for one in memory.negatives() if one.person_id != person_id and theirs.any_of(one)]
        strangers = [one for one in memory.strangers() if theirs.any_of(one)]
        gone = {stranger.id for stranger in strangers}
        visits = sum(visit.stranger_id in gone and visit.person_id != person_id for visit in memory.visits())
        return {
            "others_negatives": sum(memory.remove_negative(one.id) for one in denied),
            "strangers": sum(memory.remove_stranger(one.id) for one in strangers),
            "visits": visits,
        }

    def _forget_events(self, person_id: str, visits: Sequence[KeptVisit]) -> dict[str, int]:
        if self._erasures is not None:
            self._erasures.forget_sightings(person_id)
        if self._events is None:
            return {"events": 0, "explanations": 0, "corrections": 0}
        events, corrections = self._events.forget_person(person_id, {visit.id for visit in visits})
        return {
            "events": events,
            "explanations": self._events.forget_mentions(person_id),
            "corrections": corrections,
        }

    def _hold_back(self, faces: Sequence[EnrolledFace], pictures: Collection[str], now: datetime) -> dict[str, int]:
        """Keep the person's pictures from being enrolled from a directory again."""
        enrolled = [face for face in faces if face.folder]
        digests = {face.picture_digest for face in enrolled if face.picture_digest} | set(pictures)
        if self._erasures is not None:
            self._erasures.hold_back(digests, now)
        return {"folder_pictures": len(enrolled), "held_back": 0 if self._erasures is None else len(digests)}


class _Contents(Protocol):
    """Faces that belong to one embedding contract."""

    @property
    def contract(self) -> str: ...

    @property
    def faces(self) -> Sequence[_Remembered]: ...


class _Vectors:
    """One person's unit vectors, by the key of their contract."""

    def __init__(self) -> None:
        self._by_contract: Final[defaultdict[str, list[Vector]]] = defaultdict(list)
        self._stacked: Mapping[str, Vectors] = {}

    def add(self, contract: str, faces: Iterable[_Remembered]) -> None:
        self._by_contract[contract] += [face.vector for face in faces]
        self._stacked = {key: np.stack(vectors) for key, vectors in self._by_contract.items() if vectors}

    def any_of(self, kept: _Contents) -> bool:
        """Whether one of them is among these faces."""
        ours = self._stacked.get(kept.contract)
        if ours is None or not kept.faces:
            return False
        return bool((ours @ np.stack([face.vector for face in kept.faces]).T).max() >= _SAME)
