"""What a backend says of calibrations: how strongly cameras may blur before the household is no longer known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from .protocol import WireError
from .shapes import read_flag, read_list, read_number, read_object, read_text, read_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLevel:
    """One strength r. ``known``: of ``probes`` enrolled faces, how many were still named rightly, ``mistaken`` as
    another; ``share``: the former's, with its interval from ``low`` to ``high``; ``named``: how many of ``strangers``
    got a name."""

    relative: float
    probes: int
    known: int
    mistaken: int
    share: float
    low: float
    high: float
    strangers: int
    named: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a level; WireError if a key has the wrong shape."""
        rate = data.get("tpir") or [0.0, 0.0, 1.0]
        if not isinstance(rate, list) or len(rate) != 3:
            raise WireError("tpir", "three numbers or null")
        share, low, high = (_number({"tpir": part}, "tpir") for part in rate)
        return cls(
            relative=_number(data, "relative"),
            probes=read_whole(data, "probes"),
            known=read_whole(data, "known"),
            mistaken=read_whole(data, "mistaken"),
            share=share,
            low=low,
            high=high,
            strangers=read_whole(data, "strangers"),
            named=read_whole(data, "named"),
        )


def _number(data: Mapping[str, Any], key: str) -> float:
    value = read_number(data, key)
    if value is None:
        raise WireError(key, "a number")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How a backend's gallery is calibrated.

    ``gallery``: another text once it has to be done anew; ``searchable``: how many people have two faces or more;
    ``current``: there is a result and it still holds; ``chosen``: the strongest blur that keeps the result's floor,
    None where none does or there is no result; ``face_widths``: how wide faces usually are before each camera where
    that is known, in pixels at the working size.
    """

    gallery: str
    searchable: int
    current: bool
    chosen: CalibrationLevel | None
    face_widths: Mapping[str, float]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an answer of ``/calibration``; WireError if a key has the wrong shape."""
        enrolled = read_object(data, "enrolled")
        return cls(
            gallery=read_text(enrolled, "gallery"),
            searchable=read_whole(enrolled, "searchable"),
            current=read_flag(data, "current", default=False),
            chosen=_read_chosen(read_object(data, "result")),
            face_widths=dict(found for found in read_list(data, "cameras", _read_width) if found[1] > 0),
        )


def _read_chosen(result: Mapping[str, Any]) -> CalibrationLevel | None:
    relative = read_number(result, "chosen")
    if relative is None or relative <= 0:
        return None
    levels = read_list(result, "levels", CalibrationLevel.from_dict)
    return next((level for level in levels if level.relative == relative), None)


def _read_width(data: Mapping[str, Any]) -> tuple[str, float]:
    return read_text(data, "camera"), read_number(data, "face_width") or 0.0
