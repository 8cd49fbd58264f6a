"""How far a calibration flatters: what leave-one-out over enrolled pictures promises, and what held-out pictures do.

For each household of ``home/``: its pictures to enroll are enrolled and calibrated as `privface calibrate` does. Then
each of its probes, and each stranger, is blurred with each kernel size, found, judged by the quality bar, searched and
decided on as a camera's face is; a face that isn't found is a miss. Prints the curve, and for each kernel size the
share that the curve promises for faces blurred so strongly beside the one that was seen; and what each floor chooses.

    .venv/bin/python benchmarks/calibrated.py ../shared/data
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from privface_backend.calibration.curve import Calibration
from privface_backend.calibration.measuring import Household, describe_enrolled, measure
from privface_backend.core import load_engines
from privface_backend.domain.decision import DecisionRules, decide
from privface_backend.domain.matching import Template
from privface_backend.domain.privacy import sigma_of_kernel
from privface_backend.domain.quality import QualityBar
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.score_models import score_model
from privface_backend.evaluation.cache import FolderCache, NoCache
from privface_backend.evaluation.manifests import HouseholdSet, Picture, Role, read_households
from privface_backend.evaluation.sightings import OPEN_BAR, Looker
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Process
from privface_backend.protocol import Privacy
from privface_backend.settings_sections import EngineSettings

KERNELS = (1, 9, 17, 25, 33)
FLOORS = (0.8, 0.9, 0.95)
BAR = QualityBar()


def enroll(looker: Looker, pictures: Sequence[Picture]) -> list[Template]:
    return [
        Template(face_id=str(picture.path), person_id=picture.identity, level=level, vector=vector)
        for picture in pictures
        for level, vector in looker.enroll(looker.open(picture.path))
    ]


def calibrate(household: Household, floor: float) -> Calibration:
    method, sampled, levels = measure(household)
    return Calibration(
        made_at=datetime.now(UTC),
        enrolled=describe_enrolled(household),
        method=method,
        floor=floor,
        sampled=sampled,
        levels=levels,
    )


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A held-out picture at one kernel size. ``relative``: r of the blur on its face, None where none is found even in
    the clear picture; ``named``: whom it is named as."""

    identity: str
    relative: float | None
    named: str | None


def try_all(
    looker: Looker, pictures: Sequence[Picture], ranking: Ranking, rules: DecisionRules
) -> Mapping[int, list[Tried]]:
    """Each picture at each kernel size, judged and decided on as a camera's frame."""
    found: dict[int, list[Tried]] = {kernel: [] for kernel in KERNELS}
    for picture in pictures:
        opened, width = looker.open(picture.path), None
        for kernel in KERNELS:
            seen = looker.look(opened, Privacy(method="gaussian", parameter=kernel))
            if kernel == 1 and seen is not None and seen.face is not None:
                width = seen.face.width
            relative = None if width is None else sigma_of_kernel(kernel) / width
            usable = seen is not None and seen.usable(BAR)
            ranked = ranking.rank(seen.vector, seen.strength) if seen is not None and usable else ()
            named = decide(ranked, rules).person_id if ranked else None
            found[kernel].append(Tried(identity=picture.identity, relative=relative, named=named))
    return found


def promise(made: Calibration, tried: Sequence[Tried], *, strangers: bool) -> float:
    """The mean share that the curve gives for the strengths of these faces; where none is found, nothing."""
    rates = [(level.relative, level.fpir if strangers else level.tpir) for level in made.levels]
    points = [(relative, rate.value) for relative, rate in rates if rate is not None]
    shares = [
        0.0
        if one.relative is None
        else np.interp(one.relative, [at for at, _ in points], [share for _, share in points])
        for one in tried
    ]
    return float(np.mean(shares))


def compare(looker: Looker, one: HouseholdSet) -> None:
    engines, rules = looker.process.engines, DecisionRules()
    templates = enroll(looker, one.of(Role.ENROLL))
    household = Household(
        templates=templates,
        model=score_model(engines.contract, engines.recognizer.verification_threshold),
        rules=rules,
        ladder=looker.ladder,
        strongest=BAR.strongest,
        contract=engines.contract.key,
    )
    made = calibrate(household, FLOORS[0])
    ranking = Ranking(templates, household.model, rules)
    probes = try_all(looker, one.of(Role.PROBE), ranking, rules)
    others = try_all(looker, one.of(Role.STRANGER), ranking, rules)
    print(f"\n{one.name}: {made.enrolled.people} people, {made.enrolled.faces} faces enrolled")
    print("r      leave-one-out               strangers named")
    for level in made.levels:
        if level.tpir is not None:
            interval = f"{100 * level.tpir.low:.0f}-{100 * level.tpir.high:.0f}"
            share = f"{level.known}/{level.probes} {100 * level.tpir.value:.1f} ({interval})"
            print(f"{level.relative:<6} {share:27} {level.named}/{level.strangers}")
    print("k   median r  promised  held out         strangers: promised  held out")
    for kernel in KERNELS:
        own, foreign = probes[kernel], others[kernel]
        median = np.median([tried.relative for tried in own if tried.relative is not None])
        known = sum(tried.named == tried.identity for tried in own)
        named = sum(tried.named is not None for tried in foreign)
        print(
            f"{kernel:<3} {median:.3f}     {100 * promise(made, own, strangers=False):5.1f}     "
            f"{known}/{len(own)} {100 * known / len(own):5.1f}      "
            f"{100 * promise(made, foreign, strangers=True):5.2f}               {named}/{len(foreign)}"
        )
    for floor in FLOORS:
        chosen = calibrate(household, floor).chosen
        print(f"floor {floor}: r = {None if chosen is None else chosen.relative}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, help="where embeddings are kept, so that a second run takes seconds")
    parser.add_argument("--household", action="append", help="of the manifest's; may be repeated")
    arguments = parser.parse_args()
    weights = WeightsStore(Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    process = Process(engines=load_engines(EngineSettings(), weights), bar=OPEN_BAR)
    looker = Looker(process=process, cache=NoCache() if arguments.cache is None else FolderCache(arguments.cache))
    for one in read_households(arguments.data / "home" / "manifest.csv"):
        if not arguments.household or one.name in arguments.household:
            compare(looker, one)


if __name__ == "__main__":
    main()
