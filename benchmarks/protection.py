"""What protecting the gallery costs: scores, the time to identify, to open, and to change the key.

Compares the same gallery in the database, sealed and projected, with one in memory that isn't. Prints the largest
difference of a score, the medians of identification in pairs that take turns, and how long `privface key rotate` takes.

    .venv-test/bin/python benchmarks/protection.py
    .venv-test/bin/python benchmarks/protection.py --templates 10000 --dimension 512
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.matching import Contract, LevelMatchedGallery, Template
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from privface_backend.engines.galleries.memory import MemoryGalleryStore
from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.plugins.ports import GalleryStore
from privface_backend.protection.keys import KeyFolder
from privface_backend.storage.database import Database

LEVELS = (CLEAR, *(PrivacyLevel("gaussian", relative) for relative in LADDER))
FACES_A_PERSON = 5


def vectors(count: int, dimension: int, seed: int) -> list[Vector]:
    drawn = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return list(normalized(drawn))


def enroll(store: GalleryStore, contract: Contract, templates: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    faces = -(-templates // len(LEVELS))
    with store.transaction():
        for number in range(faces):
            person = f"person-{number // FACES_A_PERSON}"
            if number % FACES_A_PERSON == 0:
                store.add_person(Person(id=person, name=person, created_at=moment))
            face = EnrolledFace(
                id=f"face-{number}",
                person_id=person,
                created_at=moment,
                source=f"{number}.jpg",
                folder="",
                picture_digest=str(number),
            )
            made = zip(LEVELS, vectors(len(LEVELS), contract.dimension, number), strict=True)
            store.add_face(
                face,
                contract,
                [Template(face_id=face.id, person_id=person, level=level, vector=vector) for level, vector in made],
            )


def seconds(gallery: LevelMatchedGallery, probes: list[Vector]) -> float:
    began = time.perf_counter()
    for probe in probes:
        gallery.search(probe, LEVELS[3])
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=31)
    given = parser.parse_args()
    contract = Contract(recognizer="benchmark", weights_digest="0" * 16, dimension=given.dimension, alignment="none")
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFolder(Path(folder) / "keys")
        database = Database(Path(folder) / "data" / "privface.db", keys)
        protected, plain = SqliteGalleryStore(database), MemoryGalleryStore()
        for store in (protected, plain):
            enroll(store, contract, given.templates)
        began = time.perf_counter()
        sealed_templates = protected.templates(contract)
        opening = time.perf_counter() - began
        one, other = LevelMatchedGallery(sealed_templates), LevelMatchedGallery(plain.templates(contract))
        probes = vectors(20, given.dimension, 10**6)
        scores = [
            [(found.person_id, found.score) for found in gallery.search(probe, LEVELS[3])]
            for gallery in (one, other)
            for probe in probes
        ]
        half = len(probes)
        worst = max(
            abs(dict(mine)[person] - score)
            for mine, theirs in zip(scores[:half], scores[half:], strict=True)
            for person, score in theirs
        )
        ratios = [seconds(one, probes) / seconds(other, probes) for _ in range(given.pairs)]
        began = time.perf_counter()
        database.rotate_key(keys)
        rotating = time.perf_counter() - began
        same = all(
            np.array_equal(before.vector, after.vector)
            for before, after in zip(sealed_templates, protected.templates(contract), strict=True)
        )
        database.close()
    count = len(sealed_templates)
    sys.stdout.write(
        f"{count} templates of {given.dimension} numbers\n"
        f"largest difference of a score, protected and not: {worst:g}\n"
        f"identification, protected over not: {statistics.median(ratios):.3f} (median of {given.pairs} pairs)\n"
        f"opening all templates at start: {opening:.2f} s\n"
        f"changing the key: {rotating:.2f} s; templates the same bits afterwards: {same}\n"
    )


if __name__ == "__main__":
    main()
