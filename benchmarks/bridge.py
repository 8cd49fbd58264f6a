"""What the bridge costs: a frame's way from a topic to the backend, against its picture work alone; resident memory.

Starts a Mosquitto, `privface bridge` as a process of its own, and an HTTP server that takes frames. Prints the median
of the ratios, pair by pair, and the bridge's resident memory while pictures of 1280x720 flow from several cameras.

    .venv/bin/python benchmarks/bridge.py
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiomqtt
import numpy as np
import psutil
from aiohttp import web
from PIL import Image

from privface_backend.bridge.jpeg import encode_picture
from privface_backend.pipeline.anonymizing import anonymize
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.plugins.ports import Anonymizer, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.plugins.weightless import NoWeights
from privface_backend.protocol import AppliedBy, Privacy

KERNEL: Final = 17
WANTED: Final = Privacy(parameter=KERNEL)
SIZE: Final = (1280, 720)
MOST_RATIO: Final = 3.0
MOST_MIB: Final = 150.0
_PATIENCE: Final = 30.0


def make_picture(seed: int) -> bytes:
    """A JPEG of noise in several sizes, about as large as a camera's."""
    noise = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(noise.integers(0, 256, (SIZE[1] // cell, SIZE[0] // cell, 3), np.uint8)).resize(SIZE)
        )
        for cell in (4, 16, 80)
    ]
    file = io.BytesIO()
    Image.fromarray(np.mean(layers, axis=0).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def broker(directory: Path) -> Iterator[int]:
    """A Mosquitto on a free port."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("Mosquitto is not installed: apt-get install mosquitto")
    port, config = free_port(), directory / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n{user}")
    process = subprocess.Popen(  # noqa: S603  # the program that was found above
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    sys.exit("the broker doesn't start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many frames, a second so many of them, by turns from so many cameras."""

    frames: int
    cameras: int
    rate: float


class Backend:
    """Takes frames, and says when one has come."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived: asyncio.Queue[float] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self.arrived.put_nowait(time.perf_counter())
        return web.json_response({})

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/api/v1/cameras/{camera}/frames", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()


@contextlib.contextmanager
def bridge(directory: Path, url: str, port: int, cameras: int) -> Iterator[psutil.Process]:
    """`privface bridge` with so many cameras, each on a topic of its own."""
    config = directory / "privface.yaml"
    feeds = "".join(f"  cam{number}: {{topic: shots/{number}, interval: 0.02}}\n" for number in range(cameras))
    config.write_text(
        f"bridge: {{backend: '{url}', id: bench}}\nmqtt: {{host: 127.0.0.1, port: {port}}}\ncameras:\n{feeds}"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRIVFACE_")}
    command = [sys.executable, "-m", "privface_backend", "bridge", "--config", str(config), "--log-level", "error"]
    process = subprocess.Popen(  # noqa: S603  # this interpreter
        [*command, "--data-dir", str(directory)], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def picture_work(data: bytes, anonymizer: Anonymizer) -> float:
    """Seconds for decoding, bringing down, blurring and encoding, alone."""
    start = time.perf_counter()
    encode_picture(anonymize(decode_picture(data, PictureLimits(), 640), anonymizer, WANTED, AppliedBy.BRIDGE).pixels)
    return time.perf_counter() - start


async def way(client: aiomqtt.Client, backend: Backend, data: bytes) -> float:
    """Seconds from publishing a frame to the backend having it."""
    start = time.perf_counter()
    await client.publish("shots/0", data, qos=0)
    return await asyncio.wait_for(backend.arrived.get(), _PATIENCE) - start


async def wait_until_it_listens(client: aiomqtt.Client, backend: Backend, data: bytes) -> None:
    for _ in range(200):
        await client.publish("shots/0", data, qos=0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(backend.arrived.get(), 0.2)
            break
    await asyncio.sleep(0.5)
    while not backend.arrived.empty():
        backend.arrived.get_nowait()


async def measure_way(client: aiomqtt.Client, backend: Backend, pictures: list[bytes], pairs: int) -> float:
    anonymizer: Anonymizer = Registry().create(EngineKind.ANONYMIZER, "gaussian", EngineContext(weights=NoWeights()))
    ratios, alone, all_of_it = [], [], []
    for number in range(pairs):
        data = pictures[number % len(pictures)]
        took = await way(client, backend, data)
        work = await asyncio.to_thread(picture_work, data, anonymizer)
        if number >= 5:
            ratios.append(took / work)
            alone.append(work)
            all_of_it.append(took)
    ratio = statistics.median(ratios)
    print(f"decoding, blurring (k = {KERNEL}) and encoding alone: {statistics.median(alone) * 1000:6.1f} ms")
    print(f"from the topic to the backend:                    {statistics.median(all_of_it) * 1000:6.1f} ms")
    print(f"median ratio of {len(ratios)} pairs: {ratio:.2f} (at most {MOST_RATIO:g})")
    return ratio


async def measure_memory(
    client: aiomqtt.Client, backend: Backend, pictures: list[bytes], process: psutil.Process, load: Load
) -> float:
    """MiB at most, while ``load`` comes."""
    most, loop, begin, before = 0.0, asyncio.get_running_loop(), time.perf_counter(), backend.arrived.qsize()
    start = loop.time()
    for number in range(load.frames):
        await client.publish(f"shots/{number % load.cameras}", pictures[number % len(pictures)], qos=0)
        await asyncio.sleep(max(0.0, start + (number + 1) / load.rate - loop.time()))
        most = max(most, process.memory_info().rss / 2**20)
    rate = load.frames / (time.perf_counter() - begin)
    arrived = backend.arrived.qsize() - before
    print(f"{load.frames} frames, {rate:.0f} a second, topics: {load.cameras}; {arrived} arrived")
    print(f"resident memory of the bridge meanwhile, at most: {most:.0f} MiB (at most {MOST_MIB:g})")
    return most


async def run(pairs: int, frames: int, cameras: int) -> bool:
    pictures, backend = [make_picture(seed) for seed in range(8)], Backend()
    print(f"pictures of {SIZE[0]}x{SIZE[1]}, {statistics.mean(map(len, pictures)) / 1024:.0f} KiB in the mean")
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as port:
        async with backend.serve(), aiomqtt.Client("127.0.0.1", port) as client:
            with bridge(Path(folder), backend.url, port, cameras) as process:
                await wait_until_it_listens(client, backend, pictures[0])
                print(f"resident memory of the bridge, idle: {process.memory_info().rss / 2**20:.0f} MiB")
                ratio = await measure_way(client, backend, pictures, pairs)
                steady = Load(frames=frames, cameras=cameras, rate=50)
                memory = await measure_memory(client, backend, pictures, process, steady)
                flood = await measure_memory(client, backend, pictures, process, Load(frames=1000, cameras=1, rate=200))
    return ratio <= MOST_RATIO and max(memory, flood) <= MOST_MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--cameras", type=int, default=4)
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(run(arguments.pairs, arguments.frames, arguments.cameras)) else 1)


if __name__ == "__main__":
    main()
