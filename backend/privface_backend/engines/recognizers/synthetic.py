"""Embeds the colors of a drawn face (``engines.synthetic``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import Vectors, normalized
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.engines.synthetic import CELLS, LANDMARKS
from privface_backend.plugins.ports import CropTemplate, EngineContext, RecognizerIdentity

_SIDE: Final = 64


class SyntheticRecognizer:
    """The crop's colors at the centers of its cells, less the mean: dimension 48."""

    identity: Final = RecognizerIdentity(name="synthetic", weights_digest="0" * 64, dimension=CELLS * CELLS * 3)
    verification_threshold: Final = 0.6
    template: Final = CropTemplate(
        name="synthetic-64", size=Size(_SIDE, _SIDE), landmarks=LANDMARKS * np.float32(_SIDE)
    )

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        rows = np.empty((len(crops), self.identity.dimension), dtype=np.float32)
        for row, crop in zip(rows, crops, strict=True):
            cells = cv2.resize(crop, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
            row[:] = (cells - cells.mean()).ravel()
        return normalized(rows)


def create(_context: EngineContext) -> SyntheticRecognizer:
    return SyntheticRecognizer()
