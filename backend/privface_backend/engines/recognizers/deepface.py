"""Every face recognition model of DeepFace, fed with crops that were aligned before."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import Vectors, normalized
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.engines.deepface_runtime import build_model, load_deepface
from privface_backend.engines.recognizers.templates import arcface_template, box_template, dlib_template
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import CropTemplate, EngineContext, RecognizerIdentity
from privface_backend.protocol import ErrorCode

_ARCFACE_CROPS: Final = frozenset({"SFace", "ArcFace", "GhostFaceNet", "Buffalo_L"})

_NORMALIZATIONS: Final = ("base", "raw", "Facenet", "Facenet2018", "VGGFace", "VGGFace2", "ArcFace")

# Facenet's weights were trained on standardized crops; fed with DeepFace's default it loses 8 points at k = 17.
_NORMALIZATION: Final = {"Facenet": "Facenet"}


class DeepFaceRecognizer:
    """``DeepFace.represent(crops, detector_backend="skip", align=False)``."""

    def __init__(self, deepface: Any, model: str, digest: str, normalization: str, backend: str) -> None:
        self._deepface = deepface
        self._model = model
        self._normalization = normalization
        network = build_model("facial_recognition", model)
        thresholds = importlib.import_module("deepface.config.threshold").thresholds
        self.verification_threshold: Final = 1.0 - float(thresholds[model]["cosine"])
        suffix = "" if backend == "onnx" else f"@{backend}"
        self.template: Final[CropTemplate] = _template(model, network.input_shape)
        self.identity: Final = RecognizerIdentity(
            name=f"deepface:{model}{suffix}+{normalization}",
            weights_digest=digest,
            dimension=int(network.output_shape),
        )

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        if not crops:
            return np.empty((0, self.identity.dimension), dtype=np.float32)
        found = self._deepface.represent(
            img_path=list(crops),
            model_name=self._model,
            detector_backend="skip",
            align=False,
            enforce_detection=False,
            normalization=self._normalization,
        )
        faces = [found[0]] if len(crops) == 1 else [face[0] for face in found]
        vectors = normalized(np.asarray([face["embedding"] for face in faces], dtype=np.float32))
        if vectors.shape != (len(crops), self.identity.dimension) or not np.isfinite(vectors).all():
            raise PrivFaceError(ErrorCode.ENGINE_FAILED, "The recognizer's answer has the wrong shape or no numbers.")
        return vectors


def _template(model: str, input_shape: tuple[int, int]) -> CropTemplate:
    if model in _ARCFACE_CROPS:
        return arcface_template()
    if model == "Dlib":
        return dlib_template()
    width, height = input_shape
    return box_template(Size(width, height))


def create(
    context: EngineContext, *, model: str, weights: str, tensorflow_weights: str | None = None
) -> DeepFaceRecognizer:
    backend = str(context.options.get("backend", "onnx"))
    if backend == "tensorflow" and tensorflow_weights is not None:
        weights = tensorflow_weights
    normalization = str(context.options.get("normalization", _NORMALIZATION.get(model, "base")))
    if normalization not in _NORMALIZATIONS:
        raise PrivFaceError(
            ErrorCode.SETTINGS_INVALID,
            "The recognizer's option normalization can't be used.",
            allowed=", ".join(_NORMALIZATIONS),
        )
    context.weights.path(weights)
    deepface = load_deepface(context.weights.deepface_home, backend)
    return DeepFaceRecognizer(deepface, model, context.weights.digest(weights), normalization, backend)
