"""What a person's own document says of their consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONSENT_OF_A_PERSON: Final[Mapping[str, object]] = {
    "consent": {
        "type": ["string", "null"],
        "format": "date",
        "description": "The day of the consent that is on record; null: there is none.",
    },
    "consent_withdrawn": {"type": "boolean", "description": "Whether it was taken back."},
}
