"""``privface key …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.invocation import invocation, run_on_core
from privface_backend.cli.output import say, say_json

if TYPE_CHECKING:
    from privface_backend.core import Core

key = typer.Typer(help="The master key, which seals what is kept: show, make, change.", no_args_is_help=True)


@key.command("show")
def show_key(context: typer.Context) -> None:
    """Say which master key seals the data directory, and where it is; never the key itself."""
    call = invocation(context)

    async def command(core: Core) -> None:
        found = {"key": core.database.seals.protection.key_id, "place": core.keys.place}
        if call.json:
            say_json(found)
        else:
            say(f"{found['key']}, in {found['place']}")
            say("Keep a copy of it elsewhere: without it, what is kept here can't be read by anybody.")

    run_on_core(call, command)


@key.command("new")
def new_key(context: typer.Context) -> None:
    """Print a new master key, for a place that PrivFace can't write to: protection.key, a credential, a secret."""
    from privface_backend.protection.master import MasterKey  # noqa: PLC0415  # the help needs no cryptography

    made = MasterKey.generate()
    if invocation(context).json:
        say_json({"id": made.id, "key": made.to_text()})
    else:
        say(made.to_text())


@key.command("rotate")
def rotate_key(
    context: typer.Context,
    *,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave the old key where it is, for backups that it opens.")
    ] = False,
) -> None:
    """Seal everything anew with another master key, and make new templates of the old ones, without pictures."""
    from privface_backend.storage.service_lock import no_service  # noqa: PLC0415  # the help needs no storage

    call = invocation(context)

    async def command(core: Core) -> None:
        old = core.database.seals.protection.key_id
        removed = await core.storage.call(core.database.rotate_key, core.keys, keep_old=keep_old)
        new = core.database.seals.protection.key_id
        if call.json:
            say_json({"old": old, "new": new, "old_removed": removed})
            return
        say(f"Sealed with {new}, in {core.keys.place}.")
        if removed:
            say(f"The old key {old} is gone, and with it what it had sealed; so are backups made with it.")
        else:
            say(f"The old key {old} is still there; remove it once nothing needs it.")

    with no_service(call.settings.data_dir):
        run_on_core(call, command)
