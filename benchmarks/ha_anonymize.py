"""What anonymizing costs inside Home Assistant: numpy and Pillow alone, on its executor's threads.

(a) the blur of one frame beside ``cv2.GaussianBlur``, in interleaved pairs; (b) the whole way of one frame, from a
camera's file to the file that leaves; (c) how late the event loop gets its turn while ten cameras send, beside the same
loop without them. Prints medians, ratios and the longest delay.

    .venv/bin/python benchmarks/ha_anonymize.py
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from privface_backend.domain.frames import Pixels

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.component import load_package

component = load_package("anonymize")

KERNEL = 17
FRAME = (1280, 720)
WORKERS = 64  # Home Assistant's own number of threads


def make_frame(size: tuple[int, int], seed: int = 1) -> Pixels:
    """A frame that compresses as a camera's does: smooth areas with some noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (size[1] // 40, size[0] // 40, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = np.clip(smooth + random.integers(-6, 7, smooth.shape), 0, 255)
    return np.asarray(noisy, dtype=np.uint8)


def encode(pixels: Pixels, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_blur(rounds: int) -> None:
    """Interleaved, so that whatever else the machine does falls on both."""
    frame, method = make_frame(FRAME), component.METHODS["gaussian"]
    assert (method.apply(frame, KERNEL) == cv2.GaussianBlur(frame, (KERNEL, KERNEL), 0)).all()
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(seconds(lambda: cv2.GaussianBlur(frame, (KERNEL, KERNEL), 0)))
        ours.append(seconds(lambda: method.apply(frame, KERNEL)))
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    print(f"blur of {FRAME[0]}x{FRAME[1]}, k = {KERNEL}, {rounds} pairs")
    print(f"  cv2.GaussianBlur, {cv2.getNumThreads()} threads             {statistics.median(theirs) * 1000:8.2f} ms")
    print(f"  the component, 1 thread                 {statistics.median(ours) * 1000:8.2f} ms")
    print(f"  the component / cv2.GaussianBlur        {ratio:8.2f}")


def time_whole(rounds: int) -> None:
    print("from a camera's file to the file that leaves, longest side 640")
    for (width, height), kind, method, parameter in (
        ((1280, 720), "JPEG", "gaussian", 17),
        ((1280, 720), "JPEG", "gaussian", 33),
        ((1280, 720), "JPEG", "pixelate", 10),
        ((1920, 1080), "JPEG", "gaussian", 17),
        ((3840, 2160), "JPEG", "gaussian", 17),
        ((1920, 1080), "PNG", "gaussian", 17),
    ):
        data, strength = (
            encode(make_frame((width, height)), kind),
            component.Strength(method=method, parameter=parameter),
        )
        figures = [seconds(partial(component.anonymize, data, strength)) for _ in range(rounds)]
        title = f"{width}x{height} {kind}, {method} {parameter}"
        print(f"  {title:40}{statistics.median(figures) * 1000:8.2f} ms")


async def watch(stop: asyncio.Event, pause: float = 0.005) -> list[float]:
    """How much later than asked for the loop came back, each time, in seconds."""
    loop, delays = asyncio.get_running_loop(), []
    while not stop.is_set():
        start = loop.time()
        await asyncio.sleep(pause)
        delays.append(loop.time() - start - pause)
    return delays


async def send(camera: bytes, pool: ThreadPoolExecutor, rate: float, until: float) -> list[float]:
    """A camera: a frame is anonymized ``rate`` times a second, all cameras at the same moments."""
    loop, figures = asyncio.get_running_loop(), []
    due = loop.time()
    while due < until:
        await asyncio.sleep(max(0.0, due - loop.time()))
        start = loop.time()
        strength = component.Strength(method="gaussian", parameter=KERNEL)
        await loop.run_in_executor(pool, partial(component.anonymize, camera, strength))
        figures.append(loop.time() - start)
        due = max(due + 1 / rate, loop.time())
    return figures


async def watch_loop(cameras: list[bytes], rate: float, length: float) -> tuple[list[float], list[float]]:
    stop = asyncio.Event()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="SyncWorker") as pool:
        watcher = asyncio.create_task(watch(stop))
        until = asyncio.get_running_loop().time() + length
        figures = await asyncio.gather(*(send(camera, pool, rate, until) for camera in cameras))
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
        stop.set()
        return await watcher, [figure for of_camera in figures for figure in of_camera]


async def measure_loop(count: int, length: float) -> None:
    frames = [encode(make_frame((1920, 1080), seed), "JPEG") for seed in range(count)]
    stills = [encode(make_frame((1920, 1080), seed), "PNG") for seed in range(count)]
    print(f"the event loop's delay in {length:.0f} s, 1920x1080")
    print(f"  {'':40}{'median':>8}   {'99.9 %':>8}   {'longest':>8}   {'a frame':>8}")
    for title, cameras, rate in (
        ("no camera", [], 1.0),
        (f"{count} cameras, JPEG, 1 frame/s each", frames, 1.0),
        ("no camera", [], 1.0),
        (f"{count} cameras, JPEG, as fast as they can", frames, 1000.0),
        (f"{count} cameras, PNG, 1 frame/s each", stills, 1.0),
        ("no camera", [], 1.0),
    ):
        delays, figures = await watch_loop(cameras, rate, length)
        low, high, longest = statistics.median(delays), float(np.percentile(delays, 99.9)), max(delays)
        frame = f"{statistics.median(figures) * 1000:8.0f} ms" if figures else ""
        print(f"  {title:40}{low * 1000:8.2f}   {high * 1000:8.2f}   {longest * 1000:8.2f} ms{frame}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    compare_blur(arguments.rounds)
    time_whole(max(5, arguments.rounds // 5))
    asyncio.run(measure_loop(arguments.cameras, arguments.seconds))


if __name__ == "__main__":
    main()
