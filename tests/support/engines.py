"""Every registered engine, for the contract tests; what can't run here skips and says why."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box
from privface_backend.engines.synthetic import draw_face, ground
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind, EngineSpec
from privface_backend.protocol import ErrorCode
from support import faces, weights
from support.graphs import SHAPES, random_graph

REGISTRY: Final = Registry()
_CANNOT_RUN: Final = frozenset({ErrorCode.ENGINE_MISSING, ErrorCode.WEIGHTS_MISSING})


def names(kind: EngineKind) -> Sequence[str]:
    """The registered engines of a kind, third parties' too, whose modules and weights can be had here."""
    return [spec.name for spec in REGISTRY.all(kind) if not REGISTRY.missing(spec) and _weights_at_hand(spec)]


def all_names(kind: EngineKind) -> Sequence[str]:
    """All registered engines of a kind."""
    return REGISTRY.names(kind)


def _weights_at_hand(spec: EngineSpec) -> bool:
    return spec.name in SHAPES or all(map(weights.at_hand, spec.weights))


def engine(kind: EngineKind, name: str) -> Any:
    """The engine, made once for all tests; skips with what is missing."""
    made = _make(kind, name)
    if isinstance(made, PrivFaceError):
        pytest.skip(made.message)
    return made


@cache
def _make(kind: EngineKind, name: str) -> Any:
    try:
        return REGISTRY.create(kind, name, EngineContext(weights=_weights(kind, name)))
    except PrivFaceError as error:
        if error.code in _CANNOT_RUN:
            return error
        raise


def _weights(kind: EngineKind, name: str) -> Weights:
    if kind is EngineKind.RECOGNIZER and name in SHAPES:
        return random_weights()
    return weights.real() if REGISTRY.spec(kind, name).weights else _no_weights()


@cache
def random_weights() -> Weights:
    """A store of random graphs for every model of ``SHAPES``."""
    return weights.pinned(_folder("random"), {shape.weights: random_graph(shape) for shape in SHAPES.values()})


@cache
def _no_weights() -> Weights:
    return weights.pinned(_folder("none"), {})


@cache
def _temporary(name: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix=f"privface-{name}-")


def _folder(name: str) -> Path:
    """An empty folder that goes away with the process."""
    return Path(_temporary(name).name)


def show(detector: str, count: int = 6) -> Sequence[Pixels]:
    """Pictures, 250 x 250, with a face in the middle that ``detector`` ought to find: a drawn one for the synthetic."""
    if detector != "synthetic":
        return faces.pictures(faces.LFW, count)
    return [_drawn(identity) for identity in range(count)]


def _drawn(identity: int) -> Pixels:
    pixels = ground(250, 250)
    draw_face(pixels, identity, 75, 75, 100)
    return pixels


def face_of(picture: Pixels, detector: str = "opencv:yunet") -> DetectedFace:
    """The face over the middle of a picture, by ``detector``."""
    height, width = picture.shape[:2]
    found: Sequence[DetectedFace] = engine(EngineKind.DETECTOR, detector).detect(picture)
    for face in found:
        if face.box.intersection(Box(width / 2, height / 2, 1.0, 1.0)).area > 0:
            return face
    pytest.fail("no face in the middle of the picture")


def crops_for(recognizer: str, count: int = 4) -> Sequence[Pixels]:
    """Crops of different people's faces, aligned to the recognizer's template by five points."""
    synthetic = recognizer == "synthetic"
    template = engine(EngineKind.RECOGNIZER, recognizer).template
    aligner = engine(EngineKind.ALIGNER, "five-point")
    detector = "synthetic" if synthetic else "opencv:yunet"
    pictures = show("synthetic", count) if synthetic else [pair[0] for pair in faces.people(faces.LFW, count)]
    return [aligner.align(picture, face_of(picture, detector), template) for picture in pictures]
