"""SFace through OpenCV alone: Y. Zhong, W. Deng et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face
Recognition", IEEE TIP 30, 2021. The same numbers as ``deepface:SFace``, without DeepFace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import Vectors, normalized
from privface_backend.domain.frames import Pixels
from privface_backend.engines.recognizers.templates import arcface_template
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import CropTemplate, EngineContext, RecognizerIdentity
from privface_backend.protocol import ErrorCode

_DIMENSION: Final = 128


class SFaceRecognizer:
    """``cv2.FaceRecognizerSF``, one crop at a time. ``model``: the weights' file."""

    # The one that DeepFace publishes for SFace, as a similarity.
    verification_threshold: Final = 1.0 - 0.593

    def __init__(self, model: str, digest: str) -> None:
        self._network: Final = cv2.FaceRecognizerSF.create(model, "")
        self.template: Final[CropTemplate] = arcface_template()
        self.identity: Final = RecognizerIdentity(name="opencv:sface", weights_digest=digest, dimension=_DIMENSION)

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        rows = np.empty((len(crops), _DIMENSION), dtype=np.float32)
        for row, crop in zip(rows, crops, strict=True):
            found = np.asarray(self._network.feature(crop), dtype=np.float32).ravel()
            if found.shape != (_DIMENSION,) or not np.isfinite(found).all():
                raise PrivFaceError(
                    ErrorCode.ENGINE_FAILED, "The recognizer's answer has the wrong shape or no numbers."
                )
            row[:] = found
        return normalized(rows)


def create(context: EngineContext) -> SFaceRecognizer:
    return SFaceRecognizer(str(context.weights.path("sface")), context.weights.digest("sface"))
