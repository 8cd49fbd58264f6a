"""Restorations with what is public of a method: the known kernel of a blur, the known cells of a mosaic.

A blur with a symmetric kernel on a picture that OpenCV mirrors at its border (BORDER_REFLECT_101) is exactly a product
in the cosine basis of that mirror (DCT-I): there is no border to be treated, and two small matrices take a picture
there and back. A library's deconvolution on a torus or on zeros would have to be padded to come near to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels
from privface_backend.evaluation.attacks.observing import digest
from privface_backend.plugins.ports import Anonymizer, MosaicAnonymizer

Floats = NDArray[np.float32]
"""float32 of any shape."""

BANDS: Final = 48
"""Into how many bands of frequency a spectrum is divided, from 0 to the highest, sqrt(2) times that of an axis."""
_LEAST: Final = 1e-3
_LINE: Final = 255


def measure_kernel(anonymizer: Anonymizer, parameter: int) -> Floats:
    """The kernel of one axis, float32 (odd,), sum 1, as 8-bit arithmetic leaves it: the picture of a white line.

    OpenCV rounds the weights to 1/256 for 8-bit pictures, and a line of 255 shows each of them.
    """
    width = 4 * int(np.ceil(4 * anonymizer.sigma(parameter))) + 2 * parameter + 1
    line = np.zeros((3, width, 3), dtype=np.uint8)
    line[:, width // 2] = _LINE
    spread = anonymizer.apply(line, parameter)[1, :, 0].astype(np.float32)
    half = int(np.max(np.abs(np.flatnonzero(spread) - width // 2), initial=0))
    kernel = spread[width // 2 - half : width // 2 + half + 1]
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


@lru_cache(maxsize=64)
def _mirror_basis(length: int) -> tuple[Floats, Floats]:
    """Matrices from a signal to its coefficients in the cosines of its mirror (DCT-I), and back."""
    places = np.arange(length)
    cosines = np.cos(np.pi * np.outer(places, places) / (length - 1))
    ends = np.ones(length)
    ends[[0, -1]] = 0.5
    there = 2 / (length - 1) * ends[:, np.newaxis] * cosines * ends
    return there.astype(np.float32), cosines.astype(np.float32)


def to_spectrum(pixels: NDArray[np.floating] | Pixels) -> Floats:
    """The coefficients of each channel, float32 (3, height, width)."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0), dtype=np.float32)
    down, across = _mirror_basis(planes.shape[1])[0], _mirror_basis(planes.shape[2])[0]
    return np.asarray(down @ planes @ across.T, dtype=np.float32)


def from_spectrum(spectrum: Floats) -> Floats:
    """The picture, float32 (height, width, 3)."""
    down, across = _mirror_basis(spectrum.shape[1])[1], _mirror_basis(spectrum.shape[2])[1]
    return np.ascontiguousarray(np.moveaxis(down @ spectrum @ across.T, 0, 2), dtype=np.float32)


def transfer(kernel: Floats, height: int, width: int) -> Floats:
    """By what a blur with ``kernel`` along both axes multiplies each coefficient, float32 (height, width)."""
    half = len(kernel) // 2
    offsets = np.arange(-half, half + 1)
    down, across = (
        np.cos(np.pi * np.outer(np.arange(length), offsets) / (length - 1)) @ kernel for length in (height, width)
    )
    return np.outer(down, across).astype(np.float32)


def _radius(height: int, width: int) -> NDArray[np.float64]:
    """The frequency of each coefficient as a fraction of the highest, 0 to 1."""
    down, across = np.linspace(0, 1, height), np.linspace(0, 1, width)
    found: NDArray[np.float64] = np.hypot(down[:, np.newaxis], across) / np.sqrt(2)
    return found


def measure_power(spectrum: Floats) -> NDArray[np.float64]:
    """Power by band, float64 (BANDS,), the same for white noise whatever the picture's size."""
    _, height, width = spectrum.shape
    power = (spectrum.astype(np.float64) ** 2).mean(axis=0) * (height - 1) * (width - 1) / 4
    band = np.minimum((_radius(height, width) * BANDS).astype(np.intp), BANDS - 1).ravel()
    counts = np.bincount(band, minlength=BANDS)
    return np.bincount(band, weights=power.ravel(), minlength=BANDS) / np.maximum(counts, 1)


