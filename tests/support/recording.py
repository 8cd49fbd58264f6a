"""A registry whose detector and recognizer keep what reaches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from privface_backend.domain.faces import DetectedFace, Vectors
from privface_backend.domain.frames import Pixels
from privface_backend.plugins.ports import Aligner, CropTemplate, Detector, EngineContext, Recognizer
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind


class RecordingRegistry(Registry):
    """Makes the engines that were asked for. ``detected``: the pictures that the detector got; ``aligned``: those that
    crops were cut from; ``represented``: the crops that the recognizer got."""

    def __init__(self) -> None:
        super().__init__()
        self.detected: list[Pixels] = []
        self.aligned: list[Pixels] = []
        self.represented: list[Pixels] = []

    def clear(self) -> None:
        for kept in (self.detected, self.aligned, self.represented):
            kept.clear()

    def create(
        self, kind: EngineKind, name: str, context: EngineContext, options: Mapping[str, object] | None = None
    ) -> Any:
        engine = super().create(kind, name, context, options)
        if kind is EngineKind.DETECTOR:
            return _Detector(engine, self.detected)
        if kind is EngineKind.ALIGNER:
            return _Aligner(engine, self.aligned)
        return _Recognizer(engine, self.represented) if kind is EngineKind.RECOGNIZER else engine


class _Detector:
    def __init__(self, inner: Detector, kept: list[Pixels]) -> None:
        self._inner, self._kept = inner, kept
        self.name, self.landmarks = inner.name, inner.landmarks

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        self._kept.append(pixels.copy())
        return self._inner.detect(pixels)


class _Aligner:
    def __init__(self, inner: Aligner, kept: list[Pixels]) -> None:
        self._inner, self._kept = inner, kept
        self.name = inner.name

    def align(self, pixels: Pixels, face: DetectedFace, template: CropTemplate) -> Pixels:
        self._kept.append(pixels.copy())
        return self._inner.align(pixels, face, template)


class _Recognizer:
    def __init__(self, inner: Recognizer, kept: list[Pixels]) -> None:
        self._inner, self._kept = inner, kept
        self.identity, self.template = inner.identity, inner.template
        self.verification_threshold = inner.verification_threshold

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        self._kept.extend(crop.copy() for crop in crops)
        return self._inner.represent(crops)
