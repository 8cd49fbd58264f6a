"""A person's data as one document, for the person: what PrivFace knows of them, in words that a program can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Contract
from privface_backend.domain.memory import RememberedFace
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protocol import Event, to_wire_time
from privface_backend.storage.events import LONGEST_PAGE, EventLog

FORMAT: Final = "privface-person-1"


class PersonExport:
    """Gathers it. On the storage's thread."""

    def __init__(self, store: GalleryStore, events: EventLog | None, clock: Callable[[], datetime]) -> None:
        self._store: Final = store
        self._events: Final = events
        self._clock: Final = clock

    def gather(self, person_id: str, *, vectors: bool) -> dict[str, Any] | None:
        """The document; None: there is no such person. ``vectors``: with the numbers of the templates."""
        person = next((one for one in self._store.people() if one.id == person_id), None)
        if person is None:
            return None
        memory = self._store.memory
        return {
            "format": FORMAT,
            "exported_at": to_wire_time(self._clock()),
            "person": _describe(person),
            "faces": self._faces(person_id, vectors=vectors),
            "events": [event.to_dict() for event in self._events_of(person_id)],
            "visits": [
                {
                    "id": visit.id,
                    "camera": visit.camera,
                    "last_seen": to_wire_time(visit.last_seen),
                    "templates": _remembered(visit.contract, visit.faces, vectors=vectors),
                }
                for visit in memory.visits()
                if visit.person_id == person_id
            ],
            # Made of somebody else's face: that it isn't theirs is what it says of them, so without its numbers.
            "negative_examples": [
                {"id": negative.id, "created_at": to_wire_time(negative.created_at)}
                for negative in memory.negatives()
                if negative.person_id == person_id
            ],
        }

    def _faces(self, person_id: str, *, vectors: bool) -> list[dict[str, Any]]:
        faces = self._store.faces(person_id)
        ids = {face.id for face in faces}
        templates: dict[str, list[dict[str, Any]]] = {}
        for key in sorted(self._store.contracts()):
            for template in self._store.templates(Contract.from_key(key)):
                if template.face_id in ids:
                    described = _template(key, template.level, template.vector, vectors=vectors)
                    templates.setdefault(template.face_id, []).append(described)
        return [_face(face, templates.get(face.id, [])) for face in faces]

    def _events_of(self, person_id: str) -> Iterable[Event]:
        """Oldest first."""
        if self._events is None:
            return ()
        found: list[Event] = []
        before: str | None = None
        while page := self._events.list(limit=LONGEST_PAGE, before=before, person_id=person_id):
            found += page
            before = page[-1].event_id
        return reversed(found)


def _describe(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "created_at": to_wire_time(person.created_at),
        "ignored": person.ignored,
        "consent": None if person.consent is None else person.consent.to_dict(),
    }


def _face(face: EnrolledFace, templates: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": face.id,
        "created_at": to_wire_time(face.created_at),
        "source": face.source,
        "picture_sha256": face.picture_digest,
        "from_folder": bool(face.folder),
        "templates": templates,
    }


def _template(contract: str, level: PrivacyLevel, vector: Vector, *, vectors: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "contract": contract,
        "method": level.method,
        "relative": level.relative,
        "dimension": int(vector.shape[0]),
    }
    return described | {"vector": [float(value) for value in vector]} if vectors else described


def _remembered(contract: str, faces: Sequence[RememberedFace], *, vectors: bool) -> list[dict[str, Any]]:
    return [_template(contract, face.level, face.vector, vectors=vectors) for face in faces]
