"""The command ``privface``: global options, and the commands by name."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from privface_backend.cli import commands
from privface_backend.cli.checks import can_serve
from privface_backend.cli.exits import EXPLAINED, Exit, exit_for
from privface_backend.cli.invocation import AsJson, Host, Invocation, Port, to_front
from privface_backend.cli.output import complain, report
from privface_backend.cli.version import say_version
from privface_backend.errors import PrivFaceError


class _OptionsAnywhere(TyperGroup):
    """Takes the global options before the command and after it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, to_front(args))


app = typer.Typer(
    cls=_OptionsAnywhere,
    name="privface",
    help="Private face recognition for the home. Without a command: serve.",
    epilog=EXPLAINED,
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        say_version(as_json=False)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def privface(
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Where everything that a run writes lies.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A YAML or TOML file.", show_default=False)
    ] = None,
    models_dir: Annotated[
        Path | None, typer.Option("--models-dir", metavar="DIR", help="Where weights lie.", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    port: Port = None,
    host: Host = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Private face recognition for the home. Without a command: serve."""
    del version  # its callback has ended the command
    context.obj = Invocation().add(
        config=config,
        json=as_json,
        data_dir=data_dir,
        models_dir=models_dir,
        log__level=log_level,
        server__port=port,
        server__host=host,
    )
    if context.invoked_subcommand is None:
        commands.serve(context)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code. Expected errors end in a line, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal's encoding can't.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=list(arguments), prog_name="privface")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.OK
    except PrivFaceError as error:
        with contextlib.suppress(BrokenPipeError):
            report(error, as_json="--json" in arguments)
        return exit_for(error.code)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last resort: its text may quote what must not be shown
        if isinstance(error, ModuleNotFoundError) and not can_serve():
            complain(f"error: {error.name} is not installed here: pip install 'privface-backend[serve]'")
            return Exit.ENGINES
        complain(f"internal error: {type(error).__name__}; privface --log-level debug shows where")
        _trace(error, arguments)
        return Exit.INTERNAL
    return Exit.OK


def _trace(error: Exception, typed: Sequence[str]) -> None:
    if "debug" in typed:
        import traceback  # noqa: PLC0415  # only here

        complain("".join(traceback.format_tb(error.__traceback__)))
