"""Tokens: shown once, kept as hashes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.storage.database import Database
from privface_backend.storage.tokens import TokenStore
from support.gallery import START
from support.keys import KEYS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "privface.db", KEYS)
    yield opened
    opened.close()


@pytest.fixture
def tokens(database: Database) -> TokenStore:
    return TokenStore(database, clock=lambda: START)


def test_a_token_is_verified_with_its_scopes(tokens: TokenStore) -> None:
    text = tokens.create("door", [Scope.IDENTIFY, Scope.ENROLL])
    assert re.fullmatch(r"pf_[A-Za-z0-9_-]{43}", text)
    info = tokens.verify(text)
    assert info is not None
    assert (info.name, info.created_at) == ("door", START)
    assert info.scopes == {Scope.IDENTIFY, Scope.ENROLL}
    assert info.prefix == text[:7]
    assert info.allows(Scope.ENROLL)
    assert not info.allows(Scope.ADMIN)
    assert tokens.list() == (info,)


def test_admin_may_do_everything(tokens: TokenStore) -> None:
    info = tokens.verify(tokens.create("all", {Scope.ADMIN}))
    assert info is not None
    assert all(info.allows(scope) for scope in (Scope.IDENTIFY, Scope.ENROLL, Scope.ADMIN))


@pytest.mark.parametrize("wrong", ["", "pf_", "x", "pf_" + "A" * 43, "pf_é", "\ud800", "\0", "A" * 10_000])
def test_a_wrong_token_is_nobody_s(tokens: TokenStore, wrong: str) -> None:
    tokens.create("door", (Scope.IDENTIFY,))
    assert tokens.verify(wrong) is None


def test_one_letter_off_is_wrong(tokens: TokenStore) -> None:
    text = tokens.create("door", (Scope.IDENTIFY,))
    for at in (3, 20, len(text) - 1):
        assert tokens.verify(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]) is None
    assert tokens.verify(text + "A") is None
    assert tokens.verify(text[:-1]) is None


def test_tokens_are_told_apart(tokens: TokenStore) -> None:
    texts = {name: tokens.create(name, (Scope.IDENTIFY,)) for name in ("one", "two", "three")}
    for name, text in texts.items():
        info = tokens.verify(text)
        assert info is not None
        assert info.name == name


def test_a_revoked_token_is_worth_nothing(tokens: TokenStore) -> None:
    text, other = tokens.create("door", (Scope.IDENTIFY,)), tokens.create("other", (Scope.IDENTIFY,))
    info = tokens.verify(text)
    assert info is not None
    assert tokens.revoke(info.id)
    assert not tokens.revoke(info.id)
    assert tokens.verify(text) is None
    assert tokens.verify(other) is not None


def test_the_first_token_is_made_once(tokens: TokenStore) -> None:
    text = tokens.ensure_first()
    assert text is not None
    info = tokens.verify(text)
    assert info is not None
    assert info.scopes == {Scope.ADMIN}
    assert tokens.ensure_first() is None


def test_tokens_of_one_name_may_not_count_as_the_first(tokens: TokenStore) -> None:
    tokens.create("this run", (Scope.ADMIN,))
    assert tokens.ensure_first(besides="this run") is not None
    assert tokens.ensure_first(besides="this run") is None


def test_the_text_is_nowhere_afterwards(
    tokens: TokenStore, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = tokens.create("door", (Scope.IDENTIFY,))
    info = tokens.verify(text)
    held = b"".join(file.read_bytes() for file in database.path.parent.glob("privface.db*"))
    assert text.encode() not in held
    assert text[8:30].encode() not in held
    assert sha256(text.encode()).hexdigest().encode() in held
    assert text not in repr(info)
    assert text not in caplog.text


@pytest.mark.parametrize("name", ["", "   ", "a" * 65, "line\nbreak", "bell\a"])
def test_names_that_can_t_be_used(tokens: TokenStore, name: str) -> None:
    with pytest.raises(PrivFaceError) as error:
        tokens.create(name, (Scope.IDENTIFY,))
    assert error.value.code is ErrorCode.BAD_NAME
    assert tokens.list() == ()


@pytest.mark.parametrize("scopes", [(), (Scope.UNKNOWN,), (Scope.ADMIN, Scope.UNKNOWN)])
def test_scopes_that_don_t_exist(tokens: TokenStore, scopes: tuple[Scope, ...]) -> None:
    with pytest.raises(PrivFaceError) as error:
        tokens.create("door", scopes)
    assert error.value.code is ErrorCode.BAD_REQUEST


def test_another_process_s_revocation_counts_at_once(tokens: TokenStore, database: Database) -> None:
    text = tokens.create("door", (Scope.IDENTIFY,))
    other = Database(database.path, KEYS)
    info = TokenStore(other).verify(text)
    assert info is not None
    TokenStore(other).revoke(info.id)
    other.close()
    assert tokens.verify(text) is None
