"""What the pipeline costs beyond its engines, and what the same work costs in ``DeepFace.find``.

For each frame, one after the other in one run: (a) the engines alone, called by hand on the same pixels; (b) the
whole pipeline through the lane, from pixels and from the file's bytes; (c) ``DeepFace.find`` on the same weights,
detector and gallery directory. Prints medians a frame and ratios.

    .venv/bin/python benchmarks/overhead.py ../shared/data
    .venv/bin/python benchmarks/overhead.py ../shared/data --gallery 500     with more pictures of others enrolled
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from privface_backend.core import Core, open_core
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.engines.deepface_runtime import load_deepface
from privface_backend.gallery.folder import sync_folder
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import Process, Stopwatch
from privface_backend.protocol import Privacy
from privface_backend.settings_loading import load_settings

KERNEL = 17


def read_manifest(data: Path, household: str) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The pictures to enroll, with their people, and the probes."""
    enrolled, probes = [], []
    with (data / "home" / "manifest.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            path = data / "home" / row["path"]
            if row["household"] == household:
                if row["role"] == "enrol":
                    enrolled.append((row["identity"], path))
                else:
                    probes.append(path)
    return enrolled, probes


def fill(people: Path, data: Path, wanted: int) -> int:
    """Add pictures of others, each as a person, until the folder holds ``wanted``; returns how many it holds."""
    held = sum(path.is_file() for path in people.rglob("*"))
    here = {path.name for path in people.rglob("*.jpg")}
    others = (path for path in sorted(data.rglob("*.jpg")) if path.name not in here)
    for place, path in enumerate(itertools.islice(others, max(0, wanted - held))):
        (people / f"other {place}").mkdir()
        shutil.copy(path, people / f"other {place}")
    return sum(path.is_file() for path in people.rglob("*"))


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run_engines(process: Process, pixels: Pixels) -> None:
    """The engines' own work on a frame: anonymize, detect, align, represent. Nothing else."""
    engines = process.engines
    blurred = engines.anonymizers["gaussian"].apply(pixels, KERNEL)
    faces = engines.detector.detect(blurred)
    crops = [engines.aligner.align(blurred, face, process.template) for face in faces]
    engines.recognizer.represent(crops)


async def measure(core: Core, process: Process, files: list[bytes], find: Callable[[Pixels], Any]) -> None:
    claimed = Privacy(method="gaussian", parameter=KERNEL)
    figures: dict[str, list[float]] = {name: [] for name in ("decode", "engines", "pixels", "bytes", "find")}
    for data in files:
        decoded = decode_picture(data, PictureLimits(), process.longest)
        height, width = decoded.shape[:2]
        pixels = resize(decoded, working_size(Size(width, height), process.longest))
        frame = process.anonymize(pixels, None, claimed, Stopwatch()).pixels
        on_lane: dict[str, Callable[[], object]] = {
            "decode": partial(decode_picture, data, PictureLimits(), process.longest),
            "engines": partial(run_engines, process, pixels),
            "find": partial(find, frame),
        }
        for name, work in on_lane.items():
            figures[name].append(await core.lane.run(partial(seconds, work)))
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "pixels": partial(core.recognition.identify_pixels, pixels, default=claimed),
            "bytes": partial(core.recognition.identify, data, default=claimed),
        }
        for name, call in calls.items():
            start = time.perf_counter()
            await call()
            figures[name].append(time.perf_counter() - start)
    report({name: statistics.median(values[3:]) for name, values in figures.items()}, figures)


def report(median: dict[str, float], figures: dict[str, list[float]]) -> None:
    def paired(name: str, *peers: str) -> float:
        """The median over frames of one figure over the sum of others."""
        rows = zip(figures[name][3:], *(figures[peer][3:] for peer in peers), strict=True)
        return float(statistics.median(row[0] / sum(row[1:]) for row in rows))

    print(f"frames                                     {len(figures['engines']) - 3}")
    for name, text in (
        ("decode", "decoding the file"),
        ("engines", "engines alone"),
        ("pixels", "pipeline, from pixels"),
        ("bytes", "pipeline, from the file"),
        ("find", "DeepFace.find"),
    ):
        print(f"{text:42} {median[name] * 1000:7.1f} ms")
    print(f"pipeline from pixels / engines             {paired('pixels', 'engines'):7.3f}")
    print(f"pipeline from the file / engines + decoder {paired('bytes', 'engines', 'decode'):7.3f}")
    print(f"DeepFace.find / pipeline from pixels       {paired('find', 'pixels'):7.2f}")


async def run(data: Path, models: Path, household: str, frames: int, gallery: int) -> None:
    enrolled, probes = read_manifest(data, household)
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people"
        for person, path in enrolled:
            (people / person).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, people / person)
        print(f"pictures in the gallery's folder           {fill(people, data, gallery)}")
        settings = load_settings(environment={}, flags={"data_dir": f"{folder}/data", "models_dir": str(models)})
        async with open_core(settings) as core:
            await core.start_engines()
            async for _ in sync_folder(people, core.gallery, core.recognition.represent):
                pass
            deepface = await core.lane.run(lambda: load_deepface(core.weights.deepface_home))

            def find(pixels: Pixels) -> None:
                with redirect_stdout(io.StringIO()):
                    deepface.find(
                        img_path=pixels,
                        db_path=str(people),
                        model_name="SFace",
                        detector_backend="yunet",
                        enforce_detection=False,
                        silent=True,
                    )

            files = [path.read_bytes() for path in probes[:: max(1, len(probes) // (frames + 3))]][: frames + 3]
            await measure(core, core.recognition.process, files, find)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/manifest.csv")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    parser.add_argument("--household", default="caltech_ordinary_people")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--gallery", type=int, default=0, help="pictures to enroll at least, filled up with others")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.data, arguments.models, arguments.household, arguments.frames, arguments.gallery))


if __name__ == "__main__":
    main()
