"""Accuracy over privacy: open-set identification in each household, and pairs.

Rows: engine, alignment and gallery (templates of clear pictures only; level-matched by r; or sent: enrolled from
pictures that the sender blurred, each at k = 17, 25, 33, 49, 65 and 97); columns: the kernel size k of the blur. A
household's figure is TPIR at FPIR 1 %, faces not found counted as misses; the pairs'
is the 10-fold accuracy with pairs counted as wrong in which a face was not found. In percent.

    .venv/bin/python benchmarks/accuracy.py ../shared/data
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from privface_backend.core import load_engines
from privface_backend.domain.faces import Vector
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.matching import LevelMatchedGallery, Template
from privface_backend.domain.privacy import LADDER, PrivacyLevel
from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.measures import (
    NOT_FOUND,
    ProbeScore,
    cross_validated_accuracy,
    tpir_at_fpir,
)
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import ObservedFace, Process, Stopwatch, resize
from privface_backend.pipeline.versions import Version, enroll_versions
from privface_backend.protocol import AppliedBy, Privacy
from privface_backend.settings import EngineSettings

KERNELS = (1, 9, 17, 25, 33)
SENT_KERNELS = (17, 25, 33, 49, 65, 97)
FPIR = 0.01
# Every picture of the sets is enrolled and looked at: refusals would leave the others with an easier task.
OPEN_BAR = QualityBar(smallest=0, detection=0, strongest=9, turned=9)
OPEN_ENROLLMENT = EnrollmentBar(smallest=0, sharpness=0, detection=0)


@dataclass(frozen=True, kw_only=True)
class Picture:
    path: Path
    identity: str
    role: str


@dataclass(kw_only=True)
class Subject:
    """What the engines made of one set of pictures: the templates by gallery, and probes by k."""

    templates: dict[str, list[Template]] = field(default_factory=lambda: defaultdict(list))
    probes: dict[int, list[tuple[str, str, Vector | None, PrivacyLevel | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def read_households(data: Path) -> dict[str, list[Picture]]:
    households: dict[str, list[Picture]] = defaultdict(list)
    with (data / "home" / "manifest.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            households[row["household"]].append(
                Picture(path=data / "home" / row["path"], identity=row["identity"], role=row["role"])
            )
    return households


def look_at(process: Process, path: Path, kernel: int) -> tuple[Vector, PrivacyLevel] | None:
    """The embedding of the picture's subject at kernel size k."""
    pixels = decode_picture(path.read_bytes(), PictureLimits())
    watch = Stopwatch()
    frame = process.anonymize(pixels, None, Privacy(method="gaussian", parameter=kernel), watch)
    faces = [face for face in process.look(frame, watch).faces if face.vector is not None]
    if not faces:
        return None
    subject = find_subject(faces)
    assert subject.vector is not None
    return subject.vector, subject.level


def find_subject(faces: Sequence[ObservedFace]) -> ObservedFace:
    """Whom the picture is of: the surest of the faces that are at least half as large as the largest."""
    largest = max(face.face.box.area for face in faces)
    return max((face for face in faces if face.face.box.area >= largest / 2), key=lambda face: face.face.score)


def embed_household(process: Process, pictures: Sequence[Picture]) -> Subject:
    subject = Subject()
    for picture in pictures:
        if picture.role == "enrol":
            for gallery, represent in (("matched", enroll_clear), ("sent", enroll_sent)):
                try:
                    face = represent(process, decode_picture(picture.path.read_bytes(), PictureLimits()))
                except PrivFaceError as error:
                    print(f"not enrolled ({gallery}): {picture.path.name}: {error.code}", file=sys.stderr)
                    continue
                subject.templates[gallery] += [
                    Template(face_id=str(picture.path), person_id=picture.identity, level=level, vector=vector)
                    for level, vector in face.vectors
                ]
            continue
        for kernel in KERNELS:
            seen = look_at(process, picture.path, kernel)
            vector, level = seen if seen is not None else (None, None)
            subject.probes[kernel].append((picture.identity, picture.role, vector, level))
    subject.templates["clear"] = [template for template in subject.templates["matched"] if template.level.is_clear]
    return subject


