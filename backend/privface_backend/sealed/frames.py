"""A sealed frame: what a user side saw in a picture, without the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.geometry import Box, Size
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.quality import FaceQuality
from privface_backend.pipeline.process import Look, ObservedFace
from privface_backend.protocol import AppliedBy, Privacy, Reason, WireError
from privface_backend.sealed.terms import SealedTerms
from privface_backend.sealed.wire import read_list, read_mapping, read_number, read_vector, read_whole, write_vector

METHOD: Final = "sealed"
"""What stands for the anonymizer in the events of a sealed backend."""
MOST_FACES: Final = 64
LONGEST_SIDE: Final = 20_000
_MOST_TURN: Final = 9.0
_ROUNDING: Final = 1e-3

# The least and the highest value of each measure of a face.
_MEASURES: Final[Mapping[str, tuple[float, float]]] = {
    "width": (0.0, 100_000.0),
    "turn": (0.0, _MOST_TURN),
    "weight": (0.0, 1.0),
    "sharpness": (-100.0, 100.0),
    "brightness": (0.0, 255.0),
    "contrast": (0.0, 255.0),
}
# Those that only a face has which came as far as a crop.
_OF_CROPS: Final = ("sharpness", "brightness", "contrast")


def sealed_privacy(applied_by: AppliedBy) -> Privacy:
    """How a sealed frame was anonymized: its pixels never left. Its r is 0, that of a clear picture, as its templates
    are a clear picture's."""
    return Privacy(method=METHOD, parameter=1, relative=0.0, applied_by=applied_by)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedFace:
    """A face. ``box``: [x, y, width, height], fractions of the frame; ``vector``: of length 1, or None where the face
    is unusable, for ``reason``."""

    box: tuple[float, float, float, float]
    quality: FaceQuality
    reason: Reason
    vector: Vector | None = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        quality = self.quality
        measures = {name: getattr(quality, name) for name in _MEASURES} | {"turn": min(_MOST_TURN, quality.turn)}
        return {
            "box": [round(side, 5) for side in self.box],
            "detection": round(min(1.0, quality.detection), 5),
            "reason": self.reason.value,
            "quality": {name: None if value is None else round(value, 5) for name, value in measures.items()},
            "vector": None if self.vector is None else write_vector(self.vector),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], key: str, dimension: int) -> Self:
        """Read one.

        Raises:
            WireError: it is none.
        """
        reason, vector = Reason(data.get("reason", "")), data.get("vector")
        if (vector is not None) != (reason is Reason.OK):
            raise WireError(f"{key}.vector", "a vector where reason is ok, else null")
        return cls(
            box=_read_box(data.get("box"), f"{key}.box"),
            quality=_read_quality(data, key),
            reason=reason,
            vector=None if vector is None else read_vector(vector, f"{key}.vector", dimension),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedFrame:
    """All faces of a frame of ``size`` pixels, at most ``MOST_FACES``; none where nobody was found."""

    terms: SealedTerms
    size: Size
    faces: tuple[SealedFace, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "terms": self.terms.to_dict(),
            "size": [self.size.width, self.size.height],
            "faces": [face.to_dict() for face in self.faces],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read one, strictly.

        Raises:
            WireError: it is none; the error names the place, never the value.
        """
        terms = SealedTerms.from_dict(read_mapping(data.get("terms"), "terms"))
        size = read_list(data.get("size"), "size", least=2, most=2)
        faces = read_list(data.get("faces"), "faces", most=MOST_FACES)
        return cls(
            terms=terms,
            size=Size(*(read_whole(side, "size", 1, LONGEST_SIDE) for side in size)),
            faces=tuple(
                SealedFace.from_dict(read_mapping(face, f"faces.{place}"), f"faces.{place}", terms.contract.dimension)
                for place, face in enumerate(faces)
            ),
        )

    def to_look(self, applied_by: AppliedBy) -> Look:
        """What the pipeline goes on with."""
        return Look(
            faces=tuple(_observe(face, self.size) for face in self.faces),
            size=self.size,
            privacy=sealed_privacy(applied_by),
        )


def _observe(face: SealedFace, size: Size) -> ObservedFace:
    return ObservedFace(
        face=DetectedFace(box=Box.from_fractions(face.box, size), score=face.quality.detection),
        level=CLEAR,
        reason=face.reason,
        quality=face.quality,
        vector=face.vector,
    )


def _read_box(value: object, key: str) -> tuple[float, float, float, float]:
    x, y, width, height = (read_number(side, key, 0.0, 1.0) for side in read_list(value, key, least=4, most=4))
    if x + width > 1 + _ROUNDING or y + height > 1 + _ROUNDING:
        raise WireError(key, "a box inside the frame")
    return x, y, width, height


def _read_quality(data: Mapping[str, Any], key: str) -> FaceQuality:
    given = read_mapping(data.get("quality"), f"{key}.quality")

    def measure(name: str) -> float:
        return read_number(given.get(name), f"{key}.quality.{name}", *_MEASURES[name])

    sharpness, brightness, contrast = (None if given.get(name) is None else measure(name) for name in _OF_CROPS)
    return FaceQuality(
        width=measure("width"),
        detection=read_number(data.get("detection"), f"{key}.detection", 0.0, 1.0),
        turn=measure("turn"),
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
        weight=measure("weight"),
    )
