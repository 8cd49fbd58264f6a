"""The running service of a data directory, as ``run.json`` describes it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privface_backend.server import RUN_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where a service listens, and how to get in."""

    pid: int
    url: str
    token: str
    mqtt: dict[str, Any] | None


def read_run(data_dir: Path) -> Run | None:
    """The running service, or None: a file that a killed one left behind doesn't count."""
    try:
        data = json.loads((data_dir / RUN_FILE).read_text(encoding="utf-8"))
        run = Run(pid=int(data["pid"]), url=str(data["url"]), token=str(data["token"]), mqtt=data.get("mqtt"))
        os.kill(run.pid, 0)
    except PermissionError:
        return run
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run
