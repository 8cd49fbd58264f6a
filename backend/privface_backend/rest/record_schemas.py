"""The shapes of receipts, exports and consents: more of OpenAPI's components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.domain.consent import LONGEST_NOTE
from privface_backend.gallery.export import FORMAT
from privface_backend.rest.operations import Schema, component
from privface_backend.rest.schemas import list_of, record

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_FLAG: Final[Schema] = {"type": "boolean"}
_NUMBER: Final[Schema] = {"type": "number"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_DAY: Final[Schema] = {"type": "string", "format": "date", "description": "YYYY-MM-DD, today at the latest."}
_NOTE: Final[Schema] = {"type": "string", "maxLength": LONGEST_NOTE}

_CONSENT: Final = record({"date": _DAY, "note": _NOTE, "withdrawn_at": _TIME_OR_NULL})
_TEMPLATE: Final = record(
    {
        "contract": _TEXT,
        "method": _TEXT,
        "relative": _NUMBER,
        "dimension": _COUNT,
        "vector": {**list_of(_NUMBER), "description": "Where it was asked for: the template's numbers."},
    },
    optional=("vector",),
)

RECORD_COMPONENTS: Final[Mapping[str, Schema]] = {
    "Receipt": record(
        {
            "person_id": _TEXT,
            "forgotten_at": _TIME,
            "faces": _COUNT,
            "templates": _COUNT,
            "templates_by_contract": {"type": "object", "additionalProperties": _COUNT},
            "events": {**_COUNT, "description": "Those that named them, and those of visits that were theirs."},
            "visits": _COUNT,
            "negatives": {**_COUNT, "description": "What said that somebody was not they."},
            "others_negatives": {**_COUNT, "description": "What said that they were not somebody else."},
            "strangers": {**_COUNT, "description": "Remembered strangers that a face of theirs was merged into."},
            "explanations": {**_COUNT, "description": "Those of others' events, which mentioned them."},
            "corrections": {**_COUNT, "description": "Others' events that said they took one back."},
            "cached": {**_COUNT, "description": "Pictures' embeddings that evaluations had kept; of all people."},
            "folder_pictures": {**_COUNT, "description": "The faces that came from pictures in a directory."},
            "held_back": {
                **_COUNT,
                "description": "Pictures in directories that are not enrolled from there again.",
            },
            "complete": _FLAG,
            "file": record(
                {"state": {"type": "string", "enum": ["rewritten", "due"]}, "at": _TIME_OR_NULL},
                description="Whether the database's file was written anew without them.",
            ),
            "service": record(
                {
                    "state": {"type": "string", "enum": ["cleared", "due"]},
                    "at": _TIME_OR_NULL,
                    "retained": {**_COUNT, "description": "Retained MQTT messages that were cleared."},
                    "waiting": {**_COUNT, "description": "Messages that waited to be sent, and were dropped."},
                },
                description="Whether the running service and the broker hold nothing of them any more.",
            ),
        },
        description="What was removed with a person, and what is still due. It names nobody.",
    ),
    "Receipts": record({"receipts": list_of(component("Receipt"))}),
    "Consent": _CONSENT,
    "ConsentAnswer": record({"consent": {"anyOf": [component("Consent"), {"type": "null"}]}}),
    "NewConsent": record({"date": _DAY, "note": {**_NOTE, "default": ""}}, optional=("note",)),
    "PersonExport": record(
        {
            "format": {"const": FORMAT},
            "exported_at": _TIME,
            "person": record(
                {
                    "id": _TEXT,
                    "name": _TEXT,
                    "created_at": _TIME,
                    "ignored": _FLAG,
                    "consent": {"anyOf": [component("Consent"), {"type": "null"}]},
                }
            ),
            "faces": list_of(
                record(
                    {
                        "id": _TEXT,
                        "created_at": _TIME,
                        "source": _TEXT,
                        "picture_sha256": _TEXT,
                        "from_folder": _FLAG,
                        "templates": list_of(_TEMPLATE),
                    }
                )
            ),
            "events": list_of(component("Event")),
            "visits": list_of(
                record({"id": _TEXT, "camera": _TEXT, "last_seen": _TIME, "templates": list_of(_TEMPLATE)})
            ),
            "negative_examples": list_of(record({"id": _TEXT, "created_at": _TIME})),
        },
        description="All that is kept of a person.",
    ),
}
