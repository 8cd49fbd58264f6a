"""The master key, from which all others are derived."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE: Final = 32
_PREFIX: Final = "pfk1_"
_CHECKED: Final = 4
_SHAPE: Final = re.compile(r"pfk1_[A-Za-z0-9_-]{48}")
_LONGEST_TEXT: Final = 65536


@dataclass(frozen=True, slots=True)
class MasterKey:
    """32 secret bytes."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_SIZE:
            raise ValueError(f"a master key has {KEY_SIZE} bytes")

    @classmethod
    def generate(cls) -> Self:
        return cls(secrets.token_bytes(KEY_SIZE))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The key that ``to_text`` wrote.

        Raises:
            ValueError: it is no key, or was copied wrong.
        """
        if not _SHAPE.fullmatch(text):
            raise ValueError(f"a master key is {_PREFIX} and 48 letters, digits, - or _")
        try:
            data = base64.urlsafe_b64decode(text.removeprefix(_PREFIX))
        except binascii.Error as error:
            raise ValueError("that is no master key") from error
        secret, check = data[:KEY_SIZE], data[KEY_SIZE:]
        if not hmac.compare_digest(sha256(secret).digest()[:_CHECKED], check):
            raise ValueError("the master key was copied wrong: its check doesn't fit")
        return cls(secret)

    def to_text(self) -> str:
        """The key as one word, with a check against wrong copies."""
        data = self.secret + sha256(self.secret).digest()[:_CHECKED]
        return _PREFIX + base64.urlsafe_b64encode(data).decode()

    @property
    def id(self) -> str:
        """What the key is told by, 16 hexadecimal digits. Nothing of the key can be learnt from it."""
        return self.derive("key id", size=8).hex()

    def derive(self, purpose: str, *, salt: bytes | None = None, size: int = KEY_SIZE) -> bytes:
        """A key for one purpose: HKDF with SHA-256 (RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=size, salt=salt, info=b"privface 1 " + purpose.encode()).derive(
            self.secret
        )


def read_keys(text: str) -> tuple[MasterKey, ...]:
    """The keys of a text: separated by white space or commas; what follows ``#`` in a line is a remark.

    Raises:
        ValueError: something in it is no key.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("it is too long for keys")
    lines = (line.partition("#")[0] for line in text.splitlines())
    return tuple(MasterKey.from_text(word) for line in lines for word in line.replace(",", " ").split())
