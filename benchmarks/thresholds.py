"""The thresholds of ``domain/thresholds.py``, measured: how alike strangers are to somebody of a household, by r.

Random households of people who have three or more pictures in the pairs' folder and are in no household of
``home/``; strangers are people with one picture there. Each stranger is blurred to each strength r of the ladder and
searched in each household. Prints, for each r, the mean and deviation of the best score, and the scores that 1 % and
0.1 % of strangers reach; then the same 0.1 % for households whose lightest templates are of each strength, as where
pictures are anonymized before they are enrolled, and in brackets by how much it passes the shipped threshold for
faces with clear templates.

    .venv/bin/python benchmarks/thresholds.py ../shared/data
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from privface_backend.domain.thresholds import threshold_curve

from privface_backend.core import load_engines
from privface_backend.domain.frames import working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.privacy import LADDER, kernel_of_sigma
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.sightings import OPEN_BAR, OPEN_ENROLLMENT, find_subject
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.enrollment import FaceChoice, enroll
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import ObservedFace, Process, Stopwatch, resize
from privface_backend.protocol import Privacy
from privface_backend.settings import EngineSettings

HOUSEHOLDS, PEOPLE, PICTURES = 16, 8, 3
LIGHTEST = (0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1)
HALF_A_RUNG = 0.0025


def read_people(data: Path) -> dict[str, list[Path]]:
    """Pictures by person, of the pairs' public figures who are in no household."""
    with (data / "home" / "manifest.csv").open(newline="") as table:
        known = {row["identity"] for row in csv.DictReader(table)}
    people: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((data / "pairs" / "lfw").glob("*/*.jpg")):
        if path.parent.name not in known:
            people[path.parent.name].append(path)
    return people


def make_templates(process: Process, person: str, paths: list[Path]) -> list[Template]:
    templates = []
    for path in paths[:PICTURES]:
        pixels = decode_picture(path.read_bytes(), PictureLimits())
        try:
            face = enroll(process, pixels, claimed=None, choice=FaceChoice(largest=True), bar=OPEN_ENROLLMENT)
        except PrivFaceError:
            continue
        templates += [
            Template(face_id=path.name, person_id=person, level=level, vector=vector) for level, vector in face.vectors
        ]
    return templates


def look_at_strengths(process: Process, path: Path) -> dict[float, ObservedFace]:
    """The stranger's face at each strength of the ladder, as far as it is found."""
    decoded = decode_picture(path.read_bytes(), PictureLimits())
    pixels = resize(decoded, working_size(Size(decoded.shape[1], decoded.shape[0]), process.longest))

    def look(kernel: int) -> ObservedFace | None:
        watch = Stopwatch()
        frame = process.anonymize(pixels, None, Privacy(method="gaussian", parameter=kernel), watch)
        faces = [face for face in process.look(frame, watch).faces if face.vector is not None]
        return find_subject(faces) if faces else None

    clear = look(1)
    if clear is None:
        return {}
    seen = {r: look(kernel_of_sigma(r * clear.face.width)) for r in LADDER}
    return {0.0: clear, **{r: face for r, face in seen.items() if face is not None}}


def search(
    galleries: Sequence[LevelMatchedGallery], strangers: Sequence[dict[float, ObservedFace]], r: float
) -> list[float]:
    """The best score of each stranger at strength r in each household."""
    return [
        gallery.search(face.vector, face.level)[0].score
        for gallery in galleries
        for stranger in strangers
        if (face := stranger.get(r)) is not None and face.vector is not None
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/manifest.csv and pairs/")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    arguments = parser.parse_args()
    process = Process(engines=load_engines(EngineSettings(), WeightsStore(arguments.models)), bar=OPEN_BAR)
    people = read_people(arguments.data)
    residents = [name for name, paths in people.items() if len(paths) >= PICTURES]
    templates = {name: make_templates(process, name, people[name]) for name in residents}
    strangers = [look_at_strengths(process, paths[0]) for paths in people.values() if len(paths) == 1]
    rng = np.random.default_rng(0)
    households = [
        [one for name in rng.choice(residents, PEOPLE, replace=False) for one in templates[name]]
        for _ in range(HOUSEHOLDS)
    ]
    galleries = [LevelMatchedGallery(household) for household in households]
    print(f"{len(residents)} residents, {len(strangers)} strangers, {HOUSEHOLDS} households of {PEOPLE}")
    print(f"{'r':>6}{'searches':>10}{'mean':>8}{'sd':>8}{'1 %':>8}{'0.1 %':>8}")
    for r in (0.0, *LADDER):
        best = search(galleries, strangers, r)
        print(
            f"{r:6.3f}{len(best):10}{np.mean(best):8.3f}{np.std(best):8.3f}"
            f"{np.quantile(best, 0.99):8.3f}{np.quantile(best, 0.999):8.3f}"
        )
    curve = threshold_curve(process.engines.contract, process.engines.recognizer.verification_threshold)
    print("\n0.1 %, by the strength of the lightest templates (across) and of the probe (down)")
    print(f"{'r':>6}" + "".join(f"{lightest:16.3f}" for lightest in LIGHTEST))
    without = [
        [
            LevelMatchedGallery([one for one in household if one.level.relative >= lightest - HALF_A_RUNG])
            for household in households
        ]
        for lightest in LIGHTEST
    ]
    for r in (0.0, *LADDER):
        reached = [float(np.quantile(search(kept, strangers, r), 0.999)) for kept in without]
        print(f"{r:6.3f}" + "".join(f"{score:7.3f} ({score - curve.at(r):+.3f})" for score in reached))


if __name__ == "__main__":
    main()
