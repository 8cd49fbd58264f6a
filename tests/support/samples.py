"""Fetches what an end-to-end test with real faces needs, in the backend's interpreter.

    python -m support.samples MODELS_DIR   prints {"picture's name": "its path", …}, or {"unreachable": "why"}

Once it is there, it needs no network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from privface_backend.errors import PrivFaceError
from privface_backend.models.samples import fetch_samples
from privface_backend.models.store import WeightsStore
from privface_backend.protocol import ErrorCode


def fetch(models_dir: Path) -> dict[str, str]:
    """The pictures of public people by name, with the default engines' weights beside them."""
    try:
        WeightsStore(models_dir).fetch(("yunet", "sface"))
        return {name: str(path) for name, path in fetch_samples(models_dir / "samples").items()}
    except PrivFaceError as error:
        if error.code is ErrorCode.WEIGHTS_UNREACHABLE:
            return {"unreachable": error.message}
        raise


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fetch(Path(sys.argv[1]))))
