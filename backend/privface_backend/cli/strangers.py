"""``privface strangers …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import invocation, run_on_core
from privface_backend.cli.output import ask, complain, say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core
    from privface_backend.domain.memory import Stranger

strangers = typer.Typer(help="Who has no name and may come back: list, name, ignore, forget.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="NUMBER|ID")]


@strangers.command("list")
def list_strangers(context: typer.Context) -> None:
    """List the strangers who are remembered."""
    call = invocation(context)

    async def command(core: Core) -> None:
        found = await core.memory.strangers()
        for stranger in found:
            if call.json:
                say_json(stranger.to_dict())
            else:
                say(_describe(stranger))
        if not found and not call.json:
            say("No stranger is remembered.")

    run_on_core(call, command)


@strangers.command("name")
def name_stranger(
    context: typer.Context, stranger: Which, who: Annotated[str, typer.Argument(metavar="NAME|ID")]
) -> None:
    """Make a stranger a person: one who is enrolled, or a new one of that name."""
    call = invocation(context)

    async def command(core: Core) -> None:
        known = [person for person in await core.gallery.people() if person.id == who] or core.gallery.people_named(who)
        if known:
            # Of several people of one name, none can be meant: this says so.
            enrolled = await core.gallery.person(who)
            person = await core.memory.name_stranger(stranger, person_id=enrolled.id)
        else:
            person = await core.memory.name_stranger(stranger, name=who)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"That is {person.name} from now on (id {person.id})")

    run_on_core(call, command)


@strangers.command("ignore")
def ignore_stranger(context: typer.Context, stranger: Which) -> None:
    """Make a stranger a person whom nobody is told of."""
    call = invocation(context)

    async def command(core: Core) -> None:
        person = await core.memory.ignore_stranger(stranger)
        if call.json:
            say_json(person.to_dict())
        else:
            say(f"Ignored from now on, as {person.name} (id {person.id})")

    run_on_core(call, command)


@strangers.command("forget")
def forget_stranger(
    context: typer.Context, stranger: Which, *, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False
) -> None:
    """Remove a stranger and the templates of their visits."""
    call = invocation(context)

    async def command(core: Core) -> None:
        found = await core.memory.stranger(stranger)
        if not yes and not ask(f"Forget stranger {found.number}, and the templates of their visits?"):
            complain("Nobody was forgotten.")
            raise typer.Exit(Exit.UNFINISHED)
        await core.memory.forget_stranger(found.id)
        if call.json:
            say_json({"id": found.id, "number": found.number, "forgotten": True})
        else:
            say(f"Forgotten: stranger {found.number}")

    run_on_core(call, command)


def _describe(stranger: Stranger) -> str:
    visits = "1 visit" if stranger.visits == 1 else f"{stranger.visits} visits"
    seen = stranger.last_seen.astimezone().strftime("%Y-%m-%d %H:%M")
    return f"stranger {stranger.number}  ({visits}, last at {stranger.camera} on {seen}, id {stranger.id})"
