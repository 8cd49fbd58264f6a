"""Weights in tests: the real ones that can be had freely, and graphs of random numbers in place of the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.models.digests import digest_file
from privface_backend.models.store import WeightsStore
from privface_backend.models.table import TABLE
from privface_backend.models.weights import Status
from privface_backend.protocol import ErrorCode

ROOT: Final = Path(os.environ.get("PRIVFACE_MODELS_DIR") or Path(__file__).resolve().parents[2] / ".cache" / "models")

# All that the tests fetch, 70 MB; whatever else lies in the store is used too.
FETCHED: Final = ("yunet", "sface", "dlib-resnet", "dlib-5-landmarks")


def at_hand(name: str) -> bool:
    """Whether the weights are in the shared store or fetched for the tests."""
    return name in FETCHED or WeightsStore(ROOT).status(name) is Status.PRESENT


def real() -> WeightsStore:
    """The store that tests share, with ``FETCHED`` in it; skips where they can't be fetched."""
    found = _fetched()
    if isinstance(found, PrivFaceError):
        pytest.skip(found.message)
    return found


@cache
def _fetched() -> WeightsStore | PrivFaceError:
    store = WeightsStore(ROOT)
    try:
        store.fetch(FETCHED)
    except PrivFaceError as error:
        if error.code is ErrorCode.WEIGHTS_UNREACHABLE:
            return error
        raise
    return store


def pinned(root: Path, files: Mapping[str, bytes]) -> WeightsStore:
    """A store of its own at ``root`` that holds ``files``, by name, and takes no others for them."""
    for name, content in files.items():
        path = WeightsStore(root).file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return holding(root, files)


def holding(root: Path, names: Iterable[str]) -> WeightsStore:
    """A store at ``root`` that expects the files called ``names`` as they lie there now."""
    store = WeightsStore(root)
    changed = {}
    for name in names:
        found = digest_file(store.file(name))
        changed[name] = replace(TABLE[name], size=None, sha256=found.sha256)
    return WeightsStore(root, {**TABLE, **changed})
