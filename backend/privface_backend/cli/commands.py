"""The commands by name. Their bodies are imported when they are called: ``privface --help`` needs no numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privface_backend.cli import evaluate, models
from privface_backend.cli.audit import audit
from privface_backend.cli.invocation import ANYWHERE, Host, Port, invocation
from privface_backend.cli.key import key
from privface_backend.cli.people import people
from privface_backend.cli.seal import seal
from privface_backend.cli.strangers import strangers
from privface_backend.cli.token import token
from privface_backend.cli.version import say_version
from privface_backend.cli.webhook import webhook

Pictures = Annotated[list[Path], typer.Argument(metavar="DIR|FILE…", help="Pictures, or directories of them.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Pictures, videos, or directories of them.")]


def serve(context: typer.Context, *, port: Port = None, host: Host = None) -> None:
    """Start the service: REST, websocket and MQTT."""
    from privface_backend.cli.serve import run_service  # noqa: PLC0415  # see the module's docstring

    run_service(invocation(context).add(server__port=port, server__host=host))


def bridge(context: typer.Context) -> None:
    """Take pictures from cameras, anonymize them, and send them to a backend: for homes without Home Assistant."""
    from privface_backend.cli.bridge import run_bridge  # noqa: PLC0415  # see the module's docstring

    run_bridge(invocation(context))


def enroll(
    context: typer.Context,
    paths: Pictures,
    *,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose pictures these are.", show_default=False)
    ] = None,
    largest: Annotated[bool, typer.Option("--largest", help="Of several faces take the largest.")] = False,
    box: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Take the face there (fractions of the picture).", show_default=False),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Forget pictures that the directory no longer has.")] = False,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Take a directory's pictures of people who were forgotten, too.")
    ] = False,
) -> None:
    """Enroll people: a directory (a folder a person, or Name.jpg files), or single pictures."""
    from privface_backend.cli.enroll import Choice, run_enroll  # noqa: PLC0415  # see the module's docstring

    choice = Choice(person=person, largest=largest, box=box, prune=prune, forgotten=forgotten)
    run_enroll(invocation(context), paths, choice)


def purge(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is too old, and remove nothing.")] = False,
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="The clock is right, however far it has jumped.")
    ] = False,
) -> None:
    """Remove events, visits and strangers that are older than the settings say. The service does it by itself."""
    from privface_backend.cli.purge import run_purge  # noqa: PLC0415  # see the module's docstring

    run_purge(invocation(context), dry_run=dry_run, trust_clock=trust_clock)


def identify(
    context: typer.Context,
    paths: Files,
    *,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Anonymize with gaussian, pixelate or none.", show_default=False),
    ] = None,
    privacy: Annotated[
        int | None,
        typer.Option(metavar="K", help="Its parameter: for gaussian, the odd kernel size.", show_default=False),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A recognizer, or detector+recognizer, or detector+recognizer+aligner.",
            show_default=False,
        ),
    ] = None,
    detail: Annotated[bool, typer.Option("--detail", help="Add boxes in pixels and the nearest people.")] = False,
) -> None:
    """Say who is in pictures and videos; a line a picture, or a frame with a face."""
    from privface_backend.cli.identify import run_identify  # noqa: PLC0415  # see the module's docstring

    run_identify(invocation(context), paths, method=method, parameter=privacy, engine=engine, detail=detail)


def show(
    context: typer.Context,
    picture: Annotated[
        Path | None, typer.Argument(metavar="PICTURE", help="A picture of your own.", show_default=False)
    ] = None,
    *,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of this camera: its strength, and a picture if none is named.", show_default=False
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another method than the one that is set.", show_default=False)
    ] = None,
    parameter: Annotated[
        int | None, typer.Option(metavar="K", help="The method's parameter to show.", show_default=False)
    ] = None,
    relative: Annotated[
        float | None, typer.Option(metavar="R", help="The r of the largest face to show.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png", help="Draw it, for your eyes only.", show_default=False),
    ] = None,
    no_clear: Annotated[bool, typer.Option("--no-clear", help="Leave the clear picture out.")] = False,
) -> None:
    """Say, and draw, what a viewer could see of the faces in a picture at a strength."""
    from privface_backend.cli.show import ShowWish, run_show  # noqa: PLC0415  # see the module's docstring

    wish = ShowWish(
        picture=picture,
        camera=camera,
        method=method,
        parameter=parameter,
        relative=relative,
        output=output,
        clear=not no_clear,
    )
    run_show(invocation(context), wish)


def watch(
    context: typer.Context,
    *,
    mqtt: Annotated[bool, typer.Option("--mqtt", help="Listen on the MQTT broker, not on the websocket.")] = False,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another server's address.", show_default=False)
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", envvar="PRIVFACE_TOKEN", help="Its token.", show_default=False)
    ] = None,
) -> None:
    """Print events as they come, from the running service."""
    from privface_backend.cli.watch import run_watch  # noqa: PLC0415  # see the module's docstring

    run_watch(invocation(context), mqtt=mqtt, url=url, token=token)


def correct(
    context: typer.Context,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")],
    *,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who it was: a name or an id.", show_default=False)
    ] = None,
) -> None:
    """Say that an event named the wrong person, and who it was."""
    from privface_backend.cli.corrections import run_correct  # noqa: PLC0415  # see the module's docstring

    run_correct(invocation(context), event, person=person)


def explain(
    context: typer.Context, event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")]
) -> None:
    """Say why an event came out as it did: the faces, the nearest people, the threshold."""
    from privface_backend.cli.explain import run_explain  # noqa: PLC0415  # see the module's docstring

    run_explain(invocation(context), event)


def calibrate(
    context: typer.Context,
    *,
    floor: Annotated[
        float, typer.Option(metavar="SHARE", help="How many of your own faces should still be known, 0.5 to 1.")
    ] = 0.9,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the curve there (needs matplotlib).", show_default=False),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Set the cameras of the running service.")] = False,
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Set this camera only; may be repeated.", show_default=False),
    ] = None,
    face_width: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", help="How wide faces are, where too few were seen.", show_default=False),
    ] = None,
) -> None:
    """Find the strongest blur at which your own people are still known, from what is enrolled."""
    from privface_backend.cli.calibrate import Choice, run_calibrate  # noqa: PLC0415  # see the module's docstring

    choice = Choice(floor=floor, plot=plot, apply=apply, cameras=camera or (), face_width=face_width)
    run_calibrate(invocation(context), choice)


def doctor(context: typer.Context) -> None:
    """Check this computer and the settings; say what is wrong and what to type."""
    from privface_backend.cli.doctor import run_doctor  # noqa: PLC0415  # see the module's docstring

    run_doctor(invocation(context))


def demo(
    context: typer.Context,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving when the demonstration is over.")] = False,
) -> None:
    """Show all of it: enroll people from public pictures, play a camera, print the MQTT events."""
    from privface_backend.cli.demo import run_demo  # noqa: PLC0415  # see the module's docstring

    run_demo(invocation(context), keep=keep)


def version(context: typer.Context) -> None:
    """Print the version."""
    say_version(as_json=invocation(context).json)


def register(app: typer.Typer) -> None:
    """Add all commands, in the order of the help."""
    first = (serve, bridge, enroll, identify, show, watch, correct, explain, calibrate, purge)
    for command in (*first, doctor, demo, version):
        app.command(epilog=ANYWHERE)(command)
    groups = (
        ("people", people),
        ("strangers", strangers),
        ("evaluate", evaluate.app),
        ("models", models.app),
        ("token", token),
        ("audit", audit),
        ("key", key),
        ("seal", seal),
        ("webhook", webhook),
    )
    for name, group in groups:
        app.add_typer(group, name=name, epilog=ANYWHERE)
