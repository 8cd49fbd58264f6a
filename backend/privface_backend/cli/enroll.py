"""``privface enroll``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import typer

from privface_backend.audit.entries import Act, By
from privface_backend.audit.telling import of_picture
from privface_backend.cli.acts import doing
from privface_backend.cli.exits import Exit, exit_for
from privface_backend.cli.files import PICTURES, read, walk
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import explain, progress, say, say_json
from privface_backend.cli.session import run_command
from privface_backend.core import Core
from privface_backend.domain.people import clean_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.folder import FileOutcome, FileReport, sync_folder
from privface_backend.gallery.held_back import digests_in
from privface_backend.gallery.listing import LONGEST_PICTURE, name_of
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.protocol import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whose pictures, and which of several faces."""

    person: str | None
    largest: bool
    box: str | None
    prune: bool
    forgotten: bool = False

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
    if choice.person is not None:
        choice = replace(choice, person=clean_name(choice.person))
    refused = run_command(call, lambda core: _enroll_all(core, paths, choice, face, call), engines=True)
    if refused:
        raise typer.Exit(Exit.UNFINISHED)


async def _enroll_all(core: Core, paths: Sequence[Path], choice: Choice, face: FaceChoice, call: Invocation) -> int:
    """Enroll each path; how many pictures were refused.

    Raises:
        PrivFaceError: the disk takes no more, so that there is no sense in going on.
    """
    counts: Counter[FileOutcome] = Counter()
    await core.audit.admit(doing(Act.ENROLL, "enroll"))
    for path in paths:
        with progress(f"Enrolling {path.name}", None, as_json=call.json) as advance:
            async with aclosing(_enroll_path(core, path, choice, face)) as reports:
                async for report in reports:
                    if report.outcome is not FileOutcome.ALREADY:
                        await core.audit.record(of_picture(report, By.COMMAND_LINE))
                    if report.error is not None and exit_for(report.error.code) is Exit.STORAGE:
                        raise report.error
                    counts[report.outcome] += 1
                    _print(report, as_json=call.json)
                    advance()
    if not call.json:
        people = len(await core.gallery.people())
        told = ", ".join(
            f"{counts[outcome]} {outcome.value.replace('_', ' ')}" for outcome in FileOutcome if counts[outcome]
        )
        say(f"{told or 'no pictures found'}; {people} {'person' if people == 1 else 'people'} in the gallery")
        if counts[FileOutcome.HELD_BACK]:
            say("Held back: pictures of people who were forgotten. Delete them, or enroll them with --forgotten.")
    return counts[FileOutcome.REFUSED]


async def _enroll_path(core: Core, path: Path, choice: Choice, face: FaceChoice) -> AsyncGenerator[FileReport, None]:
    async def represent(data: bytes) -> RepresentedFace:
        return await core.recognition.represent(data, choice=face)

    if choice.person is None and await asyncio.to_thread(path.is_dir):
        if choice.forgotten:
            await core.records.release(await asyncio.to_thread(digests_in, path))
        async with aclosing(sync_folder(path, core.gallery, represent, prune=choice.prune)) as reports:
            async for report in reports:
                yield report
        return
    for file in walk([path], PICTURES):
        yield await _enroll_file(core, file, choice.person or name_of(Path(file.name)), face)


async def _enroll_file(core: Core, file: Path, name: str, face: FaceChoice) -> FileReport:
    try:
        core.gallery.check_consent(clean_name(name))
        data = await asyncio.to_thread(read, file, LONGEST_PICTURE)
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
    why = "" if report.error is None else f": {explain(report.error)}"
    say(f"{report.path}: {report.outcome.value.replace('_', ' ')}{why}")
