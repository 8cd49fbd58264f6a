"""Topics and payloads as Double Take publishes them, for automations and dashboards that were made for it. Pure.

What it has and PrivFace hasn't stays null: the picture's ``filename`` and ``base64``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from privface_backend.domain.confidence import confidence
from privface_backend.domain.geometry import Size
from privface_backend.protocol import Event

UNKNOWN: Final = "unknown"
RESET_SECONDS: Final = 30.0
"""For so long a camera's count of people holds."""
_DETECTOR: Final = "privface"
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class DoubleTakeTopics:
    """The topics below one base."""

    base: str

    @property
    def available(self) -> str:
        return f"{self.base}/available"

    def match(self, name: str) -> str:
        """``name``: as ``topic_names`` has it, or ``UNKNOWN``."""
        return f"{self.base}/matches/{name}"

    def camera(self, slug: str) -> str:
        return f"{self.base}/cameras/{slug}"

    def person_count(self, slug: str) -> str:
        return f"{self.base}/cameras/{slug}/person"


def topic_names(people: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """What a person is called in topics, by id; ``people``: id, name and slug, oldest first.

    The name in ASCII with ``-`` for blanks and without other signs; its slug where that can't write it, where it is
    somebody else's already, or what a stranger's topic is called.
    """
    names: dict[str, str] = {}
    for person_id, name, slug in people:
        written = _write(name)
        taken = {UNKNOWN, *(other.casefold() for other in names.values())}
        names[person_id] = slug.replace("_", "-") if written is None or written.casefold() in taken else written
    return names


def _write(name: str) -> str | None:
    """The name with letters of ASCII only; None where that leaves something out that is read."""
    marked = unicodedata.normalize("NFKD", name.strip())
    plain = "".join(sign for sign in marked if not unicodedata.combining(sign))
    if not plain or any(sign.isalnum() and not sign.isascii() for sign in plain):
        return None
    return _FOREIGN.sub("", re.sub(r"\s+", "-", plain)) or None


def match_payload(event: Event, camera: str, frame: Size | None, zone: tzinfo | None = None) -> dict[str, Any]:
    """A named visit on ``matches/<name>``. ``camera``: as topics call it; ``frame``: the size in pixels of the event's
    frame, None: boxes stay null; ``zone``: of the timestamp, None: this computer's."""
    return {**_base(event, camera, zone), "match": _face(event, frame)}


def unknown_payload(event: Event, camera: str, frame: Size | None, zone: tzinfo | None = None) -> dict[str, Any]:
    """A stranger's visit on ``matches/unknown``."""
    face = _face(event, frame)
    return {**_base(event, camera, zone), "unknown": face, "unknowns": [face]}


def camera_payload(event: Event, camera: str, frame: Size | None, zone: tzinfo | None = None) -> dict[str, Any]:
    """The same visit on ``cameras/<camera>``."""
    face, known = _face(event, frame), event.person is not None
    return {
        **_base(event, camera, zone),
        "matches": [face] if known else [],
        "misses": [],
        "unknowns": [] if known else [face],
        "personCount": 1,
        "counts": {"person": 1, "match": int(known), "miss": 0, "unknown": int(not known)},
    }


def _base(event: Event, camera: str, zone: tzinfo | None) -> dict[str, Any]:
    return {
        "id": event.event_id,
        "duration": _seconds(event.latency_ms),
        "timestamp": event.ts.astimezone(zone).isoformat(timespec="milliseconds"),
        "attempts": max(1, sum(event.votes.values())),
        "camera": camera,
        "zones": [],
    }


def _face(event: Event, frame: Size | None) -> dict[str, Any]:
    return {
        "name": event.person or UNKNOWN,
        "confidence": round(100 * confidence(event.evidence, named=event.person is not None), 2),
        "match": event.person is not None,
        "box": _box(event, frame),
        "type": event.source.value,
        "duration": _seconds(event.latency_ms),
        "detector": _DETECTOR,
        "filename": None,
        "base64": None,
    }


def _box(event: Event, frame: Size | None) -> dict[str, int] | None:
    if event.box is None or frame is None:
        return None
    left, top, width, height = event.box
    return {
        "top": round(top * frame.height),
        "left": round(left * frame.width),
        "width": round(width * frame.width),
        "height": round(height * frame.height),
    }


def _seconds(latency_ms: Mapping[str, float]) -> float:
    return round(latency_ms.get("total", 0.0) / 1000, 2)
