"""The pipeline's process with synthetic engines, and engines that remember what they were shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from privface_backend.domain.faces import DetectedFace, LandmarkSet, Vectors
from privface_backend.domain.frames import Pixels
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.process import Engines, Process
from privface_backend.plugins.ports import CropTemplate, Detector, EngineContext, Recognizer, RecognizerIdentity
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind


def make_process(**changes: Any) -> Process:
    """A process with synthetic engines; ``changes``: of its fields."""
    registry = Registry()
    context = EngineContext(weights=WeightsStore(Path()))
    engines = Engines(
        detector=registry.create(EngineKind.DETECTOR, "synthetic", context),
        aligner=registry.create(EngineKind.ALIGNER, "five-point", context),
        recognizer=registry.create(EngineKind.RECOGNIZER, "synthetic", context),
        anonymizers={
            name: registry.create(EngineKind.ANONYMIZER, name, context) for name in ("gaussian", "pixelate", "none")
        },
    )
    return Process(**{"engines": engines, **changes})


class RecordingDetector:
    """Keeps a copy of every picture that it is shown."""

    def __init__(self, inner: Detector) -> None:
        self._inner = inner
        self.shown: list[Pixels] = []

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def landmarks(self) -> LandmarkSet:
        return self._inner.landmarks

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        self.shown.append(pixels.copy())
        return self._inner.detect(pixels)


class RecordingRecognizer:
    """Keeps a copy of every crop that it is shown."""

    def __init__(self, inner: Recognizer) -> None:
        self._inner = inner
        self.shown: list[Pixels] = []

    @property
    def identity(self) -> RecognizerIdentity:
        return self._inner.identity

    @property
    def template(self) -> CropTemplate:
        return self._inner.template

    @property
    def verification_threshold(self) -> float:
        return self._inner.verification_threshold

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        self.shown.extend(crop.copy() for crop in crops)
        return self._inner.represent(crops)


def recording(process: Process) -> tuple[Process, RecordingDetector, RecordingRecognizer]:
    """The same process, its detector and recognizer recording."""
    detector = RecordingDetector(process.engines.detector)
    recognizer = RecordingRecognizer(process.engines.recognizer)
    return (
        replace(process, engines=replace(process.engines, detector=detector, recognizer=recognizer)),
        (detector),
        recognizer,
    )


def create_weighted(context: EngineContext) -> Detector:
    """A synthetic detector that can't be made without the weights ``net``."""
    context.weights.path("net")
    made: Detector = Registry().create(EngineKind.DETECTOR, "synthetic", context)
    return made


def create_broken(_context: EngineContext) -> Detector:
    """A third party's detector that doesn't know PrivFace's errors."""
    raise RuntimeError("no such device")
