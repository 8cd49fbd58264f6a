"""Sets of pictures and pairs: CSV files with a header, or a folder a person.

Paths in a file are relative to its folder. Columns that aren't known are left alone. What is wrong is said with the
file's name, the line and the column, and never with what stands there.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
STRANGERS: Final = "strangers"
_TRUTHS: Final = {"1": True, "true": True, "0": False, "false": False}


class Role(StrEnum):
    """What a picture of a household is for."""

    ENROLL = "enrol"
    PROBE = "probe"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of one person."""

    path: Path = field(repr=False)
    identity: str = field(repr=False)
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdSet:
    """A household's pictures.

    ``leave_out``: the pictures to enroll are the probes too, each against the others; a stranger who is enrolled is
    searched among the other people.
    """

    name: str
    pictures: tuple[Picture, ...] = field(repr=False)
    leave_out: bool = False

    def of(self, role: Role) -> list[Picture]:
        return [picture for picture in self.pictures if picture.role is role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two pictures, of one person or of two. ``first`` and ``second``: who is on them, or the pictures' folders."""

    path_a: Path = field(repr=False)
    path_b: Path = field(repr=False)
    same: bool
    first: str = field(repr=False)
    second: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """The pairs of one protocol."""

    name: str
    pairs: tuple[Pair, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a CSV file."""

    file: Path = field(repr=False)
    line: int
    cells: Mapping[str, str] = field(repr=False)

    def text(self, column: str) -> str:
        """What stands in a column, which must be something."""
        value = self.cells[column].strip()
        if not value:
            self.refuse(column, "a value")
        return value

    def path(self, column: str) -> Path:
        """The file that is named there, which must exist."""
        path = self.file.parent / self.text(column)
        if not path.is_file():
            self.refuse(column, "a file, its path relative to the folder of this one", "names no file")
        return path

    def number(self, column: str) -> float:
        try:
            return float(self.text(column))
        except ValueError:
            self.refuse(column, "a number")

    def refuse(self, column: str, allowed: str, problem: str = "can't be used") -> NoReturn:
        """Raises:
        PrivFaceError: ``bad_request``.
        """
        message = f"{self.file.name}, line {self.line}, column {column}: what stands there {problem}."
        raise PrivFaceError(ErrorCode.BAD_REQUEST, message, allowed=allowed)


def read_rows(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The lines of a CSV file with a header.

    Raises:
        PrivFaceError: ``not_found``; ``bad_request``: no CSV, no header with the ``needed`` columns, a line with fewer
            cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_header(path, reader.fieldnames or (), needed, optional)
            for cells in reader:
                row = Row(file=path, line=reader.line_num, cells=cells)
                for column in needed:
                    if cells[column] is None:
                        row.refuse(column, "as many cells as the header has", "is missing")
                yield row
    except FileNotFoundError:
        raise PrivFaceError(ErrorCode.NOT_FOUND, f"There is no file {path.name} there.") from None
    except (OSError, UnicodeDecodeError, csv.Error):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, f"{path.name} can't be read.", allowed="a CSV file in UTF-8 with a header"
        ) from None


def _check_header(path: Path, found: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> None:
    missing = [column for column in needed if column not in found]
    if missing:
        also = f"; also read: {', '.join(optional)}; others are left alone" if optional else ""
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            f"{path.name}, line 1: the header has no column {', '.join(missing)}.",
            allowed=f"{', '.join(needed)}, spelled like this{also}",
        )


def read_households(path: Path) -> list[HouseholdSet]:
    """The households of a manifest: ``path``, ``identity``, ``role`` and, where there are several, ``household``.

    Raises:
        PrivFaceError: what ``read_rows`` raises; ``bad_request``: a cell can't be used, or a household has nobody to
            enroll or no probe.
    """
    households: dict[str, list[Picture]] = defaultdict(list)
    for row in read_rows(path, ("path", "identity", "role"), ("household",)):
        role = row.text("role")
        if role not in list(Role):
            row.refuse("role", ", ".join(Role))
        name = (row.cells.get("household") or "").strip() or path.stem
        picture = Picture(path=row.path("path"), identity=row.text("identity"), role=Role(role))
        households[name].append(picture)
    found = [HouseholdSet(name=name, pictures=tuple(pictures)) for name, pictures in households.items()]
    for household in found:
        _check_roles(path, household)
    if not found:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{path.name} has no line below its header.")
    return found


def _check_roles(path: Path, household: HouseholdSet) -> None:
    counts = Counter(picture.role for picture in household.pictures)
    for role in (Role.ENROLL, Role.PROBE):
        if not counts[role]:
            raise PrivFaceError(
                ErrorCode.BAD_REQUEST,
                f"{path.name}: a household has no picture in the role {role}.",
                allowed=f"{Role.ENROLL} and {Role.PROBE}, and {Role.STRANGER} for FPIR",
            )


def choose_household(households: Sequence[HouseholdSet], names: Sequence[str]) -> list[HouseholdSet]:
    """Those called ``names``, or all.

    Raises:
        PrivFaceError: ``not_found``.
    """
    known = {household.name: household for household in households}
    if any(name not in known for name in names):
        raise PrivFaceError(
            ErrorCode.NOT_FOUND, "The manifest has no household of that name.", allowed=", ".join(known)
        )
    return [known[name] for name in names] or list(households)


def read_folder(folder: Path) -> HouseholdSet:
    """A folder a person, and strangers in ``strangers/``; without these, each person is a stranger to the others.

    Raises:
        PrivFaceError: ``not_found``; ``bad_request``: no person has two pictures.
    """
    if not folder.is_dir():
        raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such folder.")
    pictures = []
    for person in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if person.name != STRANGERS:
            for path in pictures_below(person):
                pictures.append(Picture(path=path, identity=person.name, role=Role.ENROLL))
                pictures.append(Picture(path=path, identity=person.name, role=Role.PROBE))
    counts = Counter(picture.identity for picture in pictures if picture.role is Role.PROBE)
    if not any(count > 1 for count in counts.values()):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "The folder has nobody with two pictures.",
            allowed=f"a folder a person with two pictures or more, and {STRANGERS}/ with other people's",
        )
    probes = [one for one in pictures if one.role is Role.ENROLL or counts[one.identity] > 1]
    others = pictures_below(folder / STRANGERS)
    strangers = [
        Picture(path=path, identity=_stranger_name(folder / STRANGERS, path), role=Role.STRANGER) for path in others
    ] or [replace(picture, role=Role.STRANGER) for picture in pictures if picture.role is Role.ENROLL]
    return HouseholdSet(name=folder.resolve().name, pictures=(*probes, *strangers), leave_out=True)


def pictures_below(folder: Path) -> list[Path]:
    """The pictures in a folder and all below it, in order; hidden ones left out."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _stranger_name(folder: Path, path: Path) -> str:
    """A stranger's folder, or a file that stands alone."""
    return f"{STRANGERS}/{path.relative_to(folder).parts[0]}"


def read_pairs(path: Path) -> list[PairSet]:
    """The pairs of a manifest, by protocol: ``path_a``, ``path_b``, ``same`` and, where there are several,
    ``protocol``; ``identity_a`` and ``identity_b`` where the pictures' folders don't tell the people apart.

    Raises:
        PrivFaceError: what ``read_rows`` raises; ``bad_request``: a cell can't be used.
    """
    protocols: dict[str, list[Pair]] = defaultdict(list)
    for row in read_rows(path, ("path_a", "path_b", "same"), ("protocol", "identity_a", "identity_b")):
        same = _TRUTHS.get(row.text("same").lower())
        if same is None:
            row.refuse("same", "1 (one person) or 0 (two people)")
        first, second = (_identity(row, f"identity_{side}", f"path_{side}") for side in ("a", "b"))
        pair = Pair(
            path_a=row.path("path_a"),
            path_b=row.path("path_b"),
            same=same,
            first=first,
            second=first if same else second if second != first else f"{second}/other",
        )
        protocols[(row.cells.get("protocol") or "").strip() or path.stem].append(pair)
    if not protocols:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{path.name} has no line below its header.")
    return [PairSet(name=name, pairs=tuple(pairs)) for name, pairs in protocols.items()]


def _identity(row: Row, column: str, path_column: str) -> str:
    given = (row.cells.get(column) or "").strip()
    return given or Path(row.text(path_column)).parent.as_posix()
