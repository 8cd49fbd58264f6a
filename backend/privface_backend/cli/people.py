"""``privface people …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.invocation import Invocation, invocation, run_on_core
from privface_backend.cli.output import say, say_json
from privface_backend.cli.records import Day, Note, read_given, register

if TYPE_CHECKING:
    from privface_backend.core import Core

people = typer.Typer(
    help="Who is enrolled: list, add, rename, ignore, faces; consent, export, forget.", no_args_is_help=True
)
register(people)

Who = Annotated[str, typer.Argument(metavar="NAME|ID")]


@people.command("list")
def list_people(context: typer.Context) -> None:
    """List the people."""
    call = invocation(context)

    async def command(core: Core) -> None:
        found = await core.gallery.people()
        for person in found:
            if call.json:
                say_json(person.to_dict())
            else:
                ignored = ", ignored" if person.ignored else ""
                pictures = "1 picture" if person.faces == 1 else f"{person.faces} pictures"
                say(f"{person.name}  ({pictures}, id {person.id}{ignored})")
        if not found and not call.json:
            say("Nobody is enrolled. Enroll people with: privface enroll DIR")

    run_on_core(call, command)


@people.command("add")
def add_person(context: typer.Context, name: str, *, consent: Day = None, note: Note = "") -> None:
    """Add a person, without pictures yet."""
    call = invocation(context)

    async def command(core: Core) -> None:
        given = None if consent is None else read_given(consent, note, core)
        person = await core.gallery.create_person(name)
        if given is not None:
            person = await core.gallery.set_consent(person.id, given)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"Added {person.name} (id {person.id})")

    run_on_core(call, command)


@people.command("rename")
def rename_person(context: typer.Context, who: Who, name: str) -> None:
    """Give a person another name; the id stays."""
    call = invocation(context)

    async def command(core: Core) -> None:
        person = await core.gallery.rename((await core.gallery.person(who)).id, name)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"Now called {person.name}")

    run_on_core(call, command)


@people.command("faces")
def list_faces(context: typer.Context, who: Who) -> None:
    """List a person's enrolled pictures."""
    call = invocation(context)

    async def command(core: Core) -> None:
        await core.sealed.restore()
        person, sealed = await core.gallery.person(who), core.gallery.sealed_faces
        for face in await core.gallery.faces(person.id):
            if call.json:
                told = {"id": face.id, "person_id": person.id, "source": face.source, "sealed": face.id in sealed}
                say_json(told)
            else:
                say(f"{face.id}  {face.source or ('(sealed)' if face.id in sealed else '(sent)')}")

    run_on_core(call, command)


@people.command("remove-face")
def remove_face(context: typer.Context, face_id: str) -> None:
    """Remove one enrolled picture's templates."""
    call = invocation(context)

    async def command(core: Core) -> None:
        await core.gallery.remove_face(face_id)
        if call.json:
            say_json({"id": face_id, "removed": True})
        else:
            say("Removed")

    run_on_core(call, command)


@people.command("ignore")
def ignore_person(context: typer.Context, who: Who) -> None:
    """Recognize a person, but tell nobody of them."""
    _set_ignored(invocation(context), who, True)


@people.command("unignore")
def unignore_person(context: typer.Context, who: Who) -> None:
    """Tell of a person again."""
    _set_ignored(invocation(context), who, False)


def _set_ignored(call: Invocation, who: str, ignored: bool) -> None:
    async def command(core: Core) -> None:
        person = await core.memory.set_ignored((await core.gallery.person(who)).id, ignored)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"{person.name} is {'' if ignored else 'not '}ignored from now on")

    run_on_core(call, command)
