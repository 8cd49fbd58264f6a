"""``privface evaluate …``: how well recognition does on sets of pictures, pairs and clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from privface_backend.cli.invocation import invocation
from privface_backend.cli.output import say, say_json
from privface_backend.evaluation import CACHE_FOLDER

app = typer.Typer(
    help="How well it recognizes: a household, pairs, clips; and how well an attacker does.", no_args_is_help=True
)


def _files(*names: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, metavar=metavar, help=text, show_default=False)
    return option


Engines = Annotated[list[str] | None, _files("--engine", metavar="NAME", text="As of `identify`; may be repeated.")]
Methods = Annotated[
    list[str] | None, _files("--method", metavar="NAME", text="How to anonymize (gaussian); may be repeated.")
]
Parameters = Annotated[
    list[str] | None,
    _files("--parameter", metavar="K", text="Its parameter, or several with commas (1,9,17,25,33); may be repeated."),
]
Galleries = Annotated[
    list[str] | None,
    _files("--gallery", metavar="KIND", text="clear, matched, sent, baseline or sealed; may be repeated."),
]
Fpirs = Annotated[
    list[float] | None,
    _files("--fpir", metavar="RATE", text="A false rate to measure at (0.01 and 0.001); may be repeated."),
]
Output = Annotated[Path | None, _files("--output", metavar="FILE", text="Write the JSON document there, too.")]
Plots = Annotated[Path | None, _files("--plots", metavar="DIR", text="Write plots there (needs matplotlib).")]
CacheDir = Annotated[Path | None, _files("--cache", metavar="DIR", text="Where embeddings are kept.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no embeddings on disk.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of folds and intervals.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for, whatever the set."""

    engines: Sequence[str] = ()
    methods: Sequence[str] = ()
    parameters: Sequence[str] = ()
    galleries: Sequence[str] = ()
    fpirs: Sequence[float] = ()
    output: Path | None = None
    plots: Path | None = None
    cache: Path | None = None
    no_cache: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdChoice:
    """Which household: one of ``manifest``, ``folder`` and ``own``."""

    manifest: Path | None
    folder: Path | None
    own: bool
    names: Sequence[str] = field(default=())


