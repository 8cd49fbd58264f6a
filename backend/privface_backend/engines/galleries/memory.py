"""A gallery that is gone when the process ends, for tests and trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from privface_backend.domain.consent import Consent
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.people import EnrolledFace, Person, same_name
from privface_backend.engines.galleries.memory_visits import DictVisitMemory
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode


class MemoryGalleryStore:
    """The port's store in dictionaries."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self._faces: dict[str, EnrolledFace] = {}
        self._templates: dict[tuple[str, str], tuple[Template, ...]] = {}
        self._revision = 0
        self._memory = DictVisitMemory(self._people)

    @property
    def memory(self) -> DictVisitMemory:
        return self._memory

    def close(self) -> None:
        """Nothing to do."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        tables: tuple[dict[Any, Any], ...] = (self._people, self._faces, self._templates, *self._memory.tables)
        before = [dict(table) for table in tables]
        try:
            yield
        except BaseException:
            for table, rows in zip(tables, before, strict=True):
                table.clear()
                table.update(rows)
            raise

    def people(self) -> Sequence[Person]:
        counts = Counter(face.person_id for face in self._faces.values())
        oldest_first = sorted(self._people.values(), key=lambda person: person.created_at)
        return tuple(replace(person, faces=counts[person.id]) for person in oldest_first)

    def add_person(self, person: Person, *, allow_duplicate: bool = True) -> bool:
        if not allow_duplicate and any(same_name(other.name, person.name) for other in self._people.values()):
            return False
        if person.id in self._people:
            raise PrivFaceError(ErrorCode.CONFLICT, "There is a person of that id already.")
        self._people[person.id] = person
        self._revision += 1
        return True

    def rename_person(self, person_id: str, name: str) -> bool:
        if person_id not in self._people:
            return False
        self._people[person_id] = replace(self._people[person_id], name=name)
        self._revision += 1
        return True

    def remove_person(self, person_id: str) -> bool:
        if self._people.pop(person_id, None) is None:
            return False
        for face in self.faces(person_id):
            self._drop_face(face.id)
        self._memory.remove_negatives(person_id)
        self._memory.remove_visits(person_id)
        self._revision += 1
        return True

    def set_ignored(self, person_id: str, ignored: bool) -> bool:
        if person_id not in self._people:
            return False
        if self._people[person_id].ignored != ignored:
            self._people[person_id] = replace(self._people[person_id], ignored=ignored)
            self._revision += 1
        return True

    def set_consent(self, person_id: str, consent: Consent) -> bool:
        if person_id not in self._people:
            return False
        self._people[person_id] = replace(self._people[person_id], consent=consent)
        self._revision += 1
        return True

    def faces(self, person_id: str | None = None) -> Sequence[EnrolledFace]:
        chosen = (face for face in self._faces.values() if person_id in (None, face.person_id))
        return tuple(sorted(chosen, key=lambda face: face.created_at))

    def add_face(self, face: EnrolledFace, contract: Contract, templates: Sequence[Template]) -> None:
        if face.person_id not in self._people:
            raise PrivFaceError(ErrorCode.PERSON_NOT_FOUND, "There is no such person.")
        if (face.id, contract.key) in self._templates or self._has_picture(face):
            raise PrivFaceError(ErrorCode.CONFLICT, "This face, or another one of this picture, is enrolled already.")
        if len({template.level for template in templates}) < len(templates):
            raise PrivFaceError(ErrorCode.CONFLICT, "A face has one template at each level.")
        self._faces.setdefault(face.id, face)
        self._templates[face.id, contract.key] = tuple(
            replace(template, face_id=face.id, person_id=face.person_id) for template in templates
        )
        self._revision += 1

    def remove_face(self, face_id: str) -> bool:
        if face_id not in self._faces:
            return False
        self._drop_face(face_id)
        self._revision += 1
        return True

    def templates(self, contract: Contract) -> Sequence[Template]:
        return tuple(
            template for (_, key), group in self._templates.items() if key == contract.key for template in group
        )

    def contracts(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for (_, key), group in self._templates.items():
            if group:
                counts[key] += len(group)
        return dict(counts)

    def revision(self) -> int:
        return self._revision

    def _has_picture(self, face: EnrolledFace) -> bool:
        return bool(face.picture_digest) and any(
            other.id != face.id and (other.person_id, other.picture_digest) == (face.person_id, face.picture_digest)
            for other in self._faces.values()
        )

    def _drop_face(self, face_id: str) -> None:
        del self._faces[face_id]
        for key in [key for key in self._templates if key[0] == face_id]:
            del self._templates[key]


def create(_context: EngineContext) -> MemoryGalleryStore:
    return MemoryGalleryStore()
