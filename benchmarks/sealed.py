"""What a sealed template gives away: an attacker searches it in a gallery of clear pictures of everybody.

Of each person in a manifest of pairs (docs/EVALUATION.md) one picture is the attacker's, another the probe. Prints
rank-1 of the clear probe, of the sealed probe for an attacker without the key, without and with the whitening that
everybody knows, and for one with another key; and chance. Then the largest difference between the similarities of two
sealed templates and of the two before.

    .venv/bin/python benchmarks/sealed.py --pairs FILE --models DIR --cache DIR
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from privface_backend.core import load_engines
from privface_backend.domain.faces import Vectors
from privface_backend.domain.score_models import score_model
from privface_backend.evaluation.cache import FolderCache
from privface_backend.evaluation.manifests import read_pairs
from privface_backend.evaluation.sightings import OPEN_BAR, Looker
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Process
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import EngineNames, Privacy
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.user_side import Seal
from privface_backend.settings_sections import EngineSettings

CLEAR = Privacy(method="gaussian", parameter=1)
MOST_DIFFERENCE = 1e-5
KEYS = 20
"""So many keys are tried, as one alone could be lucky."""


def look(looker: Looker, manifest: Path) -> tuple[Vectors, Vectors]:
    """The attacker's pictures and the probes, a row a person each."""
    people = {pair.first: pair for pairs in read_pairs(manifest) for pair in pairs.pairs if pair.same}
    found = []
    for pair in people.values():
        seen = [looker.look(looker.open(path), CLEAR) for path in (pair.path_a, pair.path_b)]
        if None not in seen:
            found.append([sighting.vector for sighting in seen if sighting is not None])
    return np.stack([first for first, _ in found]), np.stack([second for _, second in found])


def rank_1(probes: Vectors, gallery: Vectors) -> float:
    """The share of probes whose most similar row is their own."""
    return float(((probes @ gallery.T).argmax(axis=1) == np.arange(len(probes))).mean())


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    engines = load_engines(EngineSettings(), WeightsStore(arguments.models))
    looker = Looker(process=Process(engines=engines, bar=OPEN_BAR), cache=FolderCache(arguments.cache))
    gallery, probes = look(looker, arguments.pairs)
    contract, threshold = engines.contract, engines.recognizer.verification_threshold
    terms = SealedTerms(contract=contract, engine=EngineNames(detector="", recognizer=""), threshold=threshold)
    model = score_model(contract, threshold)
    whitened = model.whiten(gallery), model.whiten(probes)
    found = defaultdict(list)
    difference = 0.0
    for _ in range(KEYS):
        own, other = (Seal(terms, MasterKey.generate()) for _ in range(2))
        sealed = np.stack([own(probe) for probe in probes])
        enrolled = np.stack([own(face) for face in gallery])
        found["sealed, without the key"].append(rank_1(sealed, gallery))
        found["sealed, without the key, whitened"].append(rank_1(sealed, whitened[0]))
        found["sealed, with another key"].append(rank_1(sealed, np.stack([other(face) for face in gallery])))
        found["sealed, with the key"].append(rank_1(sealed, enrolled))
        difference = max(difference, float(np.abs(sealed @ enrolled.T - whitened[1] @ whitened[0].T).max()))
    print(f"{len(probes)} people; chance: {1 / len(probes):.2%}; {KEYS} keys")
    print(f"clear: {rank_1(probes, gallery):.1%}")
    for name, rates in found.items():
        print(f"{name}: {np.mean(rates):.2%} ({min(rates):.2%} to {max(rates):.2%})")
    print(f"largest difference of a similarity: {difference:.1e} (at most {MOST_DIFFERENCE:g})")
    return difference <= MOST_DIFFERENCE


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