@app.command()
def household(  # noqa: PLR0917  # typer fills them by name
    context: typer.Context,
    manifest: Annotated[
        Path | None, _files("--manifest", metavar="CSV", text="Columns path, identity, role, household.")
    ] = None,
    folder: Annotated[
        Path | None, _files("--folder", metavar="DIR", text="A folder a person, and strangers/ with others.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="The people who are enrolled here, each face left out.")] = False,
    names: Annotated[
        list[str] | None, _files("--household", metavar="NAME", text="Of the manifest's; may be repeated.")
    ] = None,
    engine: Engines = None,
    method: Methods = None,
    parameter: Parameters = None,
    gallery: Galleries = None,
    fpir: Fpirs = None,
    output: Output = None,
    plots: Plots = None,
    cache: CacheDir = None,
    no_cache: NoCache = False,
    seed: Seed = 0,
) -> None:
    """Who is named rightly, and which strangers are named, in households of pictures."""
    from privface_backend.cli.evaluation import run_household  # noqa: PLC0415  # --help needs no numpy

    if sum((manifest is not None, folder is not None, own)) != 1:
        raise typer.BadParameter("give one of --manifest, --folder and --own")
    choice = _choice(engine, method, parameter, gallery, fpir, output, plots, cache, no_cache, seed)
    which = HouseholdChoice(manifest=manifest, folder=folder, own=own, names=names or ())
    run_household(invocation(context), which, choice)


@app.command()
def pairs(  # noqa: PLR0917  # typer fills them by name
    context: typer.Context,
    pairs: Annotated[Path, _files("--pairs", metavar="CSV", text="Columns path_a, path_b, same, protocol.")],
    engine: Engines = None,
    method: Methods = None,
    parameter: Parameters = None,
    gallery: Annotated[
        list[str] | None, _files("--gallery", metavar="KIND", text="sent or baseline; may be repeated.")
    ] = None,
    fpir: Fpirs = None,
    output: Output = None,
    plots: Plots = None,
    cache: CacheDir = None,
    no_cache: NoCache = False,
    seed: Seed = 0,
) -> None:
    """How well pairs of pictures of one person are told from pairs of two."""
    from privface_backend.cli.evaluation import run_pairs  # noqa: PLC0415  # --help needs no numpy

    choice = _choice(engine, method, parameter, gallery, fpir, output, plots, cache, no_cache, seed)
    run_pairs(invocation(context), pairs, choice)


@app.command()
def clips(  # noqa: PLR0917  # typer fills them by name
    context: typer.Context,
    clips: Annotated[Path, _files("--clips", metavar="CSV", text="Column file; beside a clip STEM_truth.csv.")],
    enrolled: Annotated[
        list[str] | None,
        _files("--enrolled", metavar="MANIFEST:HOUSEHOLD", text="Whom to enroll beside enrol/; may be repeated."),
    ] = None,
    engine: Engines = None,
    method: Methods = None,
    parameter: Parameters = None,
    gallery: Galleries = None,
    output: Output = None,
    cache: CacheDir = None,
    no_cache: NoCache = False,
) -> None:
    """Who is named in clips, how soon, and who falsely."""
    from privface_backend.cli.evaluation import run_clips  # noqa: PLC0415  # --help needs no numpy

    choice = _choice(engine, method, parameter, gallery, None, output, None, cache, no_cache, 0)
    run_clips(invocation(context), clips, enrolled or (), choice)


@app.command()
def attack(  # noqa: PLR0917  # typer fills them by name
    context: typer.Context,
    manifest: Annotated[
        Path | None, _files("--manifest", metavar="CSV", text="Columns path, identity, role, household.")
    ] = None,
    names: Annotated[
        list[str] | None, _files("--household", metavar="NAME", text="Of the manifest's; may be repeated.")
    ] = None,
    crowd: Annotated[
        list[Path] | None, _files("--crowd", metavar="DIR", text="More people, a folder each; may be repeated.")
    ] = None,
    engine: Engines = None,
    method: Annotated[
        list[str] | None,
        _files("--method", metavar="NAME", text="gaussian, pixelate, pixelate+noise, sealed; may be repeated."),
    ] = None,
    relative: Annotated[
        list[str] | None,
        _files("--relative", metavar="R", text="Strengths sigma / face width (0,0.02,…,0.1); may be repeated."),
    ] = None,
    people: Annotated[
        int, typer.Option("--people", metavar="N", min=1, help="Search at most so many of the crowd.")
    ] = 200,
    minutes: Annotated[
        float, typer.Option("--minutes", metavar="M", min=0, help="Train a method's network for so long; 0: none.")
    ] = 8,
    fpir: Annotated[
        list[float] | None,
        _files("--fpir", metavar="RATE", text="A false rate to measure at (0.01 and 0.1); may be repeated."),
    ] = None,
    output: Output = None,
    plots: Plots = None,
    cache: CacheDir = None,
    no_cache: NoCache = False,
    seed: Seed = 0,
) -> None:
    """How often an attacker with a gallery of clear pictures finds out whom anonymized frames show."""
    from privface_backend.cli.attacking import AttackChoice, run_attack  # noqa: PLC0415  # --help needs no numpy

    if manifest is None and not crowd:
        raise typer.BadParameter("give --manifest or --crowd, or both")
    choice = _choice(engine, method, None, None, fpir or [0.01, 0.1], output, plots, cache, no_cache, seed)
    which = AttackChoice(
        manifest=manifest,
        names=names or (),
        crowd=crowd or (),
        relatives=[_strength(part) for text in relative or () for part in text.split(",")],
        people=people,
        minutes=minutes,
    )
    run_attack(invocation(context), which, choice)


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter("expected numbers from 0 to 1, several with commas", param_hint="--relative")
    return value


@app.command("clear-cache")
def clear_cache(context: typer.Context, *, cache: CacheDir = None) -> None:
    """Remove the embeddings that evaluations kept."""
    from privface_backend.evaluation.cache import FolderCache  # noqa: PLC0415  # --help needs no numpy

    call = invocation(context)
    removed = FolderCache(cache or call.settings.data_dir / CACHE_FOLDER).clear()
    if call.json:
        say_json({"removed": removed})
    else:
        say(f"Removed what was kept of {removed} looks")


def _choice(  # noqa: PLR0917  # in the order of the options
    engines: list[str] | None,
    methods: list[str] | None,
    parameters: list[str] | None,
    galleries: list[str] | None,
    fpirs: list[float] | None,
    output: Path | None,
    plots: Path | None,
    cache: Path | None,
    no_cache: bool,
    seed: int,
) -> Choice:
    rates = tuple(fpirs or (0.01, 0.001))
    if not all(0 < rate < 1 for rate in rates):
        raise typer.BadParameter("expected rates above 0 and below 1", param_hint="--fpir")
    return Choice(
        engines=engines or (),
        methods=methods or (),
        parameters=[part for text in parameters or () for part in text.split(",")],
        galleries=galleries or (),
        fpirs=rates,
        output=output,
        plots=plots,
        cache=cache,
        no_cache=no_cache,
        seed=seed,
    )
