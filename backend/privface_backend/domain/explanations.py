"""Why an event came out as it did, as plain JSON: an object that names people by id alone, in ``person_id``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

Explanation = Mapping[str, Any]

_PERSON_ID: Final = "person_id"
_NEAREST: Final = "nearest"


def without_person(explanation: Explanation, person_id: str) -> dict[str, Any]:
    """The explanation without what is said of a person, wherever in it that stands."""
    return {key: _pruned(value, person_id) for key, value in explanation.items()}


def only_people(explanation: Explanation, people: Collection[str]) -> dict[str, Any]:
    """The explanation without what is said of anybody who is not among ``people``, by id."""
    nearest = [entry for entry in explanation.get(_NEAREST, ()) if entry.get(_PERSON_ID) in people]
    return {**explanation, _NEAREST: nearest}


def with_names(explanation: Explanation, names: Mapping[str, str]) -> dict[str, Any]:
    """The explanation with each of the nearest people's name beside the id; who is in ``names`` no more is left out."""
    known = only_people(explanation, names)
    nearest = [
        {_PERSON_ID: entry[_PERSON_ID], "person": names[entry[_PERSON_ID]], **entry} for entry in known[_NEAREST]
    ]
    return {**known, _NEAREST: nearest}


def _pruned(value: Any, person_id: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _pruned(item, person_id) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pruned(item, person_id) for item in value if not _is_about(item, person_id)]
    return None if value == person_id else value


def _is_about(item: Any, person_id: str) -> bool:
    return item == person_id or (isinstance(item, Mapping) and item.get(_PERSON_ID) == person_id)