def measure_ratio(pairs: Sequence[tuple[Pixels, Pixels, Floats]]) -> NDArray[np.float64]:
    """Noise over signal by band, from clear pictures, what was seen of them, and the kernels between the two.

    The noise is all that the blur doesn't explain: rounding to 8 bits, and JPEG.
    """
    noise, signal = np.zeros(BANDS), np.zeros(BANDS)
    for clear, seen, kernel in pairs:
        spectrum = to_spectrum(clear)
        blurred = transfer(kernel, *clear.shape[:2]) * spectrum
        signal += measure_power(spectrum)
        noise += measure_power(np.asarray(to_spectrum(seen) - blurred, dtype=np.float32))
    return np.asarray(noise / np.maximum(signal, _LEAST), dtype=np.float64)


def to_pixels(picture: NDArray[np.floating]) -> Pixels:
    """Rounded to 8 bits."""
    return np.ascontiguousarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


@dataclass(slots=True, kw_only=True)
class KernelSource:
    """The kernels of a method, each measured once."""

    anonymizer: Anonymizer
    _known: dict[int, Floats] = field(default_factory=dict, repr=False)

    def get(self, parameter: int) -> Floats:
        if parameter not in self._known:
            self._known[parameter] = measure_kernel(self.anonymizer, parameter)
        return self._known[parameter]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wiener:
    """The linear filter of the least mean square error (N. Wiener, "Extrapolation, Interpolation, and Smoothing of
    Stationary Time Series", 1949): H / (H^2 + scale * N / S), H the blur's transfer, N / S measured by band."""

    kernels: KernelSource
    ratio: NDArray[np.float64] = field(repr=False)
    scale: float = 1.0
    name: str = "wiener"

    @property
    def key(self) -> str:
        return f"wiener:{self.scale:g}:{digest(self.ratio.tobytes())}"

    def restore(self, frame: Pixels, parameter: int) -> Pixels:
        kernel = self.kernels.get(parameter)
        if len(kernel) == 1:
            return frame.copy()
        height, width = frame.shape[:2]
        blur = transfer(kernel, height, width)
        middles = (np.arange(BANDS) + 0.5) / BANDS
        ratio = np.interp(_radius(height, width), middles, self.ratio) * self.scale
        gain = blur / (blur * blur + np.maximum(ratio, 1e-9))
        return to_pixels(from_spectrum(np.asarray(to_spectrum(frame) * gain, dtype=np.float32)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RichardsonLucy:
    """Richardson-Lucy (W. Richardson, JOSA 62(1), 1972; L. Lucy, Astronomical Journal 79, 1974): ``iterations`` steps
    u <- u * B(d / B(u)) from u = d; the kernel is symmetric, so that B is its own transpose."""

    kernels: KernelSource
    iterations: int
    name: str = "richardson-lucy"

    @property
    def key(self) -> str:
        return f"richardson-lucy:{self.iterations}"

    def restore(self, frame: Pixels, parameter: int) -> Pixels:
        kernel = self.kernels.get(parameter)
        if len(kernel) == 1:
            return frame.copy()
        seen = np.maximum(frame.astype(np.float32), 0.5)
        found = seen.copy()
        for _ in range(self.iterations):
            ratio = np.asarray(seen / np.maximum(_blur(found, kernel), _LEAST), dtype=np.float32)
            found = np.asarray(found * _blur(ratio, kernel), dtype=np.float32)
        return to_pixels(found)


def _blur(picture: Floats, kernel: Floats) -> Floats:
    return np.asarray(
        cv2.sepFilter2D(picture, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolation:
    """A smooth picture through the means of a mosaic's cells, as PrivFace's own engines are shown it."""

    mosaic: MosaicAnonymizer
    name: str = "interpolation"

    @property
    def key(self) -> str:
        return self.name

    def restore(self, frame: Pixels, parameter: int) -> Pixels:
        return self.mosaic.smooth(frame, parameter)
