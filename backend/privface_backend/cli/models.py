"""``privface models``: what weights there are, fetching, checking and importing them.

Exit codes: 0 done; 1 weights are missing, changed or not recognized; 2 wrong usage; 3 weights can't be had.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from privface_backend.cli.data_dir import make_data_dir
from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import AsJson, invocation
from privface_backend.cli.output import complain, say, say_json

if TYPE_CHECKING:
    from privface_backend.models.store import FetchProgress, WeightsStore
    from privface_backend.plugins.spec import EngineSpec
    from privface_backend.settings import Settings

app = typer.Typer(help="The networks' weights: list, fetch, verify, import.", no_args_is_help=True)

Trust = Annotated[
    bool,
    typer.Option(
        "--trust-first-use",
        help="Take files without a published checksum as they are, and hold to them from now on.",
    ),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="As 'privface models list' shows them.")]

_ADVICE: Final = {
    "missing": "type: privface models fetch {name}",
    "mismatched": "it is not loaded; type: privface models fetch {name}",
    "unpinned": "it is not loaded; type: privface models fetch --trust-first-use {name}",
}


def open_store(settings: Settings) -> WeightsStore:
    """The store that the settings name."""
    from privface_backend.models.store import WeightsStore  # noqa: PLC0415  # --help needs no requests

    return WeightsStore(settings.models_dir)


def open_store_to_write(settings: Settings) -> WeightsStore:
    """The store, when files are to come into it. Where it lies in the data directory, that is made first, for its owner
    alone.

    Raises:
        PrivFaceError: ``storage_failed``.
    """
    if settings.models_dir.is_relative_to(settings.data_dir):
        make_data_dir(settings.data_dir)
    return open_store(settings)


def weights_of(spec: EngineSpec, backend: str) -> tuple[str, ...]:
    """The weights that an engine loads on ``backend``."""
    instead = spec.arguments.get("tensorflow_weights")
    return (str(instead),) if backend == "tensorflow" and instead is not None else spec.weights


def default_weights(settings: Settings) -> tuple[str, ...]:
    """The weights of the configured detector and recognizer."""
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # --help needs no numpy
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above

    registry = Registry()
    chosen = (
        registry.spec(EngineKind.DETECTOR, settings.engines.detector),
        registry.spec(EngineKind.RECOGNIZER, settings.engines.recognizer),
    )
    return tuple(dict.fromkeys(name for spec in chosen for name in weights_of(spec, settings.engines.backend)))


def _engines_by_weights() -> dict[str, list[str]]:
    from privface_backend.plugins.registry import Registry  # noqa: PLC0415  # --help needs no numpy
    from privface_backend.plugins.spec import EngineKind  # noqa: PLC0415  # as above

    engines: dict[str, list[str]] = {}
    for spec in Registry().all():
        for name in dict.fromkeys((*spec.weights, *weights_of(spec, "tensorflow"))):
            # A composition needs what its first part does.
            name_of_part = spec.name.partition("+")[0] if spec.kind is EngineKind.ANONYMIZER else spec.name
            label = name_of_part if name in spec.weights else f"{spec.name} on TensorFlow"
            if label not in engines.setdefault(name, []):
                engines[name].append(label)
    return engines


@app.command("list")
def list_models(context: typer.Context, *, as_json: AsJson = False) -> None:
    """What weights there are, what they may be used for, and which are here."""
    called = invocation(context).add(json=as_json)
    store, engines = open_store(called.settings), _engines_by_weights()
    rows: list[dict[str, object]] = [
        {
            "name": entry.name,
            "file": entry.file,
            "size": entry.size,
            "sha256": store.expected(entry.name),
            "license": entry.license,
            "commercial": entry.commercial.value,
            "status": store.status(entry.name).value,
            "engines": engines.get(entry.name, []),
        }
        for entry in store.table.values()
    ]
    if called.json:
        for row in rows:
            say_json(row)
    else:
        _print_table(rows, engines)


def _print_table(rows: Sequence[dict[str, object]], engines: dict[str, list[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  # only this command needs it
    from rich.table import Table  # noqa: PLC0415  # as above

    table = Table("name", "file", "size", "license", "commercial use", "status", "needed by", box=None)
    for row in rows:
        size = f"{row['size']:,}" if row["size"] is not None else "not known"
        cells = {**row, "size": size, "engines": ", ".join(engines.get(str(row["name"]), []))}
        cells.pop("sha256")
        table.add_row(*(str(cell) for cell in cells.values()))
    # A table that goes to a file or a pipe keeps its lines whole.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


@app.command()
def fetch(  # noqa: PLR0917  # typer fills them by name
    context: typer.Context,
    names: Names = None,
    default: Annotated[
        bool, typer.Option("--default", help="Those of the configured engines; so without any NAME.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All.")] = False,
    trust_first_use: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Download weights that are not here, and check them."""
    if sum((bool(names), default, everything)) > 1:
        raise typer.BadParameter("give names, or --default, or --all")
    called = invocation(context).add(json=as_json)
    store = open_store_to_write(called.settings)
    wanted = list(store.table) if everything else names or default_weights(called.settings)
    with _progress() as progress:
        done = store.fetch(wanted, progress, trust_first_use=trust_first_use)
    for item in done:
        if called.json:
            say_json({"name": item.name, "path": str(item.path), "sha256": item.sha256, "source": item.source})
        else:
            say(f"{item.name}: {'is here' if item.source is None else f'fetched from {item.source}'}")


@app.command()
def verify(context: typer.Context, names: Names = None, *, as_json: AsJson = False) -> None:
    """Read the files and compare checksums: of NAMEs, else of all that are here and those that are needed.

    Exit code 1 if one is missing, changed, or without a checksum to compare.
    """
    called = invocation(context).add(json=as_json)
    store = open_store(called.settings)
    needed = default_weights(called.settings)
    found = store.verify(names or [name for name in store.table if name in needed or store.file(name).is_file()])
    for name, status in found.items():
        if called.json:
            say_json({"name": name, "status": status.value})
        else:
            advice = _ADVICE.get(status)
            say(f"{name}: {status}" + (f"; {advice.format(name=name)}" if advice else ""))
    if any(status != "present" for status in found.values()):
        raise typer.Exit(Exit.UNFINISHED)


@app.command("import")
def import_models(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Searched with all below, wheels and zips too.")],
    *,
    trust_first_use: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Take weights from a folder, known by their sha256 whatever their names: for computers without a network.

    Exit code 1 if nothing was taken.
    """
    called = invocation(context).add(json=as_json)
    done = open_store_to_write(called.settings).import_folder(folder, trust_first_use=trust_first_use)
    for name, label in done.files.items():
        if called.json:
            say_json({"name": name, "from": label})
        else:
            say(f"{name}: from {label}")
    for name, label in done.untrusted.items():
        complain(f"{name}: {label} has no published checksum; to take it as it is, add --trust-first-use")
    if not done.files:
        complain(f"Nothing was taken from {folder}.")
        raise typer.Exit(Exit.UNFINISHED)


@contextmanager
def _progress() -> Iterator[FetchProgress | None]:
    """A bar a file on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415  # only terminals need it
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn  # noqa: PLC0415  # as above

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield show
