"""``privface token …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.audit.acts import note_subject
from privface_backend.cli.invocation import invocation, run_on_core
from privface_backend.cli.output import say, say_json
from privface_backend.protocol import Scope

if TYPE_CHECKING:
    from privface_backend.core import Core

token = typer.Typer(help="Tokens of REST and the websocket: create, list, revoke.", no_args_is_help=True)


@token.command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for, to tell it from others.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="identify (the default), enroll or admin; may be repeated.")
    ] = None,
) -> None:
    """Make a token; it is shown this once."""
    call = invocation(context)
    scopes = tuple(Scope(one) for one in scope or [Scope.IDENTIFY.value])
    if Scope.UNKNOWN in scopes:
        raise typer.BadParameter("allowed: identify, enroll, admin", param_hint="--scope")

    async def command(core: Core) -> None:
        text = await core.storage.call(core.tokens.create, name, scopes)
        made = await core.storage.call(core.tokens.verify, text)
        note_subject(None if made is None else made.id)
        if call.json:
            say_json({"name": name, "scopes": [one.value for one in scopes], "token": text})
        else:
            say(f"Your token, shown this once:\n  {text}")

    run_on_core(call, command)


@token.command("list")
def list_tokens(context: typer.Context) -> None:
    """List the tokens, without their secrets."""
    call = invocation(context)

    async def command(core: Core) -> None:
        for info in await core.storage.call(core.tokens.list):
            scopes = sorted(one.value for one in info.scopes)
            if call.json:
                say_json({"id": info.id, "name": info.name, "scopes": scopes})
            else:
                say(f"{info.id}  {info.name}  ({', '.join(scopes)})")

    run_on_core(call, command)


@token.command("revoke")
def revoke_token(context: typer.Context, token_id: str) -> None:
    """Make a token worthless, at once."""
    call = invocation(context)

    async def command(core: Core) -> None:
        if not await core.storage.call(core.tokens.revoke, token_id):
            raise typer.BadParameter("there is no token of that id", param_hint="TOKEN_ID")
        note_subject(token_id)
        if call.json:
            say_json({"id": token_id, "revoked": True})
        else:
            say("Revoked")

    run_on_core(call, command)
