"""What is remembered of visits for a while: their faces, strangers without a name, and who somebody is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Contract
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, to_wire_time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RememberedFace:
    """The faces of a visit at one privacy level, as one unit vector. ``weight``: how much stands behind it, above 0.

    What holds several has one a level."""

    level: PrivacyLevel
    weight: float
    vector: Vector = field(repr=False)


def check_faces(faces: Sequence[RememberedFace], contract: str) -> None:
    """Refuse faces that nothing could be compared with, or that are not of the contract of that key.

    Raises:
        PrivFaceError: ``engine_failed``.
    """
    dimension = Contract.from_key(contract).dimension
    if not all(
        face.vector.shape == (dimension,) and np.isfinite(face.vector).all() and 0 < face.weight < inf for face in faces
    ):
        raise PrivFaceError(ErrorCode.ENGINE_FAILED, "The recognizer gave no usable template.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptVisit:
    """A visit that can still be corrected. ``person_id``: who was named; ``stranger_id``: whose visit it is.

    ``contract``: the key of the embedding contract that its faces belong to.
    """

    id: str
    camera: str
    last_seen: datetime
    contract: str
    faces: tuple[RememberedFace, ...] = field(repr=False)
    person_id: str | None = None
    stranger_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stranger:
    """Somebody without a name who may come back. ``number`` is never given to another one; ``visits`` counts from 1."""

    id: str
    number: int
    contract: str
    first_seen: datetime
    last_seen: datetime
    camera: str
    visits: int = 1
    faces: tuple[RememberedFace, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "number": self.number,
            "visits": self.visits,
            "camera": self.camera,
            "first_seen": to_wire_time(self.first_seen),
            "last_seen": to_wire_time(self.last_seen),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NegativeExample:
    """Faces that are not of this person, whatever they look like: what somebody said of a visit."""

    id: str
    person_id: str
    contract: str
    created_at: datetime
    faces: tuple[RememberedFace, ...] = field(repr=False)
