"""``privface seal …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privface_backend.cli.invocation import invocation

seal = typer.Typer(
    help="Sealed mode's user side: pictures stay here, what is sent is sealed with a key of your own.",
    no_args_is_help=True,
)

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The sealed backend's address.", show_default=False)
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", envvar="PRIVFACE_TOKEN", help="Its token.", show_default=False),
]
Pictures = Annotated[list[Path], typer.Argument(metavar="DIR|FILE…", help="Pictures, or directories of them.")]


@seal.command("enroll")
def enroll(
    context: typer.Context,
    paths: Pictures,
    *,
    person: Annotated[str, typer.Option("--person", metavar="NAME", help="Whose pictures these are.")],
    largest: Annotated[bool, typer.Option("--largest", help="Of several faces take the largest.")] = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Enroll a person at a sealed backend; a token with the scopes identify and enroll."""
    from privface_backend.cli.sealing import Place, run_seal_enroll  # noqa: PLC0415  # the help needs no numpy

    run_seal_enroll(invocation(context), paths, Place(url=url, token=token), person=person, largest=largest)


@seal.command("identify")
def identify(context: typer.Context, paths: Pictures, *, url: Url = None, token: Token = None) -> None:
    """Ask a sealed backend who is in pictures; a token with the scope identify."""
    from privface_backend.cli.sealing import Place, run_seal_identify  # noqa: PLC0415  # as above

    run_seal_identify(invocation(context), paths, Place(url=url, token=token))


@seal.command("key")
def key(context: typer.Context) -> None:
    """Say which key seals here, and where it is; one is made where there is none. Never the key itself."""
    from privface_backend.cli.sealing import show_user_key  # noqa: PLC0415  # as above

    show_user_key(invocation(context))
