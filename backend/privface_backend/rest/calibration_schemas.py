"""The shapes of calibrations: more of OpenAPI's components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.calibration.applying import WIDTHS, LeftOut
from privface_backend.calibration.curve import DEFAULT_FLOOR, LevelNote
from privface_backend.calibration.service import LEAST_FLOOR
from privface_backend.rest.operations import Schema
from privface_backend.rest.schemas import list_of, record

_TEXT: Final[Schema] = {"type": "string"}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_FLAG: Final[Schema] = {"type": "boolean"}
_SHARE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
_RATE: Final[Schema] = {
    "anyOf": [{"type": "array", "items": _SHARE, "minItems": 3, "maxItems": 3}, {"type": "null"}],
    "description": "[value, low, high]: a share and its 95 % interval.",
}
_RELATIVE: Final[Schema] = {"type": "number", "minimum": 0, "description": "r: the blur's sigma over the face's width."}
_WIDTH: Final[Schema] = {**_NUMBER_OR_NULL, "description": "In pixels of a frame at working size."}
_LEFT_OUT: Final[Schema] = {
    "anyOf": [{"type": "string", "enum": [reason.value for reason in LeftOut]}, {"type": "null"}],
    "description": "Why nothing is proposed for the camera, or changed.",
}
_FLOOR: Final[Schema] = {
    "type": "number",
    "minimum": LEAST_FLOOR,
    "maximum": 1,
    "default": DEFAULT_FLOOR,
    "description": "The share of the household's faces that should still be named rightly.",
}
_ENROLLED: Final[Schema] = record(
    {
        "gallery": {
            **_TEXT,
            "description": "Another one once faces, engines or rules change: a result holds no longer.",
        },
        "revision": _COUNT,
        "people": _COUNT,
        "faces": _COUNT,
        "searchable": {**_COUNT, "description": "People with two faces or more."},
        "single": {**_COUNT, "description": "People with one face, who can't be searched for."},
        "probes": {**_COUNT, "description": "Faces of the former."},
    }
)
_LEVEL: Final[Schema] = record(
    {
        "relative": _RELATIVE,
        "probes": {**_COUNT, "description": "Faces that were searched among the others."},
        "known": {**_COUNT, "description": "How many were named rightly."},
        "mistaken": {**_COUNT, "description": "How many were named as another of the household."},
        "tpir": _RATE,
        "smoothed": {**_NUMBER_OR_NULL, "description": "The share of the known, once the curve never rises."},
        "strangers": {**_COUNT, "description": "Faces that were searched without their person's."},
        "named": {**_COUNT, "description": "How many of these got a name."},
        "fpir": _RATE,
        "note": {"type": "string", "enum": [note.value for note in LevelNote]},
    }
)
_RESULT: Final[Schema] = record(
    {
        "schema": {"type": "integer"},
        "made_at": {"type": "string", "format": "date-time"},
        "enrolled": _ENROLLED,
        "method": {**_TEXT, "description": "Of the templates that were searched."},
        "floor": _FLOOR,
        "sampled": {**_FLAG, "description": "Not all faces of a large gallery were searched."},
        "chosen": {**_NUMBER_OR_NULL, "description": "The strongest r that keeps the floor; 0: only clear faces do."},
        "levels": list_of(_LEVEL),
    }
)

CALIBRATION_COMPONENTS: Final[Mapping[str, Schema]] = {
    "Calibration": record(
        {
            "enrolled": _ENROLLED,
            "current": {**_FLAG, "description": "The result is of what is enrolled now."},
            "result": {"anyOf": [_RESULT, {"type": "null"}]},
            "cameras": list_of(
                record(
                    {
                        "camera": _TEXT,
                        "parameter": {"type": "integer", "description": "The one in force at the backend."},
                        "face_width": _WIDTH,
                        "relative": {**_NUMBER_OR_NULL, "description": "r of that parameter on such a face."},
                        "proposed": {
                            "type": ["integer", "null"],
                            "description": "The parameter that the calibration comes to, of the default's method.",
                        },
                        "left_out": _LEFT_OUT,
                    }
                )
            ),
        }
    ),
    "CalibrationOrder": record({"floor": _FLOOR}, optional=("floor",)),
    "CalibrationUse": record(
        {
            "cameras": {**list_of(_TEXT), "description": "All, where none are named."},
            "face_width": {
                "type": ["number", "null"],
                "minimum": WIDTHS[0],
                "maximum": WIDTHS[1],
                "description": "In place of what was seen before each camera.",
            },
        },
        optional=("cameras", "face_width"),
    ),
    "AppliedCalibration": record(
        {
            "relative": _RELATIVE,
            "cameras": list_of(
                record(
                    {
                        "camera": _TEXT,
                        "before": {"type": "integer"},
                        "parameter": {"type": "integer"},
                        "face_width": _WIDTH,
                        "left_out": _LEFT_OUT,
                    }
                )
            ),
        }
    ),
}
