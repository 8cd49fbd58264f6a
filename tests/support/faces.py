"""Pictures of people, from the data beside the project; what needs them skips without them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest

from privface_backend.domain.frames import Pixels

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
LFW: Final = "lfw"
CALTECH: Final = "caltech"


def require_data() -> Path:
    """The folder of the pictures, or skip."""
    if not (DATA / "home" / "manifest.csv").is_file():
        pytest.skip("The pictures of ../shared/data are not beside the project.")
    return DATA


def read(path: Path) -> Pixels:
    """The picture of a file."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None, f"{path.name} is not a picture"
    return np.asarray(pixels, dtype=np.uint8)


def files(source: str, count: int) -> Sequence[Path]:
    """``count`` files of ``lfw`` (250 x 250, one face in the middle) or ``caltech`` (larger), evenly spread."""
    found = sorted((require_data() / "home" / source).glob("*/*.jpg"))
    return [found[index * len(found) // count] for index in range(count)]


@cache
def pictures(source: str, count: int) -> Sequence[Pixels]:
    """The pictures of ``files``. Shared between tests: to be copied before they are changed."""
    return [read(path) for path in files(source, count)]


@cache
def people(source: str, count: int, each: int = 2) -> Sequence[Sequence[Pixels]]:
    """``each`` pictures of each of ``count`` people."""
    folders = sorted(path for path in (require_data() / "home" / source).iterdir() if path.is_dir())
    found = [sorted(folder.glob("*.jpg"))[:each] for folder in folders]
    return [[read(path) for path in paths] for paths in found if len(paths) == each][:count]
