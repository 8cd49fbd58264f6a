"""What ``privface evaluate attack`` does: a campaign made, run and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from privface_backend.bridge.jpeg import encode_picture
from privface_backend.cli.evaluate import Choice
from privface_backend.cli.evaluation import Refusals, benches, prepare, present
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.output import complain, progress
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.campaign import Plan, Row, attack
from privface_backend.evaluation.attacks.casting import Cast, cast, read_crowd
from privface_backend.evaluation.attacks.network import require_jax
from privface_backend.evaluation.attacks.observing import Observer
from privface_backend.evaluation.attacks.plots import draw_findings
from privface_backend.evaluation.attacks.report import document_of, sort_rows, tabulate_findings
from privface_backend.evaluation.attacks.searching import Counting
from privface_backend.evaluation.attacks.templates import SEALED, Installations
from privface_backend.evaluation.intervals import Bootstrap
from privface_backend.evaluation.manifests import choose_household, read_households
from privface_backend.pipeline.process import Engines
from privface_backend.protection.matrix import orthonormal

_METHODS = ("gaussian", "pixelate", "pixelate+noise", SEALED)
_RELATIVES = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackChoice:
    """Whom to attack, and how hard. ``people``: most of the crowd that are searched; ``minutes``: of training."""

    manifest: Path | None
    names: Sequence[str] = field(default=())
    crowd: Sequence[Path] = ()
    relatives: Sequence[float] = ()
    people: int = 200
    minutes: float = 8.0


def run_attack(call: Invocation, which: AttackChoice, choice: Choice) -> None:
    """Attack; ends with 1 when a picture couldn't be read.

    Raises:
        PrivFaceError: what reading the sets and making engines raise; ``bad_privacy_parameter``: no such method.
    """
    prepare(call, choice)
    minutes = _check_learning(which.minutes)
    households = [] if which.manifest is None else choose_household(read_households(which.manifest), which.names)
    casts = cast(households, read_crowd(which.crowd), limit=which.people, seed=choice.seed)
    refusals = Refusals(paths=set())
    findings = sort_rows(list(_attack(call, casts, replace(which, minutes=minutes), choice, refusals)))
    document = document_of(findings, Bootstrap(seed=choice.seed))
    present(
        call,
        choice,
        document,
        tables=lambda: tabulate_findings(findings),
        plots=lambda directory: draw_findings(findings, directory),
    )
    refusals.conclude()


def _check_learning(minutes: float) -> float:
    """The minutes to train for: none without the library, which is said."""
    try:
        if minutes > 0:
            require_jax()
    except PrivFaceError as error:
        complain(f"{error.message}. The attack `learned` is left out.")
        return 0.0
    return minutes


def _attack(
    call: Invocation, casts: Sequence[Cast], which: AttackChoice, choice: Choice, refusals: Refusals
) -> Iterator[Row]:
    methods = list(dict.fromkeys(choice.methods)) or _METHODS
    relatives = which.relatives or _RELATIVES
    for bench in benches(call, replace(choice, methods=(), parameters=()), refusals):
        _check_methods(bench.looker.process.engines, methods)
        levels = sum(1 if method == SEALED else len(set(relatives)) for method in methods)
        with progress("Attacking (strengths)", levels, as_json=call.json) as advance:
            base = bench.plan((), advance)
            observer = Observer(looker=bench.looker, transmit=encode_picture, refuse=refusals.add)
            plan = Plan(
                engine=base.engine,
                methods=methods,
                relatives=relatives,
                counting=Counting(bootstrap=base.measuring.bootstrap, fpirs=choice.fpirs),
                measuring=base.measuring,
                installations=Installations(make=orthonormal, seed=choice.seed),
                minutes=which.minutes,
                seed=choice.seed,
                advance=advance,
            )
            yield from attack(casts, observer, plan)


def _check_methods(engines: Engines, methods: Sequence[str]) -> None:
    """Raises:
    PrivFaceError: ``bad_privacy_parameter``, with the methods that exist.
    """
    for method in methods:
        if method != SEALED:
            engines.anonymizer(method)
