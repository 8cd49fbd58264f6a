"""How a template's vector is written down. The seam where encryption goes in."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from privface_backend.domain.faces import Vector
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


class TemplateCodec(Protocol):
    """Vector to bytes and back."""

    def encode(self, vector: Vector) -> bytes: ...

    def decode(self, data: bytes, dimension: int) -> Vector:
        """The vector, float32 (dimension,), read-only.

        Raises:
            PrivFaceError: ``gallery_corrupt``: these bytes are no vector of that dimension.
        """


class PlainCodec:
    """Float32, little-endian."""

    def encode(self, vector: Vector) -> bytes:
        return np.ascontiguousarray(vector, dtype="<f4").tobytes()

    def decode(self, data: bytes, dimension: int) -> Vector:
        if len(data) != 4 * dimension:
            raise PrivFaceError(ErrorCode.GALLERY_CORRUPT, "A stored template has the wrong length.")
        return np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
