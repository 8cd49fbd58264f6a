"""Plots of runs, as PNG files. Matplotlib comes with the extra ``evaluate``; nothing else here needs it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from privface_backend.calibration.curve import Calibration, LevelNote
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.runs import Run
from privface_backend.protocol import ErrorCode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST: Final = 5e-4
"""Where the logarithmic axes begin: a rate of 0 is drawn there."""
_STYLES: Final = ("-", "--", ":", "-.")


def require_matplotlib() -> None:
    """Raises:
    PrivFaceError: ``engine_missing``: it isn't installed.
    """
    if find_spec("matplotlib") is None:
        message = "Plots need matplotlib, which is not installed: pip install 'privface-backend[evaluate]'"
        raise PrivFaceError(ErrorCode.ENGINE_MISSING, message)


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write the plots that the runs give; the files' paths.

    For each set: ``SET-roc.png`` (what is named rightly over what is named falsely), ``SET-det.png`` (what is missed
    over what is named falsely, both on logarithmic axes; ISO/IEC 19795-1), ``SET-privacy.png`` (TPIR, or the accuracy
    of pairs, over the strength).

    Raises:
        PrivFaceError: ``engine_missing``; ``storage_failed``.
    """
    require_matplotlib()
    sets: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        sets[run.subject.set].append(run)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, found in sets.items():
            stem = re.sub(r"[^\w.-]+", "_", name)
            for kind, plot in (("roc", plot_roc), ("det", plot_det), ("privacy", plot_privacy)):
                figure = plot(found)
                if figure is not None:
                    figure.savefig(folder / f"{stem}-{kind}.png", dpi=120)
                    written.append(folder / f"{stem}-{kind}.png")
    except OSError as error:
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, f"The plots can't be written: {error.strerror}.") from None
    return written


def plot_roc(runs: Sequence[Run]) -> Figure | None:
    """What is named rightly over what is named falsely; None without curves."""
    return _plot_curves(runs, missed=False)


def plot_det(runs: Sequence[Run]) -> Figure | None:
    """What is missed over what is named falsely; None without curves."""
    return _plot_curves(runs, missed=True)


def _plot_curves(runs: Sequence[Run], *, missed: bool) -> Figure | None:
    drawn = [run for run in runs if run.curve is not None]
    if not drawn:
        return None
    figure, axes = _figure(drawn[0].subject.set)
    lines = list(dict.fromkeys(_label(run, parameter=False) for run in drawn))
    strengths = list(dict.fromkeys(_strength(run) for run in drawn))
    for run in drawn:
        assert run.curve is not None  # noqa: S101  # filtered above
        right = run.curve.missed.clip(_LEAST) if missed else 1 - run.curve.missed
        style = _STYLES[lines.index(_label(run, parameter=False)) % len(_STYLES)]
        axes.step(
            run.curve.false.clip(_LEAST),
            right,
            where="post",
            color=f"C{strengths.index(_strength(run))}",
            linestyle=style,
            label=_label(run, parameter=True),
        )
    pairs = drawn[0].pairs is not None
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, 1)
    axes.set_xlabel("FMR" if pairs else "FPIR")
    if missed:
        axes.set_yscale("log")
        axes.set_ylabel("FNMR" if pairs else "FNIR (1 - TPIR)")
    else:
        axes.set_ylabel("1 - FNMR" if pairs else "TPIR")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure


def plot_privacy(runs: Sequence[Run]) -> Figure | None:
    """TPIR at the lowest FPIR of the runs, or the accuracy of pairs, over r; None where there is one strength only."""
    lines: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for run in runs:
        if run.tpir:
            estimate = run.tpir[min(run.tpir, key=float)]
            lines[_label(run, parameter=False)].append((run.relative, estimate.value, estimate.low, estimate.high))
        elif run.accuracy is not None:
            value, deviation = run.accuracy
            lines[_label(run, parameter=False)].append((run.relative, value, value - deviation, value + deviation))
    if not any(len({point[0] for point in points}) > 1 for points in lines.values()):
        return None
    figure, axes = _figure(runs[0].subject.set)
    for label, points in lines.items():
        strengths, values, lows, highs = zip(*sorted(points), strict=True)
        axes.plot(strengths, values, marker="o", label=label)
        axes.fill_between(strengths, lows, highs, alpha=0.15)
    rate = next((min(run.tpir, key=float) for run in runs if run.tpir), None)
    axes.set_xlabel("r = sigma / face width (median)")
    axes.set_ylabel("10-fold accuracy" if rate is None else f"TPIR at FPIR {100 * float(rate):g} %")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure


def draw_calibration(made: Calibration, path: Path) -> None:
    """Write the plot of a calibration: what is known, with its interval, and which strangers are named, over r.

    Raises:
        PrivFaceError: ``engine_missing``; ``storage_failed``.
    """
    require_matplotlib()
    figure = plot_calibration(made)
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, f"The plot can't be written: {error.strerror}.") from None


def plot_calibration(made: Calibration) -> Figure:
    """What is known, with its interval, and which strangers are named, over r; the floor, and what was chosen."""
    figure, axes = _figure("Your own people, each face searched among the others")
    levels = [level for level in made.levels if level.note is not LevelNote.FEW_PROBES]
    for rates, label in (
        ([(level.relative, level.tpir) for level in levels], "known (TPIR)"),
        ([(level.relative, level.fpir) for level in levels], "strangers named (FPIR)"),
    ):
        points = [(relative, rate) for relative, rate in rates if rate is not None]
        strengths = [relative for relative, _ in points]
        axes.plot(strengths, [rate.value for _, rate in points], marker="o", label=label)
        axes.fill_between(strengths, [rate.low for _, rate in points], [rate.high for _, rate in points], alpha=0.15)
    axes.axhline(made.floor, color="gray", linestyle="--", label="the floor")
    if made.chosen is not None:
        axes.axvline(made.chosen.relative, color="black", linestyle=":", label=f"r = {made.chosen.relative:g}")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("r = sigma / face width")
    axes.set_ylabel("share of the faces")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure


def _figure(title: str) -> tuple[Figure, Any]:
    # Without pyplot, which keeps every figure and may look for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _label(run: Run, *, parameter: bool) -> str:
    subject = run.subject
    about = (subject.engine, subject.gallery, _strength(run) if parameter else subject.method)
    return ", ".join(part for part in about if part)


def _strength(run: Run) -> str:
    subject = run.subject
    return f"r = {run.relative:.3f}" if subject.parameter is None else f"{subject.method} {subject.parameter}"
