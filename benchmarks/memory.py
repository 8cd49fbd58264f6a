"""Resident memory of the default engines over many frames, as they come from a camera.

Prints the resident memory after 100, 500 and all frames, and what it grew by over the last half.

    .venv/bin/python benchmarks/memory.py ../shared/data
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import psutil

from privface_backend.app import open_backend
from privface_backend.protocol import FrameCard
from privface_backend.settings_loading import load_settings


def resident_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


async def run(data: Path, models: Path, frames: int) -> None:
    files = sorted((data / "home").glob("*/*/*.jpg"))[::7]
    with tempfile.TemporaryDirectory() as folder:
        flags = {"data_dir": folder, "models_dir": str(models), "broker.port": 0}
        async with open_backend(load_settings(environment={}, flags=flags)) as backend:
            await backend.engines_ready()
            print(f"engines made   {resident_mib():6.1f} MiB")
            marks = {100, *range(frames // 4, frames, frames // 4), frames // 2, frames}
            memory: dict[int, float] = {}
            for count, path in enumerate(islice(cycle(files), frames), start=1):
                card = FrameCard(camera="door", captured_at=datetime.now(UTC))
                await backend.services.intake.camera_frame(path.read_bytes(), card)
                if count in marks:
                    memory[count] = resident_mib()
                    print(f"{count:5} frames   {memory[count]:6.1f} MiB")
            print(
                f"growth over the last {frames - frames // 2} frames: {memory[frames] - memory[frames // 2]:+.1f} MiB"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with home/")
    parser.add_argument("--models", type=Path, default=Path(os.environ.get("PRIVFACE_MODELS_DIR", ".cache/models")))
    parser.add_argument("--frames", type=int, default=1000)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.data, arguments.models, arguments.frames))


if __name__ == "__main__":
    main()