def enroll_clear(process: Process, pixels: Pixels) -> RepresentedFace:
    return enroll(process, pixels, claimed=None, choice=FaceChoice(largest=True), ladder=LADDER, bar=OPEN_ENROLLMENT)


def enroll_sent(process: Process, pixels: Pixels) -> RepresentedFace:
    """The picture as a sender would blur it, at several strengths."""
    frame = resize(pixels, working_size(Size(pixels.shape[1], pixels.shape[0]), process.longest))
    blur = process.engines.anonymizer("gaussian").apply
    versions = [
        Version(
            load=partial(blur, frame, kernel),
            claimed=Privacy(method="gaussian", parameter=kernel, applied_by=AppliedBy.CLIENT),
        )
        for kernel in SENT_KERNELS
    ]
    return enroll_versions(process, versions, choice=FaceChoice(largest=True), bar=OPEN_ENROLLMENT).face


def identification(subject: Subject, templates: str) -> list[float]:
    """TPIR at FPIR 1 % for each k, in percent, with the gallery of that name."""
    gallery = LevelMatchedGallery(subject.templates[templates])
    figures = []
    for kernel in KERNELS:
        probes, strangers = [], []
        for identity, role, vector, level in subject.probes[kernel]:
            best = None if vector is None or level is None else gallery.search(vector, level)[0]
            score = NOT_FOUND if best is None else best.score
            if role == "probe":
                probes.append(ProbeScore(score=score, right=best is not None and best.person_id == identity))
            else:
                strangers.append(score)
        figures.append(100 * tpir_at_fpir(probes, strangers, FPIR))
    return figures


def verification(process: Process, data: Path) -> Iterator[tuple[str, list[float]]]:
    """10-fold accuracy for each k on each protocol's pairs, in percent."""
    protocols: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    with (data / "pairs" / "pairs.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            protocols[row["protocol"]].append((row["path_a"], row["path_b"], row["same"] == "1"))
    seen: dict[tuple[str, int], Vector | None] = {}

    def embed(path: str, kernel: int) -> Vector | None:
        if (path, kernel) not in seen:
            found = look_at(process, data / "pairs" / path, kernel)
            seen[path, kernel] = None if found is None else found[0]
        return seen[path, kernel]

    for protocol, pairs in protocols.items():
        figures = []
        for kernel in KERNELS:
            scores = []
            for first, second, _ in pairs:
                one, other = embed(first, kernel), embed(second, kernel)
                scores.append(NOT_FOUND if one is None or other is None else float(np.dot(one, other)))
            figures.append(100 * cross_validated_accuracy(scores, [same for *_, same in pairs])[0])
        yield protocol, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/manifest.csv and pairs/pairs.csv")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    parser.add_argument("--engine", action="append", help="detector+recognizer+aligner; may be repeated")
    parser.add_argument("--no-pairs", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    engines = arguments.engine or [
        "opencv:yunet+deepface:SFace+five-point",
        "opencv:yunet+deepface:SFace+deepface",
        "deepface:yunet+deepface:SFace+deepface",
        "deepface:opencv+deepface:SFace+deepface",
    ]
    rows: list[dict[str, object]] = []
    print(f"{'set':28}{'engine':46}{'gallery':9}" + "".join(f"{f'k={kernel}':>8}" for kernel in KERNELS))
    for name in engines:
        detector, recognizer, aligner = name.split("+")
        settings = EngineSettings(detector=detector, recognizer=recognizer, aligner=aligner)
        process = Process(engines=load_engines(settings, WeightsStore(arguments.models)), bar=OPEN_BAR)
        results: list[tuple[str, str, list[float]]] = []
        for household, pictures in read_households(arguments.data).items():
            subject = embed_household(process, pictures)
            results += [
                (household, gallery, identification(subject, gallery)) for gallery in ("clear", "matched", "sent")
            ]
        if not arguments.no_pairs:
            results += [(protocol, "-", figures) for protocol, figures in verification(process, arguments.data)]
        for subject_set, gallery, figures in results:
            print(f"{subject_set:28}{name:46}{gallery:9}" + "".join(f"{figure:8.1f}" for figure in figures), flush=True)
            rows.append(
                {"set": subject_set, "engine": name, "gallery": gallery, "kernels": KERNELS, "figures": figures}
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"schema": 1, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
