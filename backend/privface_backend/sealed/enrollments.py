"""A sealed enrollment: the templates of one picture's face, without the picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from privface_backend.domain.faces import Vector
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.protocol import WireError
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.wire import read_list, read_mapping, read_number, read_text, read_vector, write_vector

MOST_TEMPLATES: Final = 32
_STRONGEST: Final = 0.5
_PICTURE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedEnrollment:
    """The vectors of one face, each with the privacy level that the user side made it at. ``picture``: what stands for
    the picture's file, so that it isn't enrolled twice; 64 hexadecimal digits that only the user side's key makes."""

    terms: SealedTerms
    vectors: tuple[tuple[PrivacyLevel, Vector], ...] = field(repr=False)
    picture: str = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "terms": self.terms.to_dict(),
            "picture": self.picture,
            "templates": [
                {"method": level.method, "relative": round(level.relative, 6), "vector": write_vector(vector)}
                for level, vector in self.vectors
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read one, strictly.

        Raises:
            WireError: it is none; the error names the place, never the value.
        """
        terms = SealedTerms.from_dict(read_mapping(data.get("terms"), "terms"))
        picture = data.get("picture")
        if not isinstance(picture, str) or not _PICTURE.fullmatch(picture):
            raise WireError("picture", "64 hexadecimal digits")
        templates = read_list(data.get("templates"), "templates", least=1, most=MOST_TEMPLATES)
        vectors = tuple(
            _read_template(read_mapping(template, f"templates.{place}"), f"templates.{place}", terms.contract.dimension)
            for place, template in enumerate(templates)
        )
        if len({level for level, _ in vectors}) != len(vectors):
            raise WireError("templates", "one template a level")
        return cls(terms=terms, vectors=vectors, picture=picture)

    @property
    def face(self) -> RepresentedFace:
        """What the gallery takes."""
        return RepresentedFace(contract=self.terms.contract, vectors=self.vectors)


def _read_template(data: Mapping[str, Any], key: str, dimension: int) -> tuple[PrivacyLevel, Vector]:
    relative = read_number(data.get("relative"), f"{key}.relative", 0.0, _STRONGEST)
    method = read_text(data.get("method"), f"{key}.method", 64)
    level = PrivacyLevel(method, relative) if relative > 0 else CLEAR
    return level, read_vector(data.get("vector"), f"{key}.vector", dimension)
