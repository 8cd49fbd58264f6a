"""``privface enroll``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.files import read
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import progress, say, say_json
from privface_backend.cli.session import run_command
from privface_backend.core import Core
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.folder import FileOutcome, FileReport, sync_folder
from privface_backend.gallery.listing import name_of
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.protocol import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whose pictures, and which of several faces."""

    person: str | None
    largest: bool
    box: str | None
    prune: bool

    @property
    def face(self) -> FaceChoice:
        """The choice among faces.

        Raises:
            typer.BadParameter: the box is none.
        """
        if self.box is None:
            return FaceChoice(largest=self.largest)
        try:
            x, y, width, height = (float(part) for part in self.box.split(","))
        except ValueError:
            raise typer.BadParameter("expected X,Y,W,H, as fractions of the picture", param_hint="--box") from None
        return FaceChoice(box=(x, y, width, height))


def run_enroll(call: Invocation, paths: Sequence[Path], choice: Choice) -> None:
    """Enroll; ends with 1 when something was refused."""
    face = choice.face
    refused = run_command(call, lambda core: _enroll_all(core, paths, choice, face, call), engines=True)
    if refused:
        raise typer.Exit(Exit.UNFINISHED)


async def _enroll_all(core: Core, paths: Sequence[Path], choice: Choice, face: FaceChoice, call: Invocation) -> int:
    counts: Counter[FileOutcome] = Counter()
    for path in paths:
        with progress(f"Enrolling {path.name}", None, shown=not call.json) as bar:
            async for report in _enroll_path(core, path, choice, face):
                counts[report.outcome] += 1
                _print(report, as_json=call.json)
                bar.advance()
    if not call.json:
        people = len(await core.gallery.people())
        told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in FileOutcome if counts[outcome])
        say(f"{told or 'no pictures found'}; {people} {'person' if people == 1 else 'people'} in the gallery")
    return counts[FileOutcome.REFUSED]


async def _enroll_path(core: Core, path: Path, choice: Choice, face: FaceChoice) -> AsyncIterator[FileReport]:
    async def represent(data: bytes) -> RepresentedFace:
        return await core.recognition.represent(data, choice=face)

    if path.is_dir() and choice.person is None:
        async for report in sync_folder(path, core.gallery, represent, prune=choice.prune):
            yield report
        return
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if not file.is_dir():
            yield await _enroll_file(core, file, choice.person or name_of(Path(file.name)), face)


async def _enroll_file(core: Core, file: Path, name: str, face: FaceChoice) -> FileReport:
    try:
        data = await asyncio.to_thread(read, file)
        digest = sha256(data).hexdigest()
        represented = await core.recognition.represent(data, choice=face)
        person = await core.gallery.ensure_person(name)
        await core.gallery.add_face(person.id, represented, source=file.name, picture_digest=digest)
    except PrivFaceError as error:
        if error.code is ErrorCode.CONFLICT:
            return FileReport(path=str(file), outcome=FileOutcome.ALREADY)
        return FileReport(path=str(file), outcome=FileOutcome.REFUSED, error=error)
    return FileReport(path=str(file), outcome=FileOutcome.ENROLLED, person_id=person.id)


def _print(report: FileReport, *, as_json: bool) -> None:
    if as_json:
        say_json(report.to_dict())
        return
    why = ""
    if report.error is not None:
        allowed = f" Allowed: {report.error.allowed}." if report.error.allowed else ""
        why = f": {report.error.message}{allowed} ({report.error.code})"
    say(f"{report.path}: {report.outcome.value}{why}")
