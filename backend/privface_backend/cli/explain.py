"""``privface explain``: why an event came out as it did."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from privface_backend.cli.invocation import Invocation, run_on_core
from privface_backend.cli.output import say, say_json
from privface_backend.domain.explanations import with_names
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Event, Outcome

if TYPE_CHECKING:
    from privface_backend.core import Core

_WHY: Final[Mapping[str, str]] = {
    "ok": "the nearest person is near enough",
    "no_face": "there was no face",
    "too_small": "the faces are too small",
    "too_blurry": "the faces are too blurry",
    "pose": "the faces look away",
    "lighting": "the faces are too dark or too bright",
    "low_detection": "the detector was not sure that these are faces",
    "below_threshold": "the nearest person is not near enough",
    "small_margin": "two people are about equally near",
    "few_faces": "there were not enough faces to be sure",
    "not_them": "somebody said of faces like these that it was not the nearest person",
    "ignored": "it is somebody who is to be ignored",
    "nobody_enrolled": "nobody is enrolled",
}


def run_explain(call: Invocation, event_id: str) -> None:
    """Print why an event came out as it did."""

    async def command(core: Core) -> None:
        event = await core.storage.call(core.events.get, event_id)
        if event is None:
            raise PrivFaceError(ErrorCode.EVENT_NOT_FOUND, "There is no such event, or no longer.")
        kept = await core.storage.call(core.events.explanation, event_id)
        explanation = None if kept is None else with_names(kept, core.index.snapshot.names)
        if call.json:
            say_json(event.to_dict() | {"explanation": explanation})
            return
        for line in _tell_event(event):
            say(line)
        if explanation is None:
            say("No more is kept of it.")
        else:
            _tell_why(explanation)

    run_on_core(call, command)


def _tell_event(event: Event) -> Iterator[str]:
    moment = event.captured_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    outcome = f"{event.person or event.person_id}" if event.outcome is Outcome.KNOWN else event.outcome.value
    yield f"{event.camera}, {moment}: {outcome} ({event.phase.value})"
    if event.stranger is not None:
        yield f"Stranger {event.stranger.number}, visit {event.stranger.visit}"
    yield f"Why: {_WHY.get(event.reason.value, event.reason.value)} ({event.reason.value})"


def _tell_why(explanation: Mapping[str, Any]) -> None:
    say(f"Faces: {explanation.get('seen', 0)} seen, {explanation.get('usable', 0)} of use")
    if faces := explanation.get("faces"):
        titles = ("time", "width", "r", "detector", "sharpness", "turn", "brightness", "counts", "")
        _print_table(titles, [_face_cells(face) for face in faces])
    if nearest := explanation.get("nearest"):
        say("Nearest people:")
        _print_table(("", "score", "behind", "needs", "evidence", ""), [_person_cells(entry) for entry in nearest])
    if threshold := explanation.get("threshold"):
        say(_tell_threshold(threshold))
    if (margin := explanation.get("margin")) and margin.get("had") is not None:
        say(f"Lead over the next person: {_number(margin['had'])}, needs {_number(margin.get('needed'))}")


def _face_cells(face: Mapping[str, Any]) -> list[str]:
    quality = face.get("quality") or {}
    measures = ("detection", "sharpness", "turn", "brightness", "weight")
    return [
        str(face.get("captured_at", ""))[11:23],
        _number(quality.get("width"), 0),
        _number(face.get("relative"), 3),
        *(_number(quality.get(key)) for key in measures),
        str(face.get("reason", "")),
    ]


def _person_cells(entry: Mapping[str, Any]) -> list[str]:
    measures = ("score", "behind", "threshold", "evidence")
    denied = "said not to be them" if entry.get("not_them") else ""
    return [str(entry["person"]), *(_number(entry.get(key)) for key in measures), denied]


def _tell_threshold(threshold: Mapping[str, Any]) -> str:
    parts = [f"Threshold: {_number(threshold.get('value'))}, {threshold.get('source') or 'of unknown origin'}"]
    if (rate := threshold.get("rate")) and (people := threshold.get("people")) is not None:
        parts.append(f"1 in {round(1 / rate):,} strangers reaches it among {people} people")
    if threshold.get("relative") is not None:
        parts.append(
            f"at r {_number(threshold['relative'], 3)}, templates from r {_number(threshold.get('lightest'), 3)}"
        )
    return "; ".join(parts)


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  # only this command needs it
    from rich.table import Table  # noqa: PLC0415  # as above

    table = Table(*titles, box=None)
    for row in rows:
        table.add_row(*row)
    # A table that goes to a file or a pipe keeps its lines whole; a name is no markup.
    Console(width=None if sys.stdout.isatty() else 240, markup=False, highlight=False).print(table)
