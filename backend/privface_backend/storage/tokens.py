"""The tokens that open the doors: shown once, kept as hashes."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.storage.database import Database
from privface_backend.storage.schema import sealed

TOKEN_PREFIX: Final = "pf_"  # noqa: S105  # what each token begins with, no token
FIRST_NAME: Final = "first"
_SHOWN: Final = len(TOKEN_PREFIX) + 4
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What is known about a token: not the token. ``prefix`` is its beginning, to tell it from others."""

    id: str
    name: str
    scopes: frozenset[Scope]
    prefix: str
    created_at: datetime

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


class TokenStore:
    """The tokens of this installation. Called on the storage's thread."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database: Final = database
        self._clock: Final = clock

    def create(self, name: str, scopes: Iterable[Scope]) -> str:
        """Make a token; its text can't be had again.

        Raises:
            PrivFaceError: ``bad_name``; ``bad_request``: no scope, or one that doesn't exist.
        """
        with self._database.transaction(durable=True) as connection:
            return self._insert(connection, name, frozenset(scopes))

    def ensure_first(self, *, besides: str | None = None, text: str | None = None) -> str | None:
        """Make a token with the scope ``admin`` where there is none, those called ``besides`` apart; else None.
        ``text``: what ``make_token`` gave, where it was told already."""
        with self._database.transaction(durable=True) as connection:
            if connection.execute("SELECT 1 FROM tokens WHERE name IS NOT ? LIMIT 1", (besides,)).fetchone():
                return None
            return self._insert(connection, FIRST_NAME, frozenset({Scope.ADMIN}), text)

    def verify(self, token: str) -> TokenInfo | None:
        """Whose token this is. It takes as long wherever, and whether, the token differs from the stored ones."""
        digest = hash_token(token)
        found: TokenInfo | None = None
        for *info, stored in self._database.rows("SELECT id, name, scopes, prefix, created_at, hash FROM tokens"):
            if hmac.compare_digest(digest, stored):
                found = _info(*info)
        return found

    def list(self) -> tuple[TokenInfo, ...]:
        """All, oldest first."""
        rows = self._database.rows("SELECT id, name, scopes, prefix, created_at FROM tokens ORDER BY created_at, rowid")
        return tuple(_info(*row) for row in rows)

    def revoke(self, token_id: str) -> bool:
        """False: there is no such token."""
        with self._database.transaction(durable=True) as connection:
            return connection.execute("DELETE FROM tokens WHERE id = ?", (token_id,)).rowcount > 0

    def _insert(
        self, connection: sqlite3.Connection, name: str, scopes: frozenset[Scope], text: str | None = None
    ) -> str:
        text = text or make_token()
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise PrivFaceError(
                ErrorCode.BAD_NAME,
                "That name can't be used for a token.",
                allowed=f"1 to {_LONGEST_NAME} printable characters",
            )
        if not scopes or Scope.UNKNOWN in scopes:
            raise PrivFaceError(
                ErrorCode.BAD_REQUEST,
                "A token needs at least one scope that exists.",
                allowed=", ".join(scope for scope in Scope if scope is not Scope.UNKNOWN),
            )
        info = TokenInfo(
            id=str(uuid.uuid4()), name=name.strip(), scopes=scopes, prefix=text[:_SHOWN], created_at=self._clock()
        )
        row = sealed(
            "tokens",
            info.id,
            info.name,
            ",".join(sorted(scopes)),
            info.prefix,
            hash_token(text),
            info.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        )
        connection.execute(
            "INSERT INTO tokens (id, name, scopes, prefix, hash, created_at, digest) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        )
        return text


def make_token() -> str:
    """A new token's text."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _info(*row: Any) -> TokenInfo:
    token_id, name, scopes, prefix, created_at = row
    return TokenInfo(
        id=token_id,
        name=name,
        scopes=frozenset(Scope(scope) for scope in scopes.split(",")),
        prefix=prefix,
        created_at=datetime.fromisoformat(created_at),
    )
