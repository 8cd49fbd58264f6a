"""The trade-off as a picture: what a household has of a method, and what an attacker has, over r."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.report import Findings
from privface_backend.evaluation.attacks.searching import AttackRow
from privface_backend.evaluation.attacks.templates import SEALED
from privface_backend.evaluation.plots import require_matplotlib
from privface_backend.evaluation.runs import Run
from privface_backend.protocol import ErrorCode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH: Final = 4.6
_EDGE: Final = 0.1
_ATTACKS: Final = (
    "direct", "wiener", "richardson-lucy", "learned", "matched", "regression", "interpolation", "other-key",
)  # fmt: skip
"""In the order of their colors; those of known pairs have colors by their number."""


def draw_findings(findings: Findings, folder: Path) -> list[Path]:
    """Write ``SET-attack-PEOPLE.png`` for each set and people; the files' paths.

    Raises:
        PrivFaceError: ``engine_missing``; ``storage_failed``.
    """
    require_matplotlib()
    groups: dict[tuple[str, str], list[AttackRow]] = defaultdict(list)
    for row in findings.attacks:
        groups[row.target.set, row.target.people].append(row)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for (name, people), rows in groups.items():
            stem = re.sub(r"[^\w.-]+", "_", name)
            path = folder / f"{stem}-attack-{people}.png"
            plot_trade_off(rows, [run for run in findings.utility if run.subject.set == name]).savefig(path, dpi=100)
            written.append(path)
    except OSError as error:
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, f"The plots can't be written: {error.strerror}.") from None
    return written


def plot_trade_off(rows: Sequence[AttackRow], runs: Sequence[Run]) -> Figure:
    """A panel a method: rank 1 of each attack with its interval, chance, the household's TPIR at its lowest FPIR."""
    # Without pyplot, which keeps every figure and may look for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra

    methods = list(dict.fromkeys(row.target.method for row in rows))
    figure = Figure(figsize=(_WIDTH * len(methods), 5), layout="constrained")
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    figure.suptitle(
        f"{rows[0].target.set}: {rows[0].people} people ({rows[0].target.people}) sought among {rows[0].gallery}"
    )
    for panel, method in zip(panels, methods, strict=True):
        _fill(panel, method, [row for row in rows if row.target.method == method])
        _add_use(panel, [run for run in runs if run.subject.method == method], flat=method == SEALED)
        panel.set_title(method)
        panel.set_xlim(0, _EDGE)
        panel.set_ylim(-0.02, 1.02)
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize="x-small")
        panel.set_xlabel("any r: no picture is sent" if method == SEALED else "r = sigma / face width (median)")
    panels[0].set_ylabel("rate")
    return figure


def _fill(panel: Any, method: str, rows: Sequence[AttackRow]) -> None:
    lines: dict[str, list[AttackRow]] = defaultdict(list)
    for row in rows:
        lines[row.attack].append(row)
    # Nothing is to be undone of clear pictures: all begin where the first does.
    clear = [row for row in rows if row.target.relative == 0 and method != SEALED]
    for attack, found in lines.items():
        lines[attack] = found if found[0] in clear else [*clear, *found]
    panel.axhline(1 / max(1, rows[0].gallery), color="gray", linestyle=":", label="chance")
    for attack, found in lines.items():
        strengths = [0.0, _EDGE] if method == SEALED else [row.target.met for row in found]
        rates = [row.rank1 for row in (found * 2 if method == SEALED else found)]
        (line,) = panel.plot(
            strengths, [rate.value for rate in rates], marker=".", color=_color(attack), label=f"attack: {attack}"
        )
        panel.fill_between(
            strengths, [rate.low for rate in rates], [rate.high for rate in rates], color=line.get_color(), alpha=0.12
        )


def _color(attack: str) -> str:
    """The same in every panel."""
    return f"C{_ATTACKS.index(attack) if attack in _ATTACKS else int(attack.rpartition('-')[2]).bit_length() % 10}"


def _add_use(panel: Any, runs: Sequence[Run], *, flat: bool) -> None:
    points = []
    for run in runs:
        if run.tpir:
            rate = min(run.tpir, key=float)
            points += [(place, run.tpir[rate].value, rate) for place in ((0.0, _EDGE) if flat else (run.relative,))]
    if points:
        label = f"household: TPIR at FPIR {100 * float(points[0][2]):g} %"
        panel.plot([point[0] for point in points], [point[1] for point in points], "k--", marker="o", label=label)
