"""What a person agreed to: that faces of theirs are enrolled, since when, and until when."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, to_wire_time

LONGEST_NOTE: Final = 500
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
HOW: Final = (
    "a consent date first: privface people consent PERSON --date YYYY-MM-DD, PUT /api/v1/people/{id}/consent, "
    "or a consent.txt that begins with the date in the person's folder of pictures"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """``given_on``: the day; ``note``: how, in the owner's words; ``withdrawn_at``: None while it holds."""

    given_on: date
    note: str = field(default="", repr=False)
    withdrawn_at: datetime | None = None

    @property
    def holds(self) -> bool:
        return self.withdrawn_at is None

    def to_dict(self) -> dict[str, object]:
        return {
            "date": self.given_on.isoformat(),
            "note": self.note,
            "withdrawn_at": None if self.withdrawn_at is None else to_wire_time(self.withdrawn_at),
        }


def read_day(text: object, today: date) -> date:
    """The day that consent was given on.

    Raises:
        PrivFaceError: ``bad_request``: it is no day, or lies ahead.
    """
    try:
        day = date.fromisoformat(text) if isinstance(text, str) and _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day > today:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "That can't be the day of a consent.", allowed="YYYY-MM-DD, today at the latest"
        )
    return day


def clean_note(text: object) -> str:
    """A note in one line.

    Raises:
        PrivFaceError: ``bad_request``: too long, or with control characters.
    """
    note = " ".join(text.split()) if isinstance(text, str) else None
    if note is None or len(note) > LONGEST_NOTE or not note.isprintable():
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "That note can't be used.",
            allowed=f"at most {LONGEST_NOTE} characters, no control characters",
        )
    return note


def check_consent(consent: Consent | None, *, required: bool) -> None:
    """Refuse to enroll a face of somebody who has taken back their consent, or, where one is ``required``, gave none.

    Raises:
        PrivFaceError: ``consent_missing``.
    """
    if consent is not None and not consent.holds:
        raise PrivFaceError(
            ErrorCode.CONSENT_MISSING,
            "This person took back their consent: no face of theirs is enrolled.",
            allowed=f"a new consent ({HOW}); or forget them",
        )
    if consent is None and required:
        raise PrivFaceError(
            ErrorCode.CONSENT_MISSING,
            "No consent of this person is on record, and the settings ask for one.",
            allowed=HOW,
        )
