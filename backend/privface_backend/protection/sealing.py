"""Sealing: authenticated encryption of single values, each bound to its place."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_NONCE: Final = 12


class SealBrokenError(Exception):
    """These bytes weren't sealed with this key at this place, or were changed since."""


class Sealer:
    """ChaCha20-Poly1305 (RFC 8439), which needs no AES in the processor. ``key``: 32 bytes.

    Nonces are drawn at random, which holds for far more values than a home ever has (2^32 under one key).
    """

    def __init__(self, key: bytes) -> None:
        self._cipher: Final = ChaCha20Poly1305(key)

    def seal(self, data: bytes, *place: str) -> bytes:
        """Nonce, ciphertext and tag: 28 bytes more than ``data``. ``place``: where it will stand; it opens nowhere
        else."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, _bound(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """What was sealed.

        Raises:
            SealBrokenError: the key, the place or the bytes are others.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(place))
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError from error


def _bound(place: tuple[str, ...]) -> bytes:
    parts = [part.encode("utf-8", "surrogatepass") for part in place]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
