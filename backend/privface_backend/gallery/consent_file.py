"""A consent in a text file beside a person's pictures: its first line is the day, the rest how it was given."""

from __future__ import annotations

import os
import stat
from datetime import date
from pathlib import Path
from typing import Final

from privface_backend.domain.consent import Consent, clean_note, read_day
from privface_backend.errors import PrivFaceError

FILE_NAME: Final = "consent.txt"
_LONGEST: Final = 4096


def read_consent(folder: Path, today: date) -> Consent | None:
    """The consent in a person's folder of pictures; None: there is no such file, or it can't be used."""
    try:
        # A link could lead anywhere.
        handle = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            text = file.read(_LONGEST + 1).decode("utf-8-sig")
        first, _, rest = text.strip().partition("\n")
        return None if len(text) > _LONGEST else Consent(given_on=read_day(first.strip(), today), note=clean_note(rest))
    except (OSError, UnicodeDecodeError, PrivFaceError):
        return None
