"""The shape of what is advised for a camera: more of OpenAPI's components."""

from __future__ import annotations

from typing import Final

from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.domain.strength_advice import TARGETS

_NUMBERS: Final = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_KEYS: Final = {
    "kernel": {"type": "integer", "minimum": 3, "maximum": MAX_KERNEL},
    "target": {"type": "number", "description": "The r that the near faces have with it."},
    "faces": {"type": "integer", "minimum": 0, "description": "How many it stands on; old ones fade."},
    "widths": {**_NUMBERS, "description": "Of far, middle and near faces (quantiles 10, 50, 90 %), in pixels."},
    "relative": {**_NUMBERS, "description": "Their r at that kernel."},
}

CAMERA_ADVICE: Final[dict[str, object]] = {
    "target": {"type": ["number", "null"], "description": f"Its own: {TARGETS}; null: the default's."},
    "advice": {
        "anyOf": [{"type": "object", "properties": _KEYS, "required": list(_KEYS)}, {"type": "null"}],
        "description": "The kernel of a gaussian blur that keeps r for the faces seen there; null: too few, or none.",
    },
}
