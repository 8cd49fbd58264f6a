"""The score model of ``domain/score_models.py``, measured on public figures who are in no household of ``home/``.

All of them are split into two halves. Each half's scores are measured with the whitening of the other half, in random
households of eight with up to three pictures each; strangers are people with one picture. Prints, for each kernel size:
how strangers' scores with one person are distributed (a normal distribution through their upper tail, and the scores
that 1 %, 0.1 % and 0.01 % reach), a person's own scores, those of two people's faces, and by how much strangers come
nearer where the lightest enrolled template is blurred. Then the check that counts: the share of strangers whom a
household of one half names at each setting of ``decision.naming``, with the shipped curves and the whitening of the
other half, beside the share that was asked for.

    .venv/bin/python benchmarks/calibration.py ../shared/data
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

from privface_backend.core import load_engines
from privface_backend.domain.calibration import ScoreModel, Whitening
from privface_backend.domain.decision import DecisionRules, Naming, decide
from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.score_models import score_model
from privface_backend.evaluation.cache import Cache, FolderCache, NoCache
from privface_backend.evaluation.sightings import OPEN_BAR, Looker, Sighting, Templates
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Process
from privface_backend.protocol import Privacy
from privface_backend.settings_sections import EngineSettings

KERNELS = (1, 9, 17, 25, 33, 51)
HOUSEHOLDS, PEOPLE, PICTURES = 14, 8, 3
LIGHTEST = (0.02, 0.03, 0.04, 0.05, 0.065, 0.08)
HALF_A_RUNG = 0.0025
SHRINK = 0.3
"""The share of the mean variance in each direction of the within-class covariance, which few people estimate."""
TAIL = (0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
UNIT = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One picture: what was seen at each kernel size, and what enrolling it gives."""

    seen: Mapping[int, Sighting]
    templates: Templates = field(default=())


People = dict[str, list[Portrait]]


def read_people(looker: Looker, data: Path) -> People:
    """The pairs' public figures who are in no household, as the engines see them."""
    with (data / "home" / "manifest.csv").open(newline="") as table:
        known = {row["identity"] for row in csv.DictReader(table)}
    paths: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((data / "pairs" / "lfw").glob("*/*.jpg")):
        if path.parent.name not in known:
            paths[path.parent.name].append(path)
    return {name: [look(looker, path, enroll=len(of) > 1) for path in of] for name, of in paths.items()}


def look(looker: Looker, path: Path, *, enroll: bool) -> Portrait:
    picture = looker.open(path)
    seen = {kernel: looker.look(picture, Privacy(method="gaussian", parameter=kernel)) for kernel in KERNELS}
    return Portrait(
        seen={kernel: sighting for kernel, sighting in seen.items() if sighting is not None},
        templates=looker.enroll(picture) if enroll else (),
    )


def measure_whitening(people: People) -> Whitening:
    """The inverse root of the covariance that a person's faces have among themselves, over all kernel sizes."""
    dimension = next(iter(next(iter(people.values()))[0].seen.values())).vector.shape[0]
    scatter, freedom = np.zeros((dimension, dimension)), 0
    for portraits in people.values():
        if len(portraits) > 1:
            rows = np.stack([one.vector for portrait in portraits for one in portrait.seen.values()]).astype(np.float64)
            centered = rows - rows.mean(axis=0)
            scatter += centered.T @ centered
            freedom += len(rows) - 1
    values, vectors = np.linalg.eigh(scatter / freedom)
    values = (1 - SHRINK) * values + SHRINK * values.mean()
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return np.asarray(root * dimension / np.trace(root), dtype=np.float16).astype(np.float32)


def make_templates(people: People, names: Sequence[str], lightest: float = 0.0) -> list[Template]:
    """What a household of ``names`` has enrolled, without the templates that are lighter than ``lightest``."""
    return [
        Template(face_id=f"{name} {number}", person_id=name, level=level, vector=vector)
        for name in names
        for number, portrait in enumerate([one for one in people[name] if one.templates][:PICTURES])
        for level, vector in portrait.templates
        if lightest == 0 or level.relative >= lightest - HALF_A_RUNG
    ]


def draw_households(people: People, seed: int) -> list[list[str]]:
    residents = sorted(name for name, of in people.items() if sum(bool(one.templates) for one in of) >= 2)
    rng = np.random.default_rng(seed)
    return [[str(name) for name in rng.choice(residents, PEOPLE, replace=False)] for _ in range(HOUSEHOLDS)]


def strangers_of(people: People) -> list[Portrait]:
    return [portraits[0] for portraits in people.values() if len(portraits) == 1]


def whitened(templates: Sequence[Template], model: ScoreModel) -> LevelMatchedGallery:
    vectors = model.whiten(np.stack([template.vector for template in templates]))
    return LevelMatchedGallery(replace(one, vector=vector) for one, vector in zip(templates, vectors, strict=True))


def search(
    galleries: Sequence[LevelMatchedGallery], model: ScoreModel, probes: Sequence[Sighting]
) -> list[list[float]]:
    """The scores of each probe with everybody of each household."""
    vectors = [(model.whiten(probe.vector), probe.level) for probe in probes]
    return [
        [candidate.score for candidate in gallery.search(vector, level)]
        for gallery in galleries
        for vector, level in vectors
    ]


