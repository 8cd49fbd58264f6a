"""``privface calibrate``: how strongly cameras may blur before the household's own people are no longer known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from privface_backend.calibration.applying import applicable, check_face_width
from privface_backend.calibration.curve import Calibration, Level, LevelNote
from privface_backend.calibration.estimates import Rate
from privface_backend.calibration.service import Calibrator, check_floor
from privface_backend.calibration.strength import parameter_for
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import say, say_json
from privface_backend.cli.runfile import Run, read_run
from privface_backend.cli.service import ask_service
from privface_backend.cli.session import run_command
from privface_backend.core import Core
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.plots import draw_calibration, require_matplotlib
from privface_backend.plugins.ports import Anonymizer
from privface_backend.protocol import ErrorCode

_WIDTHS: Final = (60, 100, 160)
_PATH: Final = "/api/v1/calibration"
_HEADINGS: Final = ("r", "known", "", "as another", "strangers named", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for. ``cameras``: none named are all."""

    floor: float
    plot: Path | None = None
    apply: bool = False
    cameras: Sequence[str] = ()
    face_width: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A calibration and what is said beside it. ``single``: the names of people with one picture."""

    made: Calibration
    anonymizer: Anonymizer
    single: Sequence[str]
    cameras: Sequence[Mapping[str, Any]] | None


def run_calibrate(call: Invocation, choice: Choice) -> None:
    """Measure, show, and apply if that is wanted."""
    _check(choice)
    run = read_run(call.settings.data_dir)
    if choice.apply and run is None:
        raise PrivFaceError(
            ErrorCode.TIMEOUT, "No service runs on this data directory, whose cameras could be set: `privface serve`."
        )

    async def command(core: Core) -> None:
        done = await _measure(core, choice, run)
        if not call.json:
            _say_all(_explain(done))
        applied = await _apply(run, choice, done.made) if choice.apply and run is not None else None
        if call.json:
            say_json({**done.made.to_dict(), "cameras": done.cameras, "applied": applied})
        elif applied is not None:
            _say_all(_tell_applied(applied))

    run_command(call, command, engines=True)


def _check(choice: Choice) -> None:
    """Refuse what can't be done before anything is."""
    check_floor(choice.floor)
    if choice.face_width is not None:
        check_face_width(choice.face_width)
    if choice.plot is not None:
        require_matplotlib()


async def _measure(core: Core, choice: Choice, run: Run | None) -> _Done:
    made = await Calibrator(core).calibrate(choice.floor)
    if choice.plot is not None:
        draw_calibration(made, choice.plot)
    enrolled = _count_faces(core)
    return _Done(
        made=made,
        anonymizer=core.recognition.process.engines.anonymizer(core.recognition.rules.default_privacy.method),
        single=[one.name for one in core.index.snapshot.people if enrolled.get(one.id) == 1 and not one.ignored],
        cameras=None if run is None else (await ask_service(run, "GET", _PATH))["cameras"],
    )


async def _apply(run: Run, choice: Choice, made: Calibration) -> Sequence[Mapping[str, Any]]:
    applicable(made)
    order: dict[str, Any] = {"face_width": choice.face_width}
    if choice.cameras:
        order["cameras"] = list(choice.cameras)
    applied = await ask_service(run, "PUT", f"{_PATH}/apply", order)
    return list(applied["cameras"])


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _count_faces(core: Core) -> Mapping[str, int]:
    """How many faces with templates of the engines in use each person has."""
    owners = {template.face_id: template.person_id for template in core.index.snapshot.templates}
    return Counter(owners.values())


def _explain(done: _Done) -> Iterator[str]:
    made = done.made
    enrolled, sampled = made.enrolled, ", a sample of them searched" if made.sampled else ""
    yield f"{enrolled.faces} faces of {enrolled.people} people{sampled}; each is searched among the others."
    yield ""
    yield from _tabulate(made)
    yield ""
    yield from _choose(done)
    yield ""
    if done.single:
        yield f"With one picture only, nobody can be searched for: {', '.join(sorted(done.single))}."
    yield (
        "Pictures that were enrolled together are more alike than what a camera sees another day: expect less at the "
        "door."
    )
    yield "The strangers here are your own people, each with the others. A blurred face is still personal data."


def _tabulate(made: Calibration) -> Iterator[str]:
    rows = [_HEADINGS, *(_row(level, made) for level in made.levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(level: Level, made: Calibration) -> tuple[str, ...]:
    notes = {LevelNote.TOO_BLURRY: "too blurred to be used", LevelNote.FEW_PROBES: "too few templates"}
    mark = notes.get(level.note, "")
    if level == made.chosen:
        mark = f"<- the strongest that keeps {_percent(made.floor)} %"
    return (
        "clear" if level.relative == 0 else f"{level.relative:.3f}",
        f"{level.known} of {level.probes}",
        "" if level.tpir is None else f"{_percent(level.tpir.value)} % ({_interval(level.tpir)})",
        str(level.mistaken),
        "-" if level.fpir is None else f"{level.named} of {level.strangers}",
        mark,
    )


def _choose(done: _Done) -> Iterator[str]:
    made, chosen = done.made, done.made.chosen
    if chosen is None or chosen.relative == 0 or chosen.tpir is None:
        kept = "not even of clear pictures" if chosen is None else "of clear pictures alone"
        yield f"No blur keeps {_percent(made.floor)} % of the faces known ({kept})."
        yield "Enroll more and better pictures of each person, or lower the floor: --floor 0.8"
        return
    known = f"{chosen.known} of {chosen.probes} faces ({_percent(chosen.tpir.value)} %)"
    yield f"At r = {chosen.relative:g} PrivFace still knew {known} and took {chosen.mistaken} for another of you."
    if chosen.fpir is not None:
        yield f"It gave {chosen.named} of {chosen.strangers} strangers a name."
    if chosen.tpir.low < made.floor:
        yield (
            f"With so few faces that is a guess: the true share may be as low as {_percent(chosen.tpir.low)} %. More "
            "pictures of each person make it surer."
        )
    method = done.anonymizer.name
    sizes = [f"{parameter_for(done.anonymizer, chosen.relative, width)} for {width}" for width in _WIDTHS]
    yield f"That is a parameter ({method}) of {', '.join(sizes)} pixels' width of a face."
    for camera in done.cameras or ():
        yield f"  {_advise(camera)}"


def _advise(camera: Mapping[str, Any]) -> str:
    if camera["proposed"] is None:
        return f"{camera['camera']}: {camera['parameter']} now; {_left_out(camera['left_out'])}"
    width = round(camera["face_width"])
    return f"{camera['camera']}: {camera['parameter']} now, {camera['proposed']} for its faces of {width} pixels"


def _tell_applied(cameras: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield ""
    if not cameras:
        yield "The service knows no camera yet."
    for camera in cameras:
        if camera["left_out"] is not None:
            yield f"Not set: {camera['camera']}: {_left_out(camera['left_out'])}"
        else:
            yield f"Set: {camera['camera']}: {camera['before']} -> {camera['parameter']}"


def _left_out(reason: str | None) -> str:
    reasons = {
        "no_face_width": "too few faces were seen there; give their width: --face-width PIXELS",
        "would_be_clear": "its faces are too small for any blur",
    }
    return reasons.get(reason or "", "nothing to propose")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _interval(rate: Rate) -> str:
    return f"{_percent(rate.low)}-{_percent(rate.high)}"
