"""Names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.people import LONGEST_NAME, clean_name, same_name
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


@given(st.text(max_size=80))
def test_a_clean_name_is_clean_or_refused(name: str) -> None:
    cleaned, code = "x", ErrorCode.BAD_NAME
    try:
        cleaned = clean_name(name)
    except PrivFaceError as error:
        name, code = "x", error.code
    assert code is ErrorCode.BAD_NAME
    assert clean_name(cleaned) == cleaned
    assert 1 <= len(cleaned) <= LONGEST_NAME
    assert same_name(cleaned, name) or " ".join(name.split()) != name
    cleaned.encode()


@pytest.mark.parametrize(
    "name", ["", " ", "\t\n", "a\0b", "a\x1bb", "\u202eadA", "\ud800", "x" * 65, "\u200d", "\u200b"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(PrivFaceError) as refused:
        clean_name(name)
    assert refused.value.code is ErrorCode.BAD_NAME
    assert refused.value.allowed


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("  Ada \t Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("李小龍", "李小龍"),
        ("می\u200cنو", "می\u200cنو"),
        ("x" * 64, "x" * 64),
    ],
)
def test_names_that_are_kept(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@given(st.text(min_size=1, max_size=30))
def test_the_form_of_accents_and_case_do_not_make_another_name(name: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert same_name(name, unicodedata.normalize(form, name))
    assert same_name(name, name.casefold())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ada", "ADA", True),
        ("Straße", "STRASSE", True),
        ("ΐ", "ΐ".upper(), True),
        ("می\u200cنو", "مینو", True),
        ("Ada", "Ida", False),
        ("Zoë", "Zoe", False),
    ],
)
def test_same_name(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same
