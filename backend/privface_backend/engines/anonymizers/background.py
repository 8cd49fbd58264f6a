"""Only the face regions are kept, all else becomes one flat gray, and the whole is then blurred.

Clothes, rooms and passers-by without a face that a detector finds don't leave. It fails closed: where no face is found,
the whole picture is flat. Whoever finds the faces sees the clear picture, so it belongs where the camera is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box
from privface_backend.domain.privacy import Noise
from privface_backend.engines.anonymizers import gaussian, noisy, pixelate
from privface_backend.engines.anonymizers.noisy import NoisyPixelateAnonymizer
from privface_backend.engines.detectors import yunet
from privface_backend.plugins.ports import Anonymizer, Detector, EngineContext, MosaicAnonymizer

MARGIN: Final = 0.3
"""By how much of its width and height a face's box is enlarged, on each side."""
FLAT: Final = 128
"""The gray of all that is not kept."""

_BLURS: Final[Mapping[str, Callable[[EngineContext], Anonymizer]]] = {
    "gaussian": gaussian.create,
    "pixelate": pixelate.create,
    "pixelate+noise": noisy.create,
}


class FaceFinder:
    """A detector for several threads: it is made for the first picture, and takes one at a time."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make: Final = make
        self._detector: Detector | None = None
        self._turn: Final = Lock()

    def find(self, pixels: Pixels) -> Sequence[DetectedFace]:
        with self._turn:
            if self._detector is None:
                self._detector = self._make()
            return self._detector.detect(pixels)


class BackgroundAnonymizer:
    """The parameter is that of ``blur``, which comes last."""

    def __init__(self, name: str, blur: Anonymizer, finder: FaceFinder) -> None:
        self._name: Final = name
        self._blur: Final = blur
        self._finder: Final = finder

    @property
    def name(self) -> str:
        return self._name

    @property
    def allowed(self) -> str:
        return self._blur.allowed

    def validate(self, parameter: int) -> None:
        self._blur.validate(parameter)

    def sigma(self, parameter: int) -> float:
        return self._blur.sigma(parameter)

    def parameter_for(self, sigma: float) -> int:
        return self._blur.parameter_for(sigma)

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        self.validate(parameter)
        return self.keep(pixels, parameter, self.find(pixels))

    def find(self, pixels: Pixels) -> Sequence[Box]:
        """The regions to keep: the faces' boxes with the margin around."""
        return [
            Box(
                face.box.x - MARGIN * face.box.width,
                face.box.y - MARGIN * face.box.height,
                (1 + 2 * MARGIN) * face.box.width,
                (1 + 2 * MARGIN) * face.box.height,
            )
            for face in self._finder.find(pixels)
        ]

    def keep(self, pixels: Pixels, parameter: int, regions: Sequence[Box]) -> Pixels:
        """A new picture with nothing but the regions, blurred; without any it is flat."""
        kept = np.full_like(pixels, FLAT)
        for box in regions:
            rows = slice(max(0, round(box.y)), max(0, round(box.y + box.height)))
            columns = slice(max(0, round(box.x)), max(0, round(box.x + box.width)))
            kept[rows, columns] = pixels[rows, columns]
        return self._blur.apply(kept, parameter)


class MosaicBackgroundAnonymizer(BackgroundAnonymizer):
    """With a mosaic for a blur."""

    def __init__(self, name: str, blur: MosaicAnonymizer, finder: FaceFinder) -> None:
        super().__init__(name, blur, finder)
        self._mosaic: Final = blur

    def smooth(self, pixels: Pixels, parameter: int) -> Pixels:
        return self._mosaic.smooth(pixels, parameter)


class NoisyBackgroundAnonymizer(MosaicBackgroundAnonymizer):
    """With a mosaic that adds noise."""

    def __init__(self, name: str, blur: NoisyPixelateAnonymizer, finder: FaceFinder) -> None:
        super().__init__(name, blur, finder)
        self._noisy: Final = blur

    @property
    def noise(self) -> Noise:
        return self._noisy.noise

    def with_noise(self, noise: Noise) -> NoisyBackgroundAnonymizer:
        return NoisyBackgroundAnonymizer(self._name, self._noisy.with_noise(noise), self._finder)


def create(context: EngineContext, *, name: str, blur: str) -> BackgroundAnonymizer:
    """With the blur's own options besides. The detector, YuNet, is made when it is first needed.

    ``apply`` raises PrivFaceError ``weights_missing`` or ``weights_mismatch`` where the detector can't be made.
    """
    made = _BLURS[blur](context)
    finder = FaceFinder(lambda: yunet.create(context))
    if isinstance(made, NoisyPixelateAnonymizer):
        return NoisyBackgroundAnonymizer(name, made, finder)
    if isinstance(made, MosaicAnonymizer):
        return MosaicBackgroundAnonymizer(name, made, finder)
    return BackgroundAnonymizer(name, made, finder)
