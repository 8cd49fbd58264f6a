"""``privface people …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.invocation import AsJson, DataDir, invocation
from privface_backend.cli.output import say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core

people = typer.Typer(help="Who is enrolled: list, add, rename, faces, forget.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(metavar="NAME|ID")]


@people.command("list")
def list_people(context: typer.Context, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the people."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)

    async def command(core: Core) -> None:
        found = await core.gallery.people()
        for person in found:
            if call.json:
                say_json(person.to_dict())
            else:
                say(f"{person.name}  ({person.faces} {'picture' if person.faces == 1 else 'pictures'}, id {person.id})")
        if not found and not call.json:
            say("Nobody is enrolled. Enroll people with: privface enroll DIR")

    _run(context, command)


@people.command("add")
def add_person(context: typer.Context, name: str, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Add a person, without pictures yet."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)

    async def command(core: Core) -> None:
        person = await core.gallery.create_person(name)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"Added {person.name} (id {person.id})")

    _run(context, command)


@people.command("rename")
def rename_person(
    context: typer.Context, who: Who, name: str, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Give a person another name; the id stays."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)

    async def command(core: Core) -> None:
        person = await core.gallery.rename((await core.gallery.person(who)).id, name)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"Now called {person.name}")

    _run(context, command)


@people.command("faces")
def list_faces(context: typer.Context, who: Who, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List a person's enrolled pictures."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)

    async def command(core: Core) -> None:
        person = await core.gallery.person(who)
        for face in await core.gallery.faces(person.id):
            if call.json:
                say_json({"id": face.id, "person_id": person.id, "source": face.source})
            else:
                say(f"{face.id}  {face.source or '(sent)'}")

    _run(context, command)


@people.command("remove-face")
def remove_face(context: typer.Context, face_id: str, data_dir: DataDir = None) -> None:
    """Remove one enrolled picture's templates."""
    invocation(context).add(data_dir=data_dir)

    async def command(core: Core) -> None:
        await core.gallery.remove_face(face_id)
        say("Removed")

    _run(context, command)


@people.command("forget")
def forget_person(
    context: typer.Context,
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Remove a person with all templates and events that name them."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)
    if not yes:
        typer.confirm("Forget this person, their templates and every event that names them?", abort=True, err=True)

    async def command(core: Core) -> None:
        receipt = await core.gallery.forget((await core.gallery.person(who)).id)
        if call.json:
            say_json(dict(receipt))
        else:
            say(
                "Forgotten: "
                + ", ".join(f"{what} {count}" for what, count in receipt.items() if isinstance(count, int))
            )

    _run(context, command)


def _run(context: typer.Context, command: object) -> None:
    from privface_backend.cli.session import run_command  # noqa: PLC0415  # the help needs no numpy

    run_command(invocation(context), command, engines=False)  # type: ignore[arg-type]  # each is async (Core) -> None
