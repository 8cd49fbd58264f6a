"""The shapes of strangers, corrections and explanations: more of OpenAPI's components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.domain.people import LONGEST_NAME
from privface_backend.rest.operations import Schema, component
from privface_backend.rest.schemas import BOX, list_of, record

_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}

_FACE: Final = {
    "captured_at": _TIME,
    "box": BOX,
    "relative": {**_NUMBER, "description": "r: the blur's sigma over the face's width."},
    "quality": record(
        {
            "weight": {**_NUMBER, "description": "How much the face counts in the visit."},
            "width": {**_NUMBER, "description": "In pixels of the frame at working size."},
            "detection": _NUMBER,
            "sharpness": _NUMBER,
            "turn": _NUMBER,
            "brightness": _NUMBER,
            "contrast": _NUMBER,
        }
    ),
    "reason": _TEXT,
}
_NEAREST: Final = {
    "person_id": _TEXT,
    "person": _TEXT,
    "score": _NUMBER,
    "threshold": _NUMBER,
    "evidence": _NUMBER,
    "behind": {**_NUMBER, "description": "How far behind the nearest one's score."},
    "not_them": {"type": "boolean", "description": "Somebody said of faces like these that it was not they."},
}
_THRESHOLD: Final = {
    "value": _NUMBER,
    "source": {**_TEXT, "description": "Where it came from."},
    "naming": {**_TEXT, "description": "How readily somebody is named, as decision.naming says."},
    "caution": _NUMBER,
    "rate": {**_NUMBER, "description": "The share of strangers who reach it."},
    "people": {"type": ["integer", "null"], "description": "How many are enrolled."},
    "relative": _NUMBER,
    "lightest": {**_NUMBER, "description": "r of the lightest template that was compared with."},
}

MEMORY_COMPONENTS: Final[Mapping[str, Schema]] = {
    "Explanation": record(
        {
            "faces": list_of(record(_FACE)),
            "nearest": {**list_of(record(_NEAREST)), "description": "Who is enrolled now, the nearest first."},
            "threshold": {"anyOf": [record(_THRESHOLD), {"type": "null"}]},
            "margin": record({"needed": _NUMBER, "had": _NUMBER}, description="The lead over the next person."),
            "usable": {**_COUNT, "description": "How many of the visit's faces counted."},
            "seen": {**_COUNT, "description": "How many there were."},
        },
        description="Why the event came out as it did.",
    ),
    "Stranger": record(
        {
            "id": _TEXT,
            "number": {**_COUNT, "description": "Their label; given to nobody else."},
            "visits": _COUNT,
            "camera": {**_TEXT, "description": "The last one."},
            "first_seen": _TIME,
            "last_seen": _TIME,
        }
    ),
    "Strangers": record({"strangers": list_of(component("Stranger"))}),
    "StrangerName": record(
        {"name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}, "person_id": _TEXT},
        optional=("name", "person_id"),
        description="Either a new person's name, or the id of one who is enrolled.",
    ),
    "CorrectionOrder": record(
        {"person_id": {**_TEXT_OR_NULL, "description": "Who it was; null: only that it was not who was named."}}
    ),
    "Correction": record(
        {
            "visit_id": _TEXT,
            "denied": {**list_of(_TEXT), "description": "The people that it is a negative example of now."},
            "person_id": _TEXT_OR_NULL,
            "face_id": {**_TEXT_OR_NULL, "description": "The face of that person that was made of it."},
        }
    ),
    "ForgottenNegatives": record({"person_id": _TEXT, "negatives": _COUNT}),
}
