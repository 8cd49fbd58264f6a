"""What ``privface evaluate`` does: engines made, sets measured, runs shown."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from privface_backend.cli.engines import with_engine
from privface_backend.cli.evaluate import Choice, HouseholdChoice
from privface_backend.cli.exits import Exit
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import complain, explain, progress, say, say_json
from privface_backend.cli.session import open_session
from privface_backend.core import load_engines, needed_weights
from privface_backend.domain.decision import DecisionRules, Naming
from privface_backend.domain.matching import Template
from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation import CACHE_FOLDER
from privface_backend.evaluation.cache import FolderCache, NoCache
from privface_backend.evaluation.clips import evaluate_clips, read_clips, read_enrolled
from privface_backend.evaluation.household import Plan, evaluate_household, evaluate_own
from privface_backend.evaluation.identification import Measuring
from privface_backend.evaluation.intervals import Bootstrap
from privface_backend.evaluation.manifests import (
    HouseholdSet,
    choose_household,
    read_folder,
    read_households,
    read_pairs,
)
from privface_backend.evaluation.pairs import ALLOWED, evaluate_pairs, pictures_of
from privface_backend.evaluation.plots import draw, require_matplotlib
from privface_backend.evaluation.report import make_tables
from privface_backend.evaluation.runs import Run, to_document
from privface_backend.evaluation.scoring import GalleryKind, ScoringRules
from privface_backend.evaluation.sightings import OPEN_BAR, Looker
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.process import Engines, Process
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import ErrorCode, Privacy
from privface_backend.settings import Settings
from privface_backend.tasks import fetch_weights

_PARAMETERS = (1, 9, 17, 25, 33)
_WIDE = 240
"""How many characters a line has that goes to no terminal."""


@dataclass(slots=True, kw_only=True)
class Refusals:
    """The files that couldn't be read, each said once."""

    paths: set[Path]

    def add(self, path: Path, error: PrivFaceError) -> None:
        if path not in self.paths:
            complain(f"{path}: {explain(error)}")
        self.paths.add(path)

    def conclude(self) -> None:
        """End the command with 1 where there were some."""
        if self.paths:
            raise typer.Exit(Exit.UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What one engine is evaluated with."""

    looker: Looker
    privacies: Sequence[Privacy]
    plan: Callable[[Sequence[GalleryKind], Callable[[], None]], Plan]


def run_household(call: Invocation, which: HouseholdChoice, choice: Choice) -> None:
    """Measure households; ends with 1 when a picture couldn't be read."""
    galleries = _galleries(choice, tuple(GalleryKind), GalleryKind.MATCHED)
    if which.own:
        _finish(call, choice, lambda refusals: _measure_own(call, choice, galleries, refusals))
        return
    sets = _read_households(which)

    def measure(refusals: Refusals) -> Iterator[Run]:
        for bench in benches(call, choice, refusals):
            for one in sets:
                with progress(f"Looking ({one.name})", len(one.pictures), as_json=call.json) as advance:
                    yield from evaluate_household(one, bench.looker, bench.plan(galleries, advance))

    _finish(call, choice, measure)


def _read_households(which: HouseholdChoice) -> Sequence[HouseholdSet]:
    if which.folder is not None:
        return [read_folder(which.folder)]
    assert which.manifest is not None  # noqa: S101  # the command has seen to it
    return choose_household(read_households(which.manifest), which.names)


def _measure_own(
    call: Invocation, choice: Choice, galleries: Sequence[GalleryKind], refusals: Refusals
) -> Iterator[Run]:
    for name in choice.engines or (None,):
        settings = with_engine(call.settings, name)
        templates, engines = asyncio.run(_read_gallery(settings))
        bench = _bench(settings, engines, choice, refusals)
        with progress("Comparing", len(galleries), as_json=call.json) as advance:
            yield from evaluate_own("own", templates, settings.privacy.ladder, bench.plan(galleries, advance))


async def _read_gallery(settings: Settings) -> tuple[tuple[Template, ...], Engines]:
    """The templates that are enrolled for the engines, and these."""
    async with open_session(settings, engines=True) as core:
        return core.index.snapshot.templates, core.recognition.process.engines


def run_pairs(call: Invocation, manifest: Path, choice: Choice) -> None:
    """Measure pairs; ends with 1 when a picture couldn't be read."""
    galleries = _galleries(choice, ALLOWED, GalleryKind.SENT)
    sets = read_pairs(manifest)

    def measure(refusals: Refusals) -> Iterator[Run]:
        for bench in benches(call, choice, refusals):
            with progress("Looking", len(pictures_of(sets)), as_json=call.json) as advance:
                yield from evaluate_pairs(sets, bench.looker, bench.plan(galleries, advance))

    _finish(call, choice, measure)


def run_clips(call: Invocation, manifest: Path, enrolled: Sequence[str], choice: Choice) -> None:
    """Measure clips; ends with 1 when a file couldn't be read."""
    # A seal changes nothing about how clips are followed, which needs the embeddings as they are.
    allowed = [kind for kind in GalleryKind if kind is not GalleryKind.SEALED]
    galleries = _galleries(choice, allowed, GalleryKind.MATCHED)
    clips, people = read_clips(manifest), read_enrolled(manifest, enrolled)

    def measure(refusals: Refusals) -> Iterator[Run]:
        for bench in benches(call, choice, refusals):
            with progress("Looking", len(clips) * len(bench.privacies), as_json=call.json) as advance:
                yield from evaluate_clips(clips, people, bench.looker, bench.plan(galleries, advance))

    _finish(call, choice, measure)


def benches(call: Invocation, choice: Choice, refusals: Refusals) -> Iterator[Bench]:
    """Each engine asked for, made when it is its turn.

    Raises:
        PrivFaceError: an engine or its weights are missing, or a method or parameter doesn't exist.
    """
    registry = Registry()
    for name in choice.engines or (None,):
        settings = with_engine(call.settings, name)
        weights = WeightsStore(settings.models_dir)
        asyncio.run(fetch_weights(weights, needed_weights(settings.engines, registry)))
        yield _bench(settings, load_engines(settings.engines, weights, registry), choice, refusals)


def _bench(settings: Settings, engines: Engines, choice: Choice, refusals: Refusals) -> Bench:
    cache = NoCache() if choice.no_cache else FolderCache(choice.cache or settings.data_dir / CACHE_FOLDER)
    limits = PictureLimits(
        bytes=settings.pipeline.picture_megabytes * 1024 * 1024,
        pixels=settings.pipeline.picture_megapixels * 1_000_000,
    )
    process = Process(engines=engines, bar=OPEN_BAR, longest=settings.pipeline.working_size)
    looker = Looker(process=process, cache=cache, ladder=settings.privacy.ladder, limits=limits)
    rules = ScoringRules(
        contract=engines.contract,
        verification_threshold=engines.recognizer.verification_threshold,
        decision=DecisionRules(
            naming=Naming(settings.decision.naming), caution=settings.decision.caution, margin=settings.decision.margin
        ),
    )
    measuring = Measuring(
        rules=rules,
        bar=QualityBar(smallest=settings.decision.smallest_face),
        bootstrap=Bootstrap(seed=choice.seed),
        fpirs=choice.fpirs,
    )
    privacies = _privacies(engines, choice)
    chosen = settings.engines
    label = f"{chosen.detector}+{chosen.recognizer}+{chosen.aligner}"

    def plan(galleries: Sequence[GalleryKind], advance: Callable[[], None]) -> Plan:
        return Plan(
            engine=label,
            privacies=privacies,
            galleries=galleries,
            measuring=measuring,
            advance=advance,
            refuse=refusals.add,
        )

    return Bench(looker=looker, privacies=privacies, plan=plan)


def _privacies(engines: Engines, choice: Choice) -> list[Privacy]:
    """Each method with each parameter; of those that are the default only what the method takes.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``.
    """
    asked = [_whole(text) for text in choice.parameters]
    found = []
    for method in choice.methods or ("gaussian",):
        anonymizer = engines.anonymizer(method)
        for parameter in asked or _PARAMETERS:
            try:
                anonymizer.validate(parameter)
            except PrivFaceError:
                if asked:
                    raise
                continue
            found.append(Privacy(method=method, parameter=parameter))
    return list(dict.fromkeys(found))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter("expected whole numbers, several with commas", param_hint="--parameter") from None


def _galleries(choice: Choice, allowed: Sequence[GalleryKind], default: GalleryKind) -> list[GalleryKind]:
    if any(name not in list(allowed) for name in choice.galleries):
        raise typer.BadParameter(f"expected {', '.join(allowed)}", param_hint="--gallery")
    return [GalleryKind(name) for name in dict.fromkeys(choice.galleries)] or [default]


def _finish(call: Invocation, choice: Choice, measure: Callable[[Refusals], Iterator[Run]]) -> None:
    """Measure, and show what came of it."""
    prepare(call, choice)
    refusals = Refusals(paths=set())
    runs = list(measure(refusals))
    document = to_document(runs, Bootstrap(seed=choice.seed))
    present(call, choice, document, tables=lambda: make_tables(runs), plots=lambda directory: draw(runs, directory))
    refusals.conclude()


def prepare(call: Invocation, choice: Choice) -> None:
    """Keep the log out of the tables, and find out at once whether plots can be drawn.

    Raises:
        PrivFaceError: ``engine_missing``.
    """
    level = call.settings.log.level
    set_up_logging("warning" if level == "info" else level)
    if choice.plots is not None:
        require_matplotlib()


def present(
    call: Invocation,
    choice: Choice,
    document: dict[str, Any],
    *,
    tables: Callable[[], Iterable[Table]],
    plots: Callable[[Path], Iterable[Path]],
) -> None:
    """Write and show what was measured, as the options ask for it.

    Raises:
        PrivFaceError: ``storage_failed``.
    """
    if choice.output is not None:
        _write_document(choice.output, document)
    drawn = [] if choice.plots is None else list(plots(choice.plots))
    if call.json:
        say_json(document)
        return
    # A table that goes to a file or a pipe keeps its lines whole.
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for table in tables():
        console.print(table)
    for path in drawn:
        say(str(path))


def _write_document(path: Path, document: dict[str, Any]) -> None:
    """Raises:
    PrivFaceError: ``storage_failed``.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        message = f"The document can't be written: {error.strerror}."
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, message, allowed="another file: --output FILE") from None