def own_scores(people: People, model: ScoreModel, kernel: int) -> Iterator[float]:
    """The score of each picture of a person with their other ones."""
    for name, portraits in people.items():
        enrolled = [portrait for portrait in portraits if portrait.templates]
        for probe in enrolled if len(enrolled) > 1 else ():
            if kernel in probe.seen:
                rest = make_templates({name: [one for one in enrolled if one is not probe]}, [name])
                sighting = probe.seen[kernel]
                yield whitened(rest, model).search(model.whiten(sighting.vector), sighting.level)[0].score


def fit_tail(scores: Sequence[float]) -> tuple[float, float]:
    """Mean and deviation of the normal distribution whose upper tail is that of the scores."""
    reached = np.quantile(scores, [1 - share for share in TAIL])
    deviation, mean = np.polyfit([UNIT.inv_cdf(1 - share) for share in TAIL], reached, 1)
    return float(mean), float(deviation)


def print_curves(halves: Sequence[tuple[People, ScoreModel]]) -> None:
    print(f"{'k':>3}{'r':>8} | strangers: mean  sd    1 %  0.1 % 0.01 % | same: mean  sd | pairs: mean  sd | lightest")
    for kernel in KERNELS:
        scores: list[float] = []
        near: dict[float, list[float]] = {lightest: [] for lightest in LIGHTEST}
        own: list[float] = []
        pairs: list[float] = []
        strengths: list[float] = []
        for seed, (people, model) in enumerate(halves):
            probes = [one.seen[kernel] for one in strangers_of(people) if kernel in one.seen]
            strengths += [probe.level.relative for probe in probes]
            households = draw_households(people, seed)
            galleries = [whitened(make_templates(people, names), model) for names in households]
            scores += [score for row in search(galleries, model, probes) for score in row]
            for lightest in LIGHTEST:
                blurred = [whitened(make_templates(people, names, lightest), model) for names in households]
                near[lightest] += [max(row) for row in search(blurred, model, probes)]
            own += own_scores(people, model, kernel)
            vectors = np.stack([probe.vector for probe in probes])
            pairs += list((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)])
        mean, deviation = fit_tail(scores)
        best = mean + deviation * UNIT.inv_cdf(1 - 0.01 / PEOPLE)
        own = sorted(own)[len(own) // 50 :]  # a fiftieth: wrong labels and wrong faces
        print(
            f"{kernel:3}{np.mean(strengths):8.4f} | {mean:14.4f}{deviation:7.4f}"
            + "".join(f"{np.quantile(scores, 1 - share):7.3f}" for share in (0.01, 0.001, 0.0001))
            + f" | {np.mean(own):9.3f}{np.std(own):6.3f} | {np.mean(pairs):10.3f}{np.std(pairs):6.3f} |"
            + "".join(f"{np.quantile(near[lightest], 0.99) - best:+7.3f}" for lightest in LIGHTEST),
            flush=True,
        )


def print_rates(halves: Sequence[tuple[People, ScoreModel]]) -> None:
    """The share of strangers who are named, in percent, by people whom nothing was calibrated on."""
    print(f"\n{'naming':12}{'asked for':>10}" + "".join(f"{f'k={kernel}':>8}" for kernel in KERNELS))
    for naming in Naming:
        rules = DecisionRules(naming=naming)
        named: dict[int, list[bool]] = defaultdict(list)
        for seed, (people, model) in enumerate(halves):
            rankings = [
                Ranking(make_templates(people, names), model, rules) for names in draw_households(people, seed + 10)
            ]
            for kernel in KERNELS:
                named[kernel] += [
                    decide(ranking.rank(seen.vector, seen.strength), rules).person_id is not None
                    for ranking in rankings
                    for one in strangers_of(people)
                    if (seen := one.seen.get(kernel)) is not None
                ]
        print(f"{naming:12}{100 * naming.rate:10.2f}" + "".join(f"{100 * np.mean(named[k]):8.2f}" for k in KERNELS))


def split(people: People, seed: int = 1) -> tuple[People, People]:
    names = np.random.default_rng(seed).permutation(sorted(people))
    first = set(names[: len(names) // 2])
    return (
        {name: of for name, of in people.items() if name in first},
        {name: of for name, of in people.items() if name not in first},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/manifest.csv and pairs/")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    parser.add_argument("--cache", type=Path, help="keep embeddings there, for a second run")
    parser.add_argument("--write", type=Path, metavar="NPY", help="write the whitening of all people there")
    arguments = parser.parse_args()
    process = Process(engines=load_engines(EngineSettings(), WeightsStore(arguments.models)), bar=OPEN_BAR)
    cache: Cache = NoCache() if arguments.cache is None else FolderCache(arguments.cache)
    people = read_people(Looker(process=process, cache=cache), arguments.data)
    model = score_model(process.engines.contract, process.engines.recognizer.verification_threshold)
    first, second = split(people)
    halves = [
        (first, model.whitened_by(measure_whitening(second))),
        (second, model.whitened_by(measure_whitening(first))),
    ]
    print(f"{len(people)} people, {sum(map(len, people.values()))} pictures, {len(strangers_of(people))} strangers")
    print_curves(halves)
    print_rates(halves)
    if arguments.write is not None:
        np.save(arguments.write, measure_whitening(people).astype(np.float16))


if __name__ == "__main__":
    main()
