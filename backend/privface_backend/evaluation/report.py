"""Runs as a table for people: rates in percent, a gallery a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from rich.table import Table

from privface_backend.evaluation.intervals import Estimate
from privface_backend.evaluation.runs import Run


def make_tables(runs: Sequence[Run]) -> list[Table]:
    """A table for each kind of run that there is: households, pairs, clips."""
    households = [run for run in runs if run.tpir is not None or run.rank1 is not None]
    pairs = [run for run in runs if run.pairs is not None]
    clips = [run for run in runs if run.visits is not None]
    kinds = ((households, _tabulate_households), (pairs, _tabulate_pairs), (clips, _tabulate_clips))
    return [tabulate(found) for found, tabulate in kinds if found]


def _tabulate_households(runs: Sequence[Run]) -> Table:
    rates = list(dict.fromkeys(name for run in runs for name in run.tpir or ()))
    table = _table(
        *(f"TPIR at {percent(float(rate))} %" for rate in rates), "rank 1", "named rightly", "strangers named", "wrong",
        "EER", "no face",
    )  # fmt: skip
    for run in runs:
        named, tpir = run.named, run.tpir or {}
        table.add_row(
            *_about(run),
            *(show_estimate(tpir.get(rate)) for rate in rates),
            _plain(None if run.rank1 is None else run.rank1.value),
            show_estimate(None if named is None else named.tpir),
            show_estimate(None if named is None else named.fpir),
            _plain(None if named is None else named.wrong),
            _plain(None if run.eer is None else run.eer.value),
            _plain(run.fta),
        )
    return table


def _tabulate_pairs(runs: Sequence[Run]) -> Table:
    rates = list(dict.fromkeys(name for run in runs for name in run.fnmr_at_fmr or ()))
    table = _table(
        "accuracy", "EER", *(f"FNMR at FMR {percent(float(rate))} %" for rate in rates), "FMR", "FNMR", "no face"
    )
    for run in runs:
        accuracy = "-" if run.accuracy is None else f"{percent(run.accuracy[0])} ± {percent(run.accuracy[1])}"
        at = run.fnmr_at_fmr or {}
        cells = (run.eer, *(at.get(rate) for rate in rates), run.fmr, run.fnmr)
        table.add_row(*_about(run), accuracy, *(show_estimate(cell) for cell in cells), _plain(run.fta))
    return table


_CLIP_COLUMNS: Final = {
    "visits": "visits",
    "right": "right",
    "wrong": "wrong",
    "missed": "missed",
    "seconds_to_name": "seconds to name",
    "strangers": "strangers",
    "strangers_named": "strangers named",
    "false_names": "false names",
}


def _tabulate_clips(runs: Sequence[Run]) -> Table:
    """What was said for sure, and who was named."""
    table = _table(*_CLIP_COLUMNS.values(), "named")
    for run in runs:
        said: Any = (run.visits or {})["confirmed"]
        numbers = ("-" if said[key] is None else f"{said[key]:g}" for key in _CLIP_COLUMNS)
        table.add_row(*_about(run), *numbers, ", ".join(said["named"]) or "nobody")
    return table


def _table(*columns: str) -> Table:
    table = Table("set", "engine", "gallery", "method", "k", "r", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _about(run: Run) -> tuple[str, ...]:
    subject = run.subject
    return (
        subject.set,
        subject.engine,
        subject.gallery or "-",
        subject.method,
        "-" if subject.parameter is None else str(subject.parameter),
        "-" if np.isnan(run.relative) else f"{run.relative:.3f}",
    )


def percent(rate: float) -> str:
    """A rate in percent, with one place where it needs one; ``-`` for nan."""
    return "-" if np.isnan(rate) else f"{100 * rate:.1f}".removesuffix(".0")


def _plain(rate: float | None) -> str:
    return "-" if rate is None else percent(rate)


def show_estimate(estimate: Estimate | None) -> str:
    """A rate and its interval."""
    if estimate is None or np.isnan(estimate.value):
        return "-"
    if np.isnan(estimate.low):
        return percent(estimate.value)
    return f"{percent(estimate.value)} ({percent(estimate.low)}-{percent(estimate.high)})"
