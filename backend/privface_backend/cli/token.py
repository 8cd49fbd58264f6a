"""``privface token …``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privface_backend.cli.invocation import AsJson, DataDir, invocation
from privface_backend.cli.output import say, say_json
from privface_backend.protocol import Scope

if TYPE_CHECKING:
    from privface_backend.core import Core

token = typer.Typer(help="Tokens of REST and the websocket: create, list, revoke.", no_args_is_help=True)


@token.command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for, to tell it from others.")],
    scope: Annotated[list[str] | None, typer.Option(help="identify, enroll or admin; may be repeated.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a token; it is shown this once."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)
    scopes = tuple(Scope(one) for one in scope or [Scope.IDENTIFY.value])
    if Scope.UNKNOWN in scopes:
        raise typer.BadParameter("allowed: identify, enroll, admin", param_hint="--scope")

    async def command(core: Core) -> None:
        text = await core.storage.call(core.tokens.create, name, scopes)
        if call.json:
            say_json({"name": name, "scopes": [one.value for one in scopes], "token": text})
        else:
            say(f"Your token, shown this once:\n  {text}")

    _run(context, command)


@token.command("list")
def list_tokens(context: typer.Context, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the tokens, without their secrets."""
    call = invocation(context).add(json=as_json, data_dir=data_dir)

    async def command(core: Core) -> None:
        for info in await core.storage.call(core.tokens.list):
            scopes = sorted(one.value for one in info.scopes)
            if call.json:
                say_json({"id": info.id, "name": info.name, "scopes": scopes})
            else:
                say(f"{info.id}  {info.name}  ({', '.join(scopes)})")

    _run(context, command)


@token.command("revoke")
def revoke_token(context: typer.Context, token_id: str, data_dir: DataDir = None) -> None:
    """Make a token worthless, at once."""
    invocation(context).add(data_dir=data_dir)

    async def command(core: Core) -> None:
        if not await core.storage.call(core.tokens.revoke, token_id):
            raise typer.BadParameter("there is no token of that id", param_hint="TOKEN_ID")
        say("Revoked")

    _run(context, command)


def _run(context: typer.Context, command: object) -> None:
    from privface_backend.cli.session import run_command  # noqa: PLC0415  # the help needs no numpy

    run_command(invocation(context), command, engines=False)  # type: ignore[arg-type]  # each is async (Core) -> None
