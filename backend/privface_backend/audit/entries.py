"""What the audit log tells of: acts, and what is said about each."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

LONGEST_TEXT: Final = 256
MOST_SUBJECTS: Final = 100
BEGUN: Final = "begun"
OK: Final = "ok"
ENDED_EARLY: Final = "ended_early"


class Act(StrEnum):
    """What was done. ``AUDIT``: something with the log itself, such as that its oldest lines were dropped."""

    ENROLL = "enroll"
    IDENTIFY = "identify"
    LIST = "list"
    EXPORT = "export"
    FORGET = "forget"
    KEY = "key"
    CONFIGURATION = "configuration"
    AUDIT = "audit"


class By(StrEnum):
    """Which way the act came."""

    REST = "rest"
    COMMAND_LINE = "command line"
    FOLDER = "folder"
    CAMERA = "camera"
    MQTT = "mqtt"
    DHT = "dht"
    SERVICE = "service"


LASTING: Final = frozenset({Act.ENROLL, Act.FORGET, Act.EXPORT, Act.KEY, Act.CONFIGURATION, Act.AUDIT})
"""Acts that are rare and change something: a power cut can't take their lines back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act, as it is told to the log.

    ``operation``: which of the act's kinds it was, a word of PrivFace's own. ``token``: the id of the token that it
    was done with. ``requestor_id``, ``requestor_type``, ``request_id`` and ``camera`` are callers' own texts.
    ``subjects``: ids of people, for ``KEY`` those of tokens; never names. ``outcome``: ``ok``, ``known``, ``unknown``,
    ``unusable``, ``no_face`` or an error's code. ``count``: how many faces, frames or lines it was about.
    ``settings``: a digest of the settings in use. ``anchor``: the place of the last line that was dropped, its number
    and mac.
    """

    act: Act
    operation: str
    by: By
    outcome: str = OK
    token: str | None = None
    requestor_id: str | None = None
    requestor_type: str | None = None
    request_id: str | None = None
    camera: str | None = None
    subjects: tuple[str, ...] = ()
    count: int | None = None
    settings: str | None = None
    anchor: tuple[int, str] | None = None

    def to_dict(self, now: datetime) -> dict[str, Any]:
        """The entry as it is written, without what doesn't apply."""
        told: dict[str, Any] = {
            "time": write_time(now),
            "act": self.act.value,
            "operation": self.operation,
            "by": self.by.value,
            "outcome": self.outcome,
            "token": self.token,
            "requestor_id": _shortened(self.requestor_id),
            "requestor_type": _shortened(self.requestor_type),
            "request_id": _shortened(self.request_id),
            "camera": _shortened(self.camera),
            "subjects": list(self.subjects[:MOST_SUBJECTS]) or None,
            "count": self.count,
            "settings": self.settings,
            "anchor": None if self.anchor is None else {"seq": self.anchor[0], "mac": self.anchor[1]},
        }
        return {key: value for key, value in told.items() if value is not None}


def write_time(moment: datetime) -> str:
    """An aware time in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_id(text: str | None) -> str | None:
    """``text`` where it is a UUID as PrivFace writes them; what else stands in the place of an id may be a name."""
    try:
        return text if text is not None and str(UUID(text)) == text else None
    except ValueError:
        return None


def printable(text: str) -> str:
    """A caller's text for a terminal: what moves its cursor or reverses its writing is left out."""
    return "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")


def _shortened(text: str | None) -> str | None:
    return text[:LONGEST_TEXT] if text else None
