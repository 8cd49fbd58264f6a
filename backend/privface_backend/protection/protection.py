"""What one database's values are protected with: all keys that are derived for it."""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.faces import Vector
from privface_backend.protection.master import MasterKey
from privface_backend.protection.matrix import orthonormal
from privface_backend.protection.sealing import Sealer


class Protection:
    """Seals texts, projects and seals vectors. ``installation``: the database's id, so that two installations with one
    master key share nothing."""

    def __init__(self, master: MasterKey, installation: str) -> None:
        self._master: Final = master
        self._salt: Final = installation.encode()
        self._sealer: Final = Sealer(self.derive("sealing"))
        self._lookup: Final = self.derive("lookup")
        self._matrix: Final = lru_cache(maxsize=4)(self._make_matrix)

    @property
    def key_id(self) -> str:
        return self._master.id

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose of this installation."""
        return self._master.derive(purpose, salt=self._salt)

    def seal_text(self, text: str, *place: str) -> bytes:
        return self._sealer.seal(text.encode("utf-8", "surrogatepass"), *place)

    def open_text(self, data: bytes, *place: str) -> str:
        """The text.

        Raises:
            SealBrokenError: it isn't what was sealed there with this key.
        """
        return self._sealer.open(data, *place).decode("utf-8", "surrogatepass")

    def seal_vector(self, vector: Vector, *place: str) -> bytes:
        """Q times the vector, sealed; as float64, from which the very same float32 comes back."""
        protected = self._matrix(len(vector)) @ vector.astype(np.float64)
        return self._sealer.seal(protected.astype("<f8").tobytes(), *place)

    def open_vector(self, data: bytes, *place: str) -> Vector:
        """The vector, float32, read-only, bit for bit.

        Raises:
            SealBrokenError: it isn't what was sealed there with this key.
        """
        protected = np.frombuffer(self._sealer.open(data, *place), dtype="<f8")
        vector = (protected @ self._matrix(len(protected))).astype(np.float32)
        vector.flags.writeable = False
        return vector

    def lookup(self, text: str) -> str:
        """A stand-in for a text that is only ever compared: HMAC-SHA256, 32 hexadecimal digits."""
        return hmac.new(self._lookup, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()[:32]

    def _make_matrix(self, dimension: int) -> NDArray[np.float64]:
        return orthonormal(self.derive("matrix"), dimension)
