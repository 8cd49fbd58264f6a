"""What is remembered of visits for a while: their faces, strangers without a name, and who somebody is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from privface_backend.domain.faces import Vector
from privface_backend.domain.privacy import PrivacyLevel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RememberedFace:
    """The faces of a visit at one privacy level, as one unit vector. ``weight``: how much stands behind it, above 0."""

    level: PrivacyLevel
    weight: float
    vector: Vector = field(repr=False)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NegativeExample:
    """Faces that are not of this person, whatever they look like: what somebody said of a visit."""

    id: str
    person_id: str
    contract: str
    created_at: datetime
    faces: tuple[RememberedFace, ...] = field(repr=False)
