"""The command ``privface``: global options, and the commands by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from privface_backend.cli import commands
from privface_backend.cli.exits import EXPLAINED, Exit, exit_for
from privface_backend.cli.invocation import AsJson, Config, DataDir, Invocation
from privface_backend.cli.output import complain, report
from privface_backend.errors import PrivFaceError

app = typer.Typer(
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


@app.callback(invoke_without_command=True)
def privface(
    context: typer.Context,
    data_dir: DataDir = None,
    config: Config = None,
    models_dir: Annotated[
        Path | None, typer.Option("--models-dir", metavar="DIR", help="Where weights lie.", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Private face recognition for the home. Without a command: serve."""
    context.obj = Invocation().add(
        config=config, json=as_json, data_dir=data_dir, models_dir=models_dir, log__level=log_level
    )
    if context.invoked_subcommand is None:
        context.invoke(commands.serve, context=context)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Expected errors end in a line, never in a traceback."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=typed)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.OK
    except PrivFaceError as error:
        report(error, as_json="--json" in typed)
        return exit_for(error.code)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001  # the last resort: its text may quote what must not be shown
        complain(f"internal error: {type(error).__name__}; privface --log-level debug shows where")
        _trace(error, typed)
        return Exit.INTERNAL
    return Exit.OK


def _trace(error: Exception, typed: Sequence[str]) -> None:
    if "debug" in typed:
        import traceback  # noqa: PLC0415  # only here

        complain("".join(traceback.format_tb(error.__traceback__)))
