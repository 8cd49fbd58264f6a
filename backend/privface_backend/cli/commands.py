"""The commands by name. Their bodies are imported when they are called: ``privface version`` needs no numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privface_backend.cli import models
from privface_backend.cli.invocation import AsJson, Config, DataDir, invocation
from privface_backend.cli.people import people
from privface_backend.cli.token import token

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Pictures, videos, or directories of them.")]


def serve(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(metavar="N", help="REST's port.", show_default="8090")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen.", show_default="127.0.0.1")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Start the service: REST, websocket and MQTT."""
    from privface_backend.cli.serve import run_service  # noqa: PLC0415  # see the module's docstring

    run_service(invocation(context).add(config=config, data_dir=data_dir, server__port=port, server__host=host))


def enroll(
    context: typer.Context,
    files: Files,
    person: Annotated[str | None, typer.Option(metavar="NAME", help="Whose pictures these are.")] = None,
    largest: Annotated[bool, typer.Option("--largest", help="Of several faces take the largest.")] = False,
    box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Take the face there (fractions of the picture).")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Forget pictures that the directory no longer has.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Enroll people: a directory (a folder a person, or Name.jpg files), or single pictures."""
    from privface_backend.cli.enroll import Choice, run_enroll  # noqa: PLC0415  # see the module's docstring

    run_enroll(
        invocation(context).add(json=as_json, data_dir=data_dir),
        files,
        Choice(person=person, largest=largest, box=box, prune=prune),
    )


def identify(
    context: typer.Context,
    files: Files,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Anonymize with gaussian, pixelate or none.")
    ] = None,
    privacy: Annotated[
        int | None, typer.Option(metavar="K", help="Its parameter: for gaussian, the odd kernel size.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A recognizer, or detector+recognizer, or detector+recognizer+aligner."),
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="Add boxes in pixels and the nearest people.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Say who is in pictures and videos; a line a picture, or a frame with a face."""
    from privface_backend.cli.identify import run_identify  # noqa: PLC0415  # see the module's docstring

    run_identify(
        invocation(context).add(json=as_json, data_dir=data_dir),
        files,
        method=method,
        parameter=privacy,
        engine=engine,
        detail=detail,
    )


def watch(
    context: typer.Context,
    mqtt: Annotated[bool, typer.Option("--mqtt", help="Listen on the MQTT broker, not on the websocket.")] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Another server's address.")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", envvar="PRIVFACE_TOKEN", help="Its token.", show_envvar=True)
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Print events as they come, from the running service."""
    from privface_backend.cli.watch import run_watch  # noqa: PLC0415  # see the module's docstring

    run_watch(invocation(context).add(json=as_json, data_dir=data_dir), mqtt=mqtt, url=url, token=token)


def doctor(context: typer.Context, as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """Check this computer and the settings; say what is wrong and what to type."""
    from privface_backend.cli.doctor import run_doctor  # noqa: PLC0415  # see the module's docstring

    run_doctor(invocation(context).add(config=config, json=as_json, data_dir=data_dir))


def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving when the demonstration is over.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show all of it: enroll people from public pictures, play a camera, print the MQTT events."""
    from privface_backend.cli.demo import run_demo  # noqa: PLC0415  # see the module's docstring

    run_demo(invocation(context).add(data_dir=data_dir), keep=keep)


def version(context: typer.Context, as_json: AsJson = False) -> None:
    """Print the version."""
    from privface_backend import __version__  # noqa: PLC0415  # see the module's docstring
    from privface_backend.cli.output import say, say_json  # noqa: PLC0415
    from privface_backend.protocol import API_VERSION  # noqa: PLC0415

    if invocation(context).add(json=as_json).json:
        say_json({"version": __version__, "api_version": API_VERSION})
    else:
        say(f"privface {__version__} (API {API_VERSION})")


def register(app: typer.Typer) -> None:
    """Add all commands, in the order of the help."""
    app.command()(serve)
    app.command()(enroll)
    app.command()(identify)
    app.add_typer(people, name="people")
    app.add_typer(models.app, name="models")
    app.command()(watch)
    app.add_typer(token, name="token")
    app.command()(doctor)
    app.command()(demo)
    app.command()(version)
