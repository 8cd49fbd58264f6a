"""How often the check of a frame card's claim errs, on real frames, and what it costs.

Every third frame of the clips (``--phase``: which of three), and every still, is brought to the working size, looks as
cameras' frames do (as it is, dark, gray, with a burned-in clock, or enlarged by its sender), is anonymized as its card
claims and packed in one of several kinds of file: what is refused then is a false alarm. Every tenth frame comes with
wrong cards too: it is clear, or anonymized with half the parameter, or as claimed but for one face, or with a clock
drawn over it afterwards. Prints, by method and parameter, the share that is refused; false alarms with the upper end of
their 95 % confidence interval.
``--results`` keeps what was measured, so that an interrupted run goes on.

    .venv/bin/python benchmarks/claims.py ../shared/data --results claims.jsonl
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from PIL import Image

from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.claims.check import TESTS, excess_detail
from privface_backend.plugins.ports import Anonymizer, Detector, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights

CLAIMS: Final = (
    *(("gaussian", kernel) for kernel in (5, 7, 9, 13, 17, 25, 35, 51, 97)),
    *(("pixelate", cell) for cell in (2, 4, 8, 10, 16, 25)),
    *(("pixelate+noise", cell) for cell in (8, 16)),
)
A_FRAME: Final = 6
"""How many of the claims a frame is taken for; the next frame takes the next ones."""
FILES: Final = (
    ("JPEG", 95, "4:4:4"),
    ("JPEG", 75, "4:2:0"),
    ("PNG", 0, ""),
    ("JPEG", 90, "4:2:0"),
    ("JPEG", 85, "4:2:0"),
)
LOOKS: Final = ("plain", "clock", "dark", "plain", "gray", "plain", "enlarged")
EVERY: Final = 3
"""Of a clip's frames; neighbors hardly differ."""
WRONG_EVERY: Final = 10
TRUTHS: Final = ("as claimed", "clear", "half as strong", "a face clear", "a clock on top")
SMALLEST_FACE: Final = 24
Row = list[str | int | float]


@dataclass(frozen=True, kw_only=True)
class Means:
    """What frames are anonymized and faces found with."""

    anonymizers: dict[str, Anonymizer]
    detector: Detector

    @classmethod
    def load(cls) -> Means:
        registry, bare = Registry(), EngineContext(weights=NoWeights())
        models = Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models"))
        full = EngineContext(weights=WeightsStore(models))
        return cls(
            anonymizers={method: registry.create(EngineKind.ANONYMIZER, method, bare) for method in TESTS},
            detector=registry.create(EngineKind.DETECTOR, "opencv:yunet", full),
        )


def read_frames(data: Path, phase: int = 0) -> Iterator[tuple[str, Pixels]]:
    """Frames of the clips and all stills, by name, at the working size; in turns, so that a part is a sample of all."""
    clips = sorted(path for path in (data / "video").iterdir() if path.suffix in {".mp4", ".mov"})
    turns: list[Iterator[tuple[str, Pixels]]] = [_read_clip(clip, phase) for clip in clips]
    turns += [_read_stills(data, phase)] * len(clips)
    while turns:
        for one in tuple(turns):
            if (found := next(one, None)) is None:
                turns.remove(one)
            else:
                yield found


def _read_clip(path: Path, phase: int) -> Iterator[tuple[str, Pixels]]:
    with av.open(str(path)) as clip:
        for number, frame in enumerate(clip.decode(video=0)):
            if number % EVERY == phase:
                yield f"{path.name}:{number}", _fit(frame.to_ndarray(format="bgr24"))


def _read_stills(data: Path, phase: int) -> Iterator[tuple[str, Pixels]]:
    for path in sorted(path for path in data.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"}):
        yield f"{path.relative_to(data)}{f':{phase}' if phase else ''}", _fit(cv2.imread(str(path)))


def _fit(read: object) -> Pixels:
    pixels = np.asarray(read, dtype=np.uint8)
    return resize(pixels, working_size(Size(pixels.shape[1], pixels.shape[0])))


def look_like(pixels: Pixels, look: str) -> Pixels:
    """The clear frame as a camera may give it."""
    if look == "dark":
        return (pixels * 0.2).astype(np.uint8)
    if look == "gray":
        return np.repeat(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))[:, :, np.newaxis], 3, axis=2)
    return draw_clock(pixels) if look == "clock" else pixels


def draw_clock(pixels: Pixels) -> Pixels:
    """Date and time in white with a black edge, as cameras burn them in."""
    drawn = pixels.copy()
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(drawn, "2026-11-28 14:52:51", (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA)
    return drawn


def repack(pixels: Pixels, kind: tuple[str, int, str]) -> Pixels:
    """The frame as it comes out of a file of that kind."""
    name, quality, subsampling = kind
    if name == "PNG":
        return pixels
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, ::-1]).save(file, name, quality=quality, subsampling=subsampling)
    return np.ascontiguousarray(np.asarray(Image.open(file))[:, :, ::-1])


