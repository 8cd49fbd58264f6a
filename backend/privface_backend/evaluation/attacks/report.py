"""What attacks gave: the document, and tables for people with rates in percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from privface_backend.evaluation.attacks.campaign import Row
from privface_backend.evaluation.attacks.searching import AttackRow
from privface_backend.evaluation.attacks.templates import UnlinkabilityRow
from privface_backend.evaluation.intervals import Bootstrap
from privface_backend.evaluation.report import make_tables, percent, show_estimate
from privface_backend.evaluation.runs import Run, to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All rows of a campaign, by kind."""

    attacks: tuple[AttackRow, ...]
    utility: tuple[Run, ...]
    unlinkability: tuple[UnlinkabilityRow, ...]


def sort_rows(rows: Sequence[Row]) -> Findings:
    """The rows by kind."""
    return Findings(
        attacks=tuple(row for row in rows if isinstance(row, AttackRow)),
        utility=tuple(row for row in rows if isinstance(row, Run)),
        unlinkability=tuple(row for row in rows if isinstance(row, UnlinkabilityRow)),
    )


def document_of(findings: Findings, bootstrap: Bootstrap) -> dict[str, Any]:
    """The document: that of the other evaluations, whose ``runs`` are what a household has of each method, and beside
    them ``attacks`` and ``unlinkability``."""
    return {
        **to_document(findings.utility, bootstrap),
        "attacks": [row.to_dict() for row in findings.attacks],
        "unlinkability": [row.to_dict() for row in findings.unlinkability],
    }


def tabulate_findings(findings: Findings) -> list[Table]:
    """A table of the attacks, of unlinkability, and of the households' own use."""
    tables = [_tabulate_attacks(findings.attacks)] if findings.attacks else []
    if findings.unlinkability:
        tables.append(_tabulate_unlinkability(findings.unlinkability))
    return [*tables, *make_tables(findings.utility)]


def _tabulate_attacks(rows: Sequence[AttackRow]) -> Table:
    rates = list(dict.fromkeys(name for row in rows for name in row.tpir))
    table = _table("set", "people", "method", "r", "attack")
    for column in ("rank 1", *(f"TPIR at {percent(float(rate))} %" for rate in rates), "chance", "no face", "searched"):
        table.add_column(column, justify="right")
    for row in rows:
        target = row.target
        table.add_row(
            target.set,
            target.people,
            target.method,
            "-" if np.isnan(target.met) else f"{target.met:.3f}",
            row.attack,
            show_estimate(row.rank1),
            *(show_estimate(row.tpir.get(rate)) for rate in rates),
            percent(1 / max(1, row.gallery)),
            percent(row.fta),
            f"{row.people} of {row.gallery}",
        )
    return table


def _tabulate_unlinkability(rows: Sequence[UnlinkabilityRow]) -> Table:
    table = _table("set", "keys")
    for column in ("D_sys", "by chance", "mated", "non-mated"):
        table.add_column(column, justify="right")
    for row in rows:
        measured = row.measured
        table.add_row(
            row.set, row.keys, f"{measured.value:.3f}", f"{measured.chance:.3f}", str(row.mated), str(row.non_mated)
        )
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False)
