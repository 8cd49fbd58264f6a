"""What a calibration found: how many of the household's own faces are still known at each strength, and the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from privface_backend.calibration.estimates import Rate, never_rising
from privface_backend.protocol import WireError, from_wire_time, to_wire_time

SCHEMA: Final = 1
DEFAULT_FLOOR: Final = 0.9
_EXACT: Final = 1e-9


class LevelNote(StrEnum):
    """Whether a strength can be chosen. ``TOO_BLURRY``: faces so blurred are never used; ``FEW_PROBES``: less than half
    of the faces have a template of that strength."""

    OK = "ok"
    TOO_BLURRY = "too_blurry"
    FEW_PROBES = "few_probes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One strength r. ``probes``: faces that were searched among the others; ``known``: of these, how many were named
    rightly; ``mistaken``: named as another of the household; ``smoothed``: the share of the known once the curve never
    rises; ``strangers``: faces searched without their person's; ``named``: how many of these got a name."""

    relative: float
    probes: int
    known: int
    mistaken: int
    tpir: Rate | None
    strangers: int
    named: int
    fpir: Rate | None
    smoothed: float | None = None
    note: LevelNote = LevelNote.OK

    def to_dict(self) -> dict[str, Any]:
        return {
            "relative": round(self.relative, 5),
            "probes": self.probes,
            "known": self.known,
            "mistaken": self.mistaken,
            "tpir": None if self.tpir is None else self.tpir.to_list(),
            "smoothed": None if self.smoothed is None else round(self.smoothed, 4),
            "strangers": self.strangers,
            "named": self.named,
            "fpir": None if self.fpir is None else self.fpir.to_list(),
            "note": self.note.value,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            relative=float(data["relative"]),
            probes=int(data["probes"]),
            known=int(data["known"]),
            mistaken=int(data["mistaken"]),
            tpir=_read_rate(data["tpir"]),
            smoothed=None if data["smoothed"] is None else float(data["smoothed"]),
            strangers=int(data["strangers"]),
            named=int(data["named"]),
            fpir=_read_rate(data["fpir"]),
            note=LevelNote(data["note"]),
        )


def _read_rate(value: Sequence[float] | None) -> Rate | None:
    if value is None:
        return None
    share, low, high = value
    return Rate(value=float(share), low=float(low), high=float(high))


def smooth(levels: Sequence[Level]) -> tuple[Level, ...]:
    """The levels with ``smoothed``; those that can't be chosen have none. The weakest comes first."""
    measured = [level for level in levels if level.note is LevelNote.OK and level.tpir is not None]
    shares = never_rising([level.known / level.probes for level in measured], [level.probes for level in measured])
    smoothed = dict(zip((level.relative for level in measured), shares, strict=True))
    return tuple(replace(level, smoothed=smoothed.get(level.relative)) for level in levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a gallery gives to calibrate with. ``gallery``: changes when it has to be done anew; ``searchable``: people
    with two faces or more, who can be searched for; ``single``: those with one; ``probes``: the faces of the former."""

    gallery: str
    revision: int
    people: int
    faces: int
    searchable: int
    single: int
    probes: int

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A curve, and what it was made of. ``method``: of the templates that were searched; ``floor``: the share of faces
    that should still be known; ``sampled``: not all faces of a large gallery were searched. It names nobody."""

    made_at: datetime
    enrolled: Enrolled
    method: str
    floor: float
    sampled: bool
    levels: tuple[Level, ...]

    @property
    def chosen(self) -> Level | None:
        """The strongest blur that keeps the floor, by the smoothed share; None: none does, not even the weakest."""
        kept = [level for level in self.levels if level.smoothed is not None and level.smoothed >= self.floor - _EXACT]
        return max(kept, key=lambda level: level.relative, default=None)

    def to_dict(self) -> dict[str, Any]:
        chosen = self.chosen
        return {
            "schema": SCHEMA,
            "made_at": to_wire_time(self.made_at),
            "enrolled": self.enrolled.to_dict(),
            "method": self.method,
            "floor": self.floor,
            "sampled": self.sampled,
            "chosen": None if chosen is None else round(chosen.relative, 5),
            "levels": [level.to_dict() for level in self.levels],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            WireError: it is of another schema, or damaged.
        """
        try:
            if data["schema"] != SCHEMA:
                raise WireError("schema", str(SCHEMA))
            return cls(
                made_at=from_wire_time(data["made_at"], "made_at"),
                enrolled=Enrolled(**data["enrolled"]),
                method=str(data["method"]),
                floor=float(data["floor"]),
                sampled=bool(data["sampled"]),
                levels=tuple(Level.from_dict(level) for level in data["levels"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, WireError):
                raise
            raise WireError("calibration", "what a calibration wrote") from None
