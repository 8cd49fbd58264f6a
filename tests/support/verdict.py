"""Asks ``support.crossing`` what it makes of a proxy's recording, where OpenCV isn't installed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.reverse_proxy import RecordingProxy


def judge_crossing(python: Path, proxy: RecordingProxy, clear: Path, scratch: Path) -> dict[str, Any]:
    """The verdict on all that went in so far. ``python``: has the backend; ``clear``: a directory with all clear
    pictures; ``scratch``: one for the recording."""
    recording = scratch / "recording.json"
    proxy.save(recording)
    command = [str(python), "-m", "support.crossing", str(recording), str(clear)]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict
