"""Looks for what is left of a person in files: their name however it is written, and their templates' bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

_SLICE = 16


def forms(word: str) -> Iterator[bytes]:
    """A word as it may stand in a file, in lower case: UTF-8, UTF-16 in both orders, and with JSON's escapes."""
    lower = word.lower()
    yield lower.encode()
    yield lower.encode("utf-16-le")
    yield lower.encode("utf-16-be")
    yield lower.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")


def slices(vectors: Sequence[Sequence[float]]) -> set[bytes]:
    """Every run of four numbers of the vectors, as float32 has them; those that say nothing left out."""
    found: set[bytes] = set()
    for vector in vectors:
        data = np.asarray(vector, dtype="<f4").tobytes()
        runs = (data[start : start + _SLICE] for start in range(0, len(data) - _SLICE + 1, 4))
        found |= {run for run in runs if len(set(run)) > 4}
    return found


def traces(data: bytes, words: Sequence[str], vectors: set[bytes]) -> list[str]:
    """What of these is in the data."""
    lower = data.lower()
    found = [f"the word {place}" for place, word in enumerate(words) if any(form in lower for form in forms(word))]
    # One pass over the data instead of one for each slice: vectors are stored unaligned.
    return found + ["a template"] * any(data[start : start + _SLICE] in vectors for start in range(len(data)))


def traces_in(directory: Path, words: Sequence[str], vectors: set[bytes]) -> dict[str, list[str]]:
    """What of these is in the files below a directory, and in their names."""
    found: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*")):
        data = str(path.relative_to(directory)).encode() + b"\n" + (path.read_bytes() if path.is_file() else b"")
        if left := traces(data, words, vectors):
            found[str(path.relative_to(directory))] = left
    return found
