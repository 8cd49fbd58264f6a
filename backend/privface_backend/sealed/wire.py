"""Strict readers of what comes over the wire sealed. Their errors name the place, never the value."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.protocol import WireError

LARGEST_DIMENSION: Final = 4096
MOST_BYTES: Final = 2 * 1024 * 1024
"""What one document may have: room for as many faces as a frame may hold, of the largest dimension."""
_LENGTH_TOLERANCE: Final = 1e-3
_LITTLE_ENDIAN: Final = np.dtype("<f4")


def read_mapping(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise WireError(key, "an object")
    return value


def read_list(value: object, key: str, *, least: int = 0, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise WireError(key, f"a list of {least} to {most}")
    return value


def read_text(value: object, key: str, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise WireError(key, f"a text of 1 to {most} printable characters")
    return value


def read_number(value: object, key: str, low: float, high: float) -> float:
    # Written so that not-a-number fails, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise WireError(key, f"a number from {low:g} to {high:g}")
    return float(value)


def read_whole(value: object, key: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WireError(key, f"a whole number from {low} to {high}")
    return value


def write_vector(vector: Vector) -> str:
    """Base64 of float32, little-endian."""
    return base64.b64encode(vector.astype(_LITTLE_ENDIAN).tobytes()).decode("ascii")


def read_vector(value: object, key: str, dimension: int) -> Vector:
    """A vector of length 1, read-only.

    Raises:
        WireError: it is none of that dimension.
    """
    expected = f"base64 of {dimension} float32 numbers, little-endian, of length 1 together"
    size = dimension * _LITTLE_ENDIAN.itemsize
    if not isinstance(value, str) or len(value) != 4 * ((size + 2) // 3):
        raise WireError(key, expected)
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise WireError(key, expected) from None
    if len(data) != size:
        raise WireError(key, expected)
    vector = np.frombuffer(data, dtype=_LITTLE_ENDIAN).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector))
    # Written so that not-a-number fails, too.
    if not abs(length - 1.0) <= _LENGTH_TOLERANCE:
        raise WireError(key, expected)
    vector.flags.writeable = False
    return vector
