"""Topic-safe short forms of names: any Unicode name, ``[a-z0-9_-]`` out."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

SLUG_PATTERN: Final = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)

_LONGEST_NAME: Final = 40
# Letters that Unicode doesn't take apart into a base and a mark.
_SPELLED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h", "ŋ": "n"}
)


def _written(name: str) -> tuple[str, bool]:
    """The part of ``name`` that ASCII can write, and whether that is all of its letters and digits."""
    spelled = unicodedata.normalize("NFKD", name.casefold()).casefold().translate(_SPELLED)
    out: list[str] = []
    complete = True
    for sign in spelled:
        if unicodedata.combining(sign):
            continue
        if sign.isascii() and (sign.isalnum() or sign == "_"):
            out.append(sign)
            continue
        complete = complete and not sign.isalnum()
        out.append("-")
    text = re.sub(r"-{2,}", "-", "".join(out)).strip("-")
    return text[:_LONGEST_NAME].strip("-"), complete and len(text) <= _LONGEST_NAME


def _marked(text: str, key: str, length: int) -> str:
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    return f"{text or 'id'}-{mark}"


def make_slug(name: str, key: str) -> str:
    """The slug of a name that stands alone.

    A name that can't be written in full carries a mark made from ``key`` (the person's UUID), so that two such
    names don't fall together.
    """
    text, complete = _written(name)
    return text if text and complete else _marked(text, key, 8)


def assign_slugs(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A slug for each ``(key, name)``, no two alike; keys are unique (UUIDs of people, names of cameras).

    The order given is the order of creation: the first of several people of one name keeps the plain slug, the
    others carry a mark made from their key, which doesn't depend on who else is there.
    """
    pairs = list(names)
    assigned: dict[str, str] = {}
    taken: set[str] = set()
    for key, name in pairs:
        slug = make_slug(name, key)
        if slug not in taken:
            taken.add(slug)
            assigned[key] = slug
    for key, name in pairs:
        length = 8
        while key not in assigned:
            slug = _marked(_written(name)[0][: 64 - 1 - length], key, length)
            if slug not in taken:
                taken.add(slug)
                assigned[key] = slug
            length += 4
    return assigned
