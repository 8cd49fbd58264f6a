"""What can be read of a database without its key: which key that is, and whose tokens are right."""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from pathlib import Path

from privface_backend.protocol import Scope
from privface_backend.storage.failures import translated
from privface_backend.storage.file import KEY_ID
from privface_backend.storage.integrity import inspect_file, is_new
from privface_backend.storage.schema import MIGRATIONS
from privface_backend.storage.tokens import hash_token


def needed_key(path: Path) -> str | None:
    """The id of the key that the database at ``path`` is sealed with; None: it isn't there, or isn't sealed.

    Raises:
        PrivFaceError: ``gallery_corrupt``, ``gallery_too_new``, ``storage_failed``.
    """
    return None if is_new(path) else inspect_file(path, MIGRATIONS).get(KEY_ID)


def token_scopes(path: Path, token: str) -> frozenset[Scope]:
    """What a token allows; nothing where it is wrong.

    Raises:
        PrivFaceError: ``storage_failed``.
    """
    digest, found = hash_token(token), frozenset[Scope]()
    with translated(path), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for scopes, stored in connection.execute("SELECT scopes, hash FROM tokens"):
            if hmac.compare_digest(digest, stored):
                found = frozenset(Scope(scope) for scope in scopes.split(","))
    return found
