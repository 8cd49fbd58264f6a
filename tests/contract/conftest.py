"""The gallery stores, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from privface_backend.plugins.ports import EngineContext, GalleryStore, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.storage.database import Database
from support.keys import KEYS


class NoWeights:
    """A store needs none."""

    deepface_home = Path("nowhere")

    def path(self, name: str) -> Path:
        raise AssertionError(name)

    def digest(self, name: str) -> str:
        raise AssertionError(name)


@pytest.fixture(params=Registry().names(EngineKind.GALLERY))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStore]:
    database = Database(tmp_path / "privface.db", KEYS)
    weights: Weights = NoWeights()
    context = EngineContext(weights=weights, options={"database": database})
    made: GalleryStore = Registry().create(EngineKind.GALLERY, request.param, context)
    yield made
    made.close()
    database.close()
