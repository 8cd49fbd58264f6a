"""What enrollment hands over: one picture's face."""

from __future__ import annotations

from dataclasses import dataclass, field

from privface_backend.domain.faces import Vector
from privface_backend.domain.matching import Contract
from privface_backend.domain.privacy import PrivacyLevel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepresentedFace:
    """The vectors of one picture's face, each with the privacy level that it was made at."""

    contract: Contract
    vectors: tuple[tuple[PrivacyLevel, Vector], ...] = field(repr=False)
