"""The shapes of what goes in and out, as JSON Schema (2020-12): OpenAPI's components."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from privface_backend.domain.people import LONGEST_NAME
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import (
    AppliedBy,
    ErrorCode,
    FrameSource,
    Outcome,
    Phase,
    PresencePhase,
    Reason,
    Scope,
    StreamMessage,
)
from privface_backend.rest.advice_schemas import CAMERA_ADVICE
from privface_backend.rest.consent_schemas import CONSENT_OF_A_PERSON
from privface_backend.rest.operations import Schema, component

_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": "number"}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_INTEGER_OR_NULL: Final[Schema] = {"type": ["integer", "null"]}
_FLAG: Final[Schema] = {"type": "boolean"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_SCORE_OR_NULL: Final[Schema] = {"type": ["number", "null"], "minimum": -1, "maximum": 1}

BOX: Final[Schema] = {
    "type": "array",
    "items": {"type": "number", "minimum": 0, "maximum": 1},
    "minItems": 4,
    "maxItems": 4,
    "description": "[x, y, width, height] as fractions of the frame, from its top left corner.",
}
_PIXEL_BOX: Final[Schema] = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
_NUMBERS_BY_NAME: Final[Schema] = {"type": "object", "additionalProperties": _NUMBER}
_COUNTS_BY_NAME: Final[Schema] = {"type": "object", "additionalProperties": _COUNT}


def _one_of(kind: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [member.value for member in kind]}


def record(properties: Mapping[str, object], *, optional: tuple[str, ...] = (), description: str = "") -> Schema:
    """An object whose keys are all required but for ``optional``. More keys may come with later versions."""
    schema: dict[str, object] = {"type": "object", "properties": dict(properties)}
    if required := [name for name in properties if name not in optional]:
        schema["required"] = required
    if description:
        schema["description"] = description
    return schema


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_ERROR: Final = record(
    {
        "code": _one_of(ErrorCode),
        "message": _TEXT,
        "allowed": {"type": "string", "description": "What would have been accepted."},
        "details": {"type": "object"},
    },
    optional=("allowed", "details"),
)
_PERSON_AND_SCORES: Final = {
    "person_id": _TEXT_OR_NULL,
    "person": _TEXT_OR_NULL,
    "score": _SCORE_OR_NULL,
    "margin": _NUMBER_OR_NULL,
    "threshold": _NUMBER_OR_NULL,
}

_FRAME_CARD: Final = {
    "camera": {"type": "string", "maxLength": 64},
    "captured_at": {"description": "ISO 8601 with an offset, or seconds since 1970.", "type": ["string", "number"]},
    "privacy": _or_null(component("PrivacyClaim")),
    "source": _one_of(FrameSource),
    "source_event_id": _TEXT_OR_NULL,
    "requestor": _or_null(component("Requestor")),
    "request_id": _TEXT_OR_NULL,
    "trigger": _TEXT_OR_NULL,
    "more": {
        "type": ["boolean", "null"],
        "description": "Whether another frame of what this one shows will follow; null: not known.",
    },
}

_PRIVACY_MORE: Final = {
    "epsilon": {"type": "number", "description": "Of the noise that the method adds, in each color."},
    "sensitivity": {**_COUNT, "description": "How many pixels may differ for epsilon to hold."},
    "kept": {**_COUNT, "description": "Face regions that are left of the frame; 0: it is flat."},
}

_IDENTIFICATION: Final = {
    "file": {"type": ["string", "null"], "description": "The name that the file was sent with."},
    "frame": {"type": "integer", "minimum": 0, "description": "Of a video: the frame's index; else 0."},
    "reason": _one_of(Reason),
    "faces": list_of(component("Face")),
    "privacy": component("Privacy"),
    "engine": component("EngineNames"),
    "latency_ms": _NUMBERS_BY_NAME,
}

_CAMERA_STATE: Final = {
    "camera": _TEXT,
    "persons": list_of(_TEXT),
    "unknown": _COUNT,
    "unknown_seen": {**_TIME_OR_NULL, "description": "When the last of the unknown was captured."},
    "last_event_id": _TEXT_OR_NULL,
    "ts": _TIME_OR_NULL,
}

_EVENT: Final = {
    "schema": {"type": "integer"},
    "event_id": _TEXT,
    "visit_id": _TEXT,
    "seq": _COUNT,
    "ts": _TIME,
    "captured_at": _TIME,
    "expires_at": _TIME,
    "camera": _TEXT,
    "source": _one_of(FrameSource),
    "source_event_id": _TEXT_OR_NULL,
    "request_id": _TEXT_OR_NULL,
    "requestor": _or_null(component("Requestor")),
    "outcome": _one_of(Outcome),
    "phase": _one_of(Phase),
    **_PERSON_AND_SCORES,
    "evidence": {
        **_NUMBER_OR_NULL,
        "description": "The decimal logarithm of how many times likelier the faces are of the nearest person than of a "
        "stranger.",
    },
    "stranger": _or_null(component("StrangerRef")),
    "corrects": {**_TEXT_OR_NULL, "description": "The event of this visit that is taken back."},
    "faces": _COUNT,
    "box": _or_null(BOX),
    "votes": _COUNTS_BY_NAME,
    "reason": _one_of(Reason),
    "privacy": component("Privacy"),
    "engine": component("EngineNames"),
    "latency_ms": _NUMBERS_BY_NAME,
}

_API_VERSIONS: Final = {"api_version": {"type": "integer"}, "min_api_version": {"type": "integer"}}

_SNAPSHOT: Final = {
    "people": list_of(component("PersonState")),
    "cameras": list_of(component("Camera")),
    "events": {**list_of(component("Event")), "description": "The last ones, newest first."},
}


def _message(kind: StreamMessage, properties: Mapping[str, object]) -> Schema:
    return record({"type": {"const": kind.value}, **properties})


COMPONENTS: Final[Mapping[str, Schema]] = {
    "Error": record(
        {
            "error": _ERROR,
            "request_id": _TEXT,
        }
    ),
    "Privacy": record(
        {
            "method": _TEXT,
            "parameter": {"type": "integer"},
            "relative": {"type": ["number", "null"], "description": "r: the blur's sigma over the face's width."},
            "applied_by": _one_of(AppliedBy),
            **_PRIVACY_MORE,
        },
        optional=tuple(_PRIVACY_MORE),
        description="How a frame was anonymized.",
    ),
    "PrivacyClaim": record(
        {
            "method": _TEXT,
            "parameter": {"type": "integer"},
            "relative": _NUMBER_OR_NULL,
            "applied_by": _one_of(AppliedBy),
            **_PRIVACY_MORE,
        },
        optional=("method", "parameter", "relative", "applied_by", *_PRIVACY_MORE),
        description="What the sender says of a frame's anonymization. Frames that applied_by client or bridge "
        "are used as they are, or refused where they have more detail than that leaves; any other is anonymized here, "
        "in that way, before a detector sees it.",
    ),
    "Requestor": record({"id": _TEXT, "type": _TEXT}, optional=("type",)),
    "EngineNames": record({"detector": _TEXT, "recognizer": _TEXT}),
    "FrameCard": record(_FRAME_CARD, optional=tuple(_FRAME_CARD), description="What travels with a frame."),
    "Face": record(
        {
            "box": BOX,
            "outcome": _one_of(Outcome),
            **_PERSON_AND_SCORES,
            "reason": _one_of(Reason),
            "relative": _NUMBER_OR_NULL,
            "detection": _NUMBER_OR_NULL,
        }
    ),
    "Detail": record(
        {
            "frame_size": {"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2},
            "faces": list_of(
                record(
                    {
                        "box_px": _PIXEL_BOX,
                        "candidates": list_of(
                            record({"person_id": _TEXT, "person": _TEXT_OR_NULL, "score": _SCORE_OR_NULL})
                        ),
                    }
                )
            ),
        },
        description="Boxes in pixels of the frame that was looked at, and the nearest people, best first.",
    ),
    "Identification": record(
        _IDENTIFICATION
        | {
            "detail": component("Detail"),
            "events": {**list_of(_TEXT), "description": "The ids of the events that went out."},
        },
        optional=("detail", "events"),
    ),
    "VideoProgress": record(
        {
            "frames": {**_COUNT, "description": "Frames that were looked at."},
            "of": {**_INTEGER_OR_NULL, "description": "Frames in all, as the file says; null: it doesn't."},
            "seconds": {**_NUMBER, "description": "The video's time that was reached."},
            "of_seconds": {**_NUMBER_OR_NULL, "description": "The video's length, as the file says."},
            "percent": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        },
        description="How far a video has come.",
    ),
    "VideoProgressLine": record({"progress": component("VideoProgress")}),
    "Video": record(
        {
            "id": _TEXT,
            "state": {"type": "string", "enum": ["waiting", "looking", "done", "failed"]},
            "progress": component("VideoProgress"),
            "frames": {**list_of(component("Identification")), "description": "Those with a face, at most 200."},
            "next": {**_COUNT, "description": "The value of after that goes on from here."},
            "left_out": {**_COUNT, "description": "Frames that aren't told of because there are too many."},
            "error": _or_null(_ERROR),
        },
        description="A video that is being looked at, or was.",
    ),
    "CameraIdentification": record(
        _IDENTIFICATION
        | {
            "events": {**list_of(_TEXT), "description": "The ids of the events that went out."},
            "visits": {**list_of(_TEXT), "description": "The visits that the faces belong to."},
        }
    ),
    "Event": record(_EVENT),
    "EventDetail": record({**_EVENT, "explanation": _or_null(component("Explanation"))}),
    "StrangerRef": record(
        {"id": _TEXT, "number": _COUNT, "visit": _COUNT},
        description="Somebody without a name who may come back: number is their label, visit counts their visits.",
    ),
    "EventPage": record(
        {
            "events": {**list_of(component("Event")), "description": "Newest first."},
            "before": {**_TEXT_OR_NULL, "description": "The cursor of the next older page; null: there is none."},
        }
    ),
    "Person": record(
        {"id": _TEXT, "name": _TEXT, "created_at": _TIME, "faces": _COUNT, "ignored": _FLAG, **CONSENT_OF_A_PERSON}
    ),
    "PersonName": record(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
            "allow_duplicate": {**_FLAG, "default": False, "description": "Whether two people may have one name."},
        },
        optional=("allow_duplicate",),
    ),
    "People": record({"people": list_of(component("Person"))}),
    "EnrolledFace": record(
        {
            "id": _TEXT,
            "person_id": _TEXT,
            "created_at": _TIME,
            "sealed": {**_FLAG, "description": "It has the templates of a user side, not of a picture."},
        }
    ),
    "Faces": record({"faces": list_of(component("EnrolledFace"))}),
    "Enrollment": record(
        {
            "person": component("Person"),
            "faces": list_of(component("EnrolledFace")),
            "refused": list_of(record({"file": _COUNT, "name": _TEXT_OR_NULL, "error": {"type": "object"}})),
        },
        description="What was enrolled, and the files (by their place, from 0) that were not.",
    ),
    "PersonState": record(
        {
            "person_id": _TEXT,
            "person": _TEXT,
            "camera": _TEXT_OR_NULL,
            "last_seen": _TIME_OR_NULL,
            "score": _SCORE_OR_NULL,
            "present": _FLAG,
            "state": {"type": "string", "enum": [phase.value for phase in PresencePhase]},
            "since": {**_TIME_OR_NULL, "description": "When the stay began."},
        }
    ),
    "CameraState": record(_CAMERA_STATE),
    "Camera": record(
        _CAMERA_STATE
        | {
            "enabled": _FLAG,
            "parameter": {**_INTEGER_OR_NULL, "description": "Its own privacy parameter; null: the default's."},
            **CAMERA_ADVICE,
            "sealed": {**_FLAG, "description": "No picture of it is taken, only what a user side sealed."},
            "frames": _COUNT,
            "skipped": _COUNT,
        }
    ),
    "Cameras": record({"cameras": list_of(component("Camera"))}),
    "RemovedCamera": record({"camera": _TEXT, "removed": {"const": True}}),
    "CameraSettings": record(
        {"enabled": _FLAG, "parameter": _INTEGER_OR_NULL, "target": _NUMBER_OR_NULL},
        optional=("enabled", "parameter", "target"),
    ),
    "MasterKey": record({"key": {**_TEXT, "description": "As `privface key new` prints it."}}),
    "KeyId": record({"key": {**_TEXT, "description": "The id of the master key."}}),
    "Health": record({"status": {"const": "ok"}}),
    "Readiness": record({"ready": _FLAG, "reasons": list_of(_TEXT)}),
    "Info": record(
        {
            "version": _TEXT,
            **_API_VERSIONS,
            "instance_id": _TEXT,
            "time": {**_TIME, "description": "The backend's clock."},
            "started_at": _TIME,
            "uptime_seconds": _COUNT,
            "ready": _FLAG,
            "trouble": _or_null(record({"code": _one_of(ErrorCode), "message": _TEXT})),
            "engines": record(
                {
                    "detector": _TEXT,
                    "recognizer": _TEXT,
                    "aligner": _TEXT,
                    "contract": _TEXT_OR_NULL,
                    "sealed": _or_null(record({"detector": _TEXT, "recognizer": _TEXT, "contract": _TEXT})),
                },
                description="Those in use; contract is null until they are ready. sealed: those of user sides, null "
                "until one has sent something.",
            ),
            "installed": list_of(
                record(
                    {
                        "kind": _one_of(EngineKind),
                        "name": _TEXT,
                        "available": _FLAG,
                        "missing": list_of(_TEXT),
                        "extra": _TEXT_OR_NULL,
                        "weights": list_of(_TEXT),
                        "summary": _TEXT,
                        "options": {"type": "object"},
                    }
                )
            ),
            "privacy": record(
                {
                    "method": _TEXT,
                    "parameter": {"type": "integer"},
                    "require_client": _FLAG,
                    "sealed": {**_FLAG, "description": "No picture is taken at all."},
                    "sealed_cameras": {
                        **list_of(_TEXT),
                        "description": "Cameras of which none is, in a backend that takes others' pictures.",
                    },
                    "working_size": _COUNT,
                    "allowed": {
                        "type": "object",
                        "additionalProperties": _TEXT,
                        "description": "By method, which parameters are allowed.",
                    },
                }
            ),
            "limits": _COUNTS_BY_NAME,
            "lane": record({"waiting": _COUNT}, description="Pictures that wait for their turn."),
            "gallery": record(
                {
                    "people": _COUNT,
                    "faces": _COUNT,
                    "templates": _COUNT,
                    "stale_faces": {**_COUNT, "description": "Faces without a template of a contract in use."},
                    "people_to_enroll_again": _COUNT,
                    "contract": _TEXT_OR_NULL,
                    "contracts": _COUNTS_BY_NAME,
                }
            ),
            "broker": _or_null(record({"state": _TEXT, "reason": _TEXT, "waiting": _COUNT})),
            "weights": {"type": "object", "additionalProperties": _TEXT},
        }
    ),
    "StreamMessage": {
        "oneOf": [
            _message(StreamMessage.HELLO, {"version": _TEXT, **_API_VERSIONS, "instance_id": _TEXT, "time": _TIME}),
            _message(StreamMessage.SNAPSHOT, _SNAPSHOT),
            _message(StreamMessage.RESYNC, _SNAPSHOT),
            _message(StreamMessage.EVENT, {"event": component("Event")}),
            _message(StreamMessage.STATE, {"state": {"anyOf": [component("PersonState"), component("CameraState")]}}),
            _message(StreamMessage.PEOPLE, {"people": list_of(component("Person"))}),
            _message(StreamMessage.ADVICE, {"camera": _TEXT, "advice": CAMERA_ADVICE["advice"]}),
        ],
        "description": "hello and snapshot come first; then event, state (of a person or a camera), people (who is "
        "enrolled) and advice (how strongly a camera's frames should be anonymized) as they come. resync is a new "
        "snapshot, after messages were dropped for a slow listener.",
    },
    "StreamAuth": record({"type": {"const": "auth"}, "token": _TEXT}),
}

SCOPES: Final = tuple(scope for scope in Scope if scope is not Scope.UNKNOWN)