def measure(means: Means, number: int, clear: Pixels) -> Iterator[Row]:
    """The rows of one frame: truth, method, parameter, look, file, excess."""
    look, kind = LOOKS[number % len(LOOKS)], FILES[number % len(FILES)]
    shown = look_like(clear, look)
    chosen = [CLAIMS[(number * A_FRAME + step) % len(CLAIMS)] for step in range(A_FRAME)]
    wrong = number % WRONG_EVERY == 0
    face = _find_face(means.detector, clear) if wrong else None
    for method, parameter in chosen:
        anonymizer = means.anonymizers[method]
        done = anonymizer.apply(shown, parameter)
        sent = {"as claimed": _enlarge(done) if look == "enlarged" and method == "gaussian" else done}
        if wrong:
            sent["clear"] = shown
            sent["half as strong"] = anonymizer.apply(shown, _half(method, parameter))
            sent["a clock on top"] = draw_clock(done)
            if face is not None:
                sent["a face clear"] = done.copy()
                sent["a face clear"][face] = shown[face]
        for truth, pixels in sent.items():
            excess = excess_detail(repack(pixels, kind), method, parameter)
            if excess is not None:
                yield [truth, method, parameter, look, " ".join(map(str, kind)), round(excess, 4)]


def _half(method: str, parameter: int) -> int:
    return 2 * (parameter // 4) + 1 if method == "gaussian" else max(1, parameter // 2)


def _enlarge(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _find_face(detector: Detector, pixels: Pixels) -> tuple[slice, slice] | None:
    for face in detector.detect(pixels):
        box = face.box
        if box.width >= SMALLEST_FACE:
            left, top = max(0, round(box.x)), max(0, round(box.y))
            return slice(top, round(box.y + box.height)), slice(left, round(box.x + box.width))
    return None


def run(data: Path, results: Path | None, phase: int) -> list[Row]:
    """All rows; those of runs before are read, of other phases, too."""
    done: dict[str, list[Row]] = {}
    if results is not None and results.exists():
        for line in results.read_text().splitlines():
            name, rows = json.loads(line)
            done[name] = rows
    means = Means.load()
    with results.open("a") if results is not None else io.StringIO() as file:
        for number, (name, pixels) in enumerate(read_frames(data, phase), start=phase):
            if name not in done:
                done[name] = list(measure(means, number, pixels))
                file.write(json.dumps([name, done[name]]) + "\n")
                file.flush()
    print(f"{len(done)} frames")
    return list(itertools.chain.from_iterable(done.values()))


def upper_bound(errors: int, tries: int) -> float:
    """The upper end of the one-sided 95 % interval of a share (Clopper and Pearson), by bisection."""
    low, high = errors / tries, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below, term = 0.0, (1 - middle) ** tries
        for count in range(errors + 1):
            below += term
            term *= (tries - count) / (count + 1) * middle / (1 - middle)
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high


def print_rates(rows: Sequence[Row]) -> None:
    by_claim: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for truth, method, parameter, _, _, excess in rows:
        by_claim[str(method), int(parameter)][str(truth)].append(float(excess))
    print(f"{'card':<20}{'frames':>8}{'refused':>8}{'highest':>9}  " + "".join(f"{truth:>16}" for truth in TRUTHS[1:]))
    for (method, parameter), found in sorted(by_claim.items()):
        honest = found["as claimed"]
        caught = "".join(
            f"{sum(value > 1 for value in found[truth]) / len(found[truth]):>16.1%}" if found[truth] else f"{'-':>16}"
            for truth in TRUTHS[1:]
        )
        refused = sum(value > 1 for value in honest)
        print(f"{method} {parameter}".ljust(20) + f"{len(honest):>8}{refused:>8}{max(honest):>9.2f}  {caught}")
    for method in dict.fromkeys(method for method, _ in by_claim):
        honest = [value for key, found in by_claim.items() if key[0] == method for value in found["as claimed"]]
        alarms = sum(value > 1 for value in honest)
        bound = upper_bound(alarms, len(honest))
        print(f"{method}: {alarms} false alarms in {len(honest)} honest frames; below {bound:.6f} with 95 % confidence")


def print_cost(data: Path) -> None:
    clear = cv2.resize(next(read_frames(data))[1], (640, 360))
    pixels = np.asarray(cv2.GaussianBlur(clear, (9, 9), 0), dtype=np.uint8)
    for method, parameter in CLAIMS:
        seconds = []
        for _ in range(50):
            start = time.process_time()
            excess_detail(pixels, method, parameter)
            seconds.append(time.process_time() - start)
        print(f"{method} {parameter}: {statistics.median(seconds) * 1000:.2f} ms of one core for 640x360")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--phase", type=int, choices=range(EVERY), default=0, help="which frame of every three")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print_rates(run(options.data, options.results, options.phase))
    print_cost(options.data)


if __name__ == "__main__":
    main()
