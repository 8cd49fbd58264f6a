"""People and their enrolled faces."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from privface_backend.domain.consent import Consent
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, to_wire_time

LONGEST_NAME: Final = 64
# Some scripts are spelled with these two, which can't be seen.
_JOINERS: Final = dict.fromkeys(map(ord, "\u200c\u200d"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of the household. ``id``: a UUID that never changes; the name can.

    ``ignored``: they are recognized, but nobody is told. ``consent``: None where none is on record.
    """

    id: str
    name: str = field(repr=False)
    created_at: datetime
    faces: int = 0
    ignored: bool = False
    consent: Consent | None = None

    def to_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "created_at": to_wire_time(self.created_at),
            "faces": self.faces,
            "ignored": self.ignored,
            # Without its note, which is not for everybody who is told of people.
            "consent": None if self.consent is None else self.consent.given_on.isoformat(),
            "consent_withdrawn": self.consent is not None and not self.consent.holds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledFace:
    """One picture's face. ``source``: the picture's path in the enrolled directory, or empty; ``picture_digest``:
    the sha256 of the file that it came from, so that the same picture isn't enrolled twice; ``folder``: the id of
    the directory that it was enrolled from, or empty."""

    id: str
    person_id: str
    created_at: datetime
    source: str = field(repr=False)
    picture_digest: str = field(repr=False)
    folder: str = ""


def clean_name(name: str) -> str:
    """A person's name as it is kept: NFC, single spaces.

    Raises:
        PrivFaceError: ``bad_name``: empty, too long, or with control characters.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    visible = cleaned.translate(_JOINERS)
    controls = any(unicodedata.category(character)[0] == "C" for character in visible)
    if not visible or len(cleaned) > LONGEST_NAME or controls:
        raise PrivFaceError(
            ErrorCode.BAD_NAME,
            "That name can't be used.",
            allowed=f"1 to {LONGEST_NAME} characters, no control characters",
        )
    return cleaned


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same to a reader: case and the form of accents apart."""
    return folded_name(one) == folded_name(other)


def folded_name(name: str) -> str:
    """What all names have in common that are the same to a reader."""
    # Folding the case takes some accents off their letters again.
    folded = unicodedata.normalize("NFKC", name.translate(_JOINERS)).casefold()
    return unicodedata.normalize("NFKC", folded)
