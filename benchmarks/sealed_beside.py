"""What a backend could work out that has a household's templates of both kinds: sealed ones, and those of pictures.

The people of a directory (a folder each) are enrolled on both sides: from the same files, from the same files with the
clear template of each alone, and from other files. An attacker inside of the backend
fits the user side's matrix to the two kinds, undoes it, and searches other people's sealed templates in a gallery of
clear pictures of everybody, as in benchmarks/sealed.py. Prints rank-1, the mean of several keys.

    .venv/bin/python benchmarks/sealed_beside.py --pairs FILE --people DIR --models DIR --cache DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from privface_backend.core import load_engines
from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.faces import Vector, Vectors
from privface_backend.domain.privacy import LADDER
from privface_backend.domain.score_models import score_model
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.cache import FolderCache
from privface_backend.evaluation.sightings import OPEN_BAR, Looker
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.process import Process
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import EngineNames
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.user_side import Seal
from privface_backend.settings_sections import EngineSettings
from sealed import look, rank_1

KEYS = 10
HOUSEHOLDS = (2, 4, 6)
PICTURES = 3
"""So many of each person are enrolled on each side."""

Enrolled = Sequence[Sequence[Vector]]
"""The templates of pictures; of each, the clear one first."""


def represent(process: Process, folder: Path) -> Enrolled:
    """The templates of the first usable pictures of a person, enough for both sides."""
    found: list[Sequence[Vector]] = []
    for path in sorted(folder.glob("*.jpg")):
        pixels = cv2.imread(str(path))
        if pixels is None or len(found) == 2 * PICTURES:
            continue
        try:
            face = enroll(
                process,
                np.asarray(pixels, dtype=np.uint8),
                claimed=None,
                choice=FaceChoice(largest=True),
                ladder=LADDER,
                bar=EnrollmentBar(),
            )
        except PrivFaceError:
            continue
        found.append([vector for _, vector in sorted(face.vectors, key=lambda one: one[0].relative)])
    return found


def fit(clear: Vectors, sealed: Vectors) -> NDArray[np.float64]:
    """The orthonormal matrix that turns one best into the other."""
    left, _, right = np.linalg.svd(sealed.T.astype(np.float64) @ clear.astype(np.float64))
    return np.asarray(left @ right)


def attack(
    pairs: Sequence[tuple[Vector, Vector]], seal: Seal, model: ScoreModel, everybody: tuple[Vectors, Vectors]
) -> float:
    """Rank-1 of everybody's sealed probes, once the matrix is fitted to ``pairs`` of a clear face and a sealed one."""
    gallery, probes = everybody
    clear = model.whiten(np.stack([one for one, _ in pairs]))
    matrix = fit(clear, np.stack([seal(other) for _, other in pairs]))
    sealed = np.stack([seal(probe) for probe in probes])
    return rank_1((sealed @ matrix).astype(np.float32), model.whiten(gallery))


def pair_up(people: Sequence[Enrolled]) -> dict[str, list[tuple[Vector, Vector]]]:
    """What the attacker has, by how the household was enrolled."""
    same = [(one, one) for person in people for picture in person[:PICTURES] for one in picture]
    clear_only = [(picture[0], picture[0]) for person in people for picture in person[:PICTURES]]
    other = [
        pair
        for person in people
        for one, another in zip(person[:PICTURES], person[PICTURES:], strict=True)
        for pair in zip(one, another, strict=False)
    ]
    return {"the same files": same, "the same files, no ladder": clear_only, "other files": other}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--pairs", "--people", "--models", "--cache"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args()
    engines = load_engines(EngineSettings(), WeightsStore(arguments.models))
    process = Process(engines=engines, bar=OPEN_BAR)
    everybody = look(Looker(process=process, cache=FolderCache(arguments.cache)), arguments.pairs)
    contract, threshold = engines.contract, engines.recognizer.verification_threshold
    terms = SealedTerms(contract=contract, engine=EngineNames(detector="", recognizer=""), threshold=threshold)
    model = score_model(contract, threshold)
    folders = sorted(path for path in arguments.people.iterdir() if path.is_dir())
    people = [found for folder in folders if len(found := represent(process, folder)) == 2 * PICTURES]
    print(f"{len(everybody[0])} people are searched; chance: {1 / len(everybody[0]):.2%}; {KEYS} keys")
    for count in HOUSEHOLDS:
        for way, pairs in pair_up(people[:count]).items():
            seals = [Seal(terms, MasterKey.generate()) for _ in range(KEYS)]
            rate = float(np.mean([attack(pairs, seal, model, everybody) for seal in seals]))
            print(f"{count} people, {PICTURES} pictures each, {way} ({len(pairs)} pairs): {rate:.1%}", flush=True)


if __name__ == "__main__":
    main()
