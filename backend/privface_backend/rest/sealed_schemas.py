"""The shapes of what is sealed: more of OpenAPI's components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.protocol import Reason
from privface_backend.rest.operations import Schema, component
from privface_backend.rest.schemas import BOX, list_of, record
from privface_backend.sealed.enrollments import MOST_TEMPLATES
from privface_backend.sealed.frames import LONGEST_SIDE, MOST_FACES

_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_SHARE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
_VECTOR: Final = {
    "contentEncoding": "base64",
    "description": "float32, little-endian, as many as the contract says, of length 1 together.",
}

SEALED_COMPONENTS: Final[Mapping[str, Schema]] = {
    "SealedTerms": record(
        {
            "contract": {
                **_TEXT,
                "description": "sealed:KEY:RECOGNIZER|DIGEST|DIMENSION|ALIGNMENT; KEY: the id of the user side's key.",
            },
            "detector": _TEXT,
            "recognizer": _TEXT,
            "threshold": {**_NUMBER, "description": "The recognizer's published threshold for clear pairs, a cosine."},
        },
        description="What all templates of a sealed backend have in common.",
    ),
    "SealedFace": record(
        {
            "box": BOX,
            "detection": _SHARE,
            "reason": {"type": "string", "enum": [reason.value for reason in Reason]},
            "quality": record(
                {
                    "width": {**_NUMBER, "description": "In pixels of the frame."},
                    "turn": _NUMBER,
                    "sharpness": _NUMBER_OR_NULL,
                    "brightness": _NUMBER_OR_NULL,
                    "contrast": _NUMBER_OR_NULL,
                    "weight": _SHARE,
                },
                optional=("sharpness", "brightness", "contrast"),
            ),
            "vector": {"type": ["string", "null"], **_VECTOR},
        },
        description="A face that a user side saw. vector: where reason is ok, else null.",
    ),
    "SealedFrame": record(
        {
            "terms": component("SealedTerms"),
            "size": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": LONGEST_SIDE},
                "minItems": 2,
                "maxItems": 2,
                "description": "[width, height] in pixels.",
            },
            "faces": {**list_of(component("SealedFace")), "maxItems": MOST_FACES},
        },
        description="What a user side saw in a frame, without a pixel of it.",
    ),
    "SealedMessage": record(
        {"card": component("FrameCard"), "frame": component("SealedFrame")},
        optional=("card",),
        description="A sealed frame with its card, whose privacy is left out or has the method sealed.",
    ),
    "SealedEnrollment": record(
        {
            "terms": component("SealedTerms"),
            "picture": {
                **_TEXT,
                "pattern": "^[0-9a-f]{64}$",
                "description": "What stands for the picture, so that it isn't enrolled twice; made with the key.",
            },
            "templates": {
                **list_of(record({"method": _TEXT, "relative": _NUMBER, "vector": {"type": "string", **_VECTOR}})),
                "minItems": 1,
                "maxItems": MOST_TEMPLATES,
                "description": "One a privacy level: method none and relative 0 is the clear picture's.",
            },
        },
        description="The templates of one picture's face, without the picture.",
    ),
}
