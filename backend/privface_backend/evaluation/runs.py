"""What one evaluation gives: a run for each set, engine, method, parameter and gallery, and the document of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from privface_backend import __version__
from privface_backend.evaluation.intervals import CONFIDENCE, Bootstrap, Estimate

SCHEMA: Final = 1
NOTHING: Final = Estimate(value=float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a run is about. ``parameter``: None where the faces' own templates are the probes."""

    set: str
    engine: str
    method: str
    parameter: int | None
    gallery: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the decision does at its own threshold. ``threshold``: the median of those that probes met;
    ``wrong``: the share of enrolled people's probes that were named as somebody else."""

    threshold: float
    tpir: Estimate = NOTHING
    fpir: Estimate = NOTHING
    wrong: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        return {
            "threshold": number(self.threshold),
            "tpir": self.tpir.to_list(),
            "fpir": self.fpir.to_list(),
            "wrong": number(self.wrong),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """For plots: a false rate (FPIR or FMR), rising, and beside it what is missed of the right (1 - TPIR, or FNMR)."""

    false: NDArray[np.float64]
    missed: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The measures of one subject, rates from 0 to 1; what isn't defined for its kind of set is None."""

    subject: Subject
    relative: float
    enrolled: int | None = None
    enrolled_pictures: int | None = None
    probes: int | None = None
    strangers: int | None = None
    pairs: int | None = None
    fta: float | None = None
    fte: float | None = None
    rank1: Estimate | None = None
    tpir: Mapping[str, Estimate] | None = None
    named: Named | None = None
    accuracy: tuple[float, float] | None = None
    eer: Estimate | None = None
    fmr: Estimate | None = None
    fnmr: Estimate | None = None
    fnmr_at_fmr: Mapping[str, Estimate] | None = None
    visits: Mapping[str, Any] | None = None
    curve: Curve | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The run as it stands in the document; every key is always there."""
        return {
            "set": self.subject.set,
            "engine": self.subject.engine,
            "method": self.subject.method,
            "parameter": self.subject.parameter,
            "relative": number(self.relative),
            "gallery": self.subject.gallery,
            "enrolled": self.enrolled,
            "enrolled_pictures": self.enrolled_pictures,
            "probes": self.probes,
            "strangers": self.strangers,
            "pairs": self.pairs,
            "fta": number(self.fta),
            "fte": number(self.fte),
            "rank1": None if self.rank1 is None else number(self.rank1.value),
            "tpir": _estimates(self.tpir),
            "named": None if self.named is None else self.named.to_dict(),
            "accuracy": None if self.accuracy is None else number(self.accuracy[0]),
            "accuracy_deviation": None if self.accuracy is None else number(self.accuracy[1]),
            "eer": None if self.eer is None else number(self.eer.value),
            "fmr": None if self.fmr is None else self.fmr.to_list(),
            "fnmr": None if self.fnmr is None else self.fnmr.to_list(),
            "fnmr_at_fmr": _estimates(self.fnmr_at_fmr),
            "intervals": {
                name: None if estimate is None else estimate.to_list()[1:]
                for name, estimate in (("rank1", self.rank1), ("eer", self.eer))
            },
            "visits": self.visits,
        }


def number(value: float | None) -> float | None:
    """A number of the document: None for nan, six places."""
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def rate_name(rate: float) -> str:
    """A rate as a key of the document: ``0.01``."""
    return f"{rate:.10f}".rstrip("0").rstrip(".") or "0"


def _estimates(estimates: Mapping[str, Estimate] | None) -> dict[str, list[float | None]] | None:
    return None if estimates is None else {name: estimate.to_list() for name, estimate in estimates.items()}


def to_document(runs: Sequence[Run], bootstrap: Bootstrap) -> dict[str, Any]:
    """All runs, and how their intervals were made."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "confidence": CONFIDENCE,
        "rounds": bootstrap.rounds,
        "seed": bootstrap.seed,
        "runs": [run.to_dict() for run in runs],
    }
