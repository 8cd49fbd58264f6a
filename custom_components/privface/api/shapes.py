"""Reading the values of a JSON object, each of the shape that it should have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from .protocol import WireError, from_wire_time

T = TypeVar("T")
_LONGEST_TEXT = 1024


def read_text(data: Mapping[str, Any], key: str) -> str:
    """A text that is there.

    Raises:
        WireError: it is missing, empty, too long or something else.
    """
    text = read_optional_text(data, key)
    if not text:
        raise WireError(key, "a text")
    return text


def read_optional_text(data: Mapping[str, Any], key: str) -> str | None:
    """A text, or None where there is none.

    Raises:
        WireError: it is too long or something else.
    """
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or len(value) > _LONGEST_TEXT):
        raise WireError(key, "a text or null")
    return value


def read_whole(data: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A whole number; ``default`` where there is none.

    Raises:
        WireError: it is something else, or missing without a default.
    """
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(key, "a whole number")
    return value


def read_number(data: Mapping[str, Any], key: str) -> float | None:
    """A number, or None where there is none.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key)
    if value is None:
        return None
    # Written so that not-a-number fails, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise WireError(key, "a number or null")
    return float(value)


def read_flag(data: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """True or false; ``default`` where there is neither.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key, default)
    if not isinstance(value, bool):
        raise WireError(key, "true or false")
    return value


def read_moment(data: Mapping[str, Any], key: str) -> datetime | None:
    """An aware time, or None where there is none.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key)
    return None if value is None else from_wire_time(value, key)


def read_object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object; an empty one where there is none.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise WireError(key, "an object")
    return value


def read_texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts; none where there is no list.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WireError(key, "a list of texts")
    return tuple(value)


def read_list(data: Mapping[str, Any], key: str, read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    """A list of objects that is there, each read by ``read``.

    Raises:
        WireError: it is something else.
    """
    value = data.get(key)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise WireError(key, "a list of objects")
    return tuple(read(item) for item in value)
