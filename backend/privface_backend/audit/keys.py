"""The keys that the lines of one data directory are or were sealed with."""

from __future__ import annotations

import json
from typing import Final, Protocol

_KEYS: Final = "audit_keys"


class SecretStore(Protocol):
    """Where values are kept sealed, and are sealed anew when the master key changes."""

    def get_meta(self, key: str) -> str | None: ...

    def set_meta(self, key: str, value: str, *, secret: bool = False) -> None: ...


def remember_key(store: SecretStore, key: bytes) -> tuple[bytes, ...]:
    """Keep ``key`` beside those before it; all of these. With another master key comes another key for new lines, and
    the older ones must still be checked.

    Raises:
        PrivFaceError: ``storage_full``, ``storage_failed``, or what was kept can't be opened.
    """
    kept = [bytes.fromhex(text) for text in json.loads(store.get_meta(_KEYS) or "[]")]
    if key not in kept:
        kept.append(key)
        store.set_meta(_KEYS, json.dumps([one.hex() for one in kept]), secret=True)
    return tuple(kept)
