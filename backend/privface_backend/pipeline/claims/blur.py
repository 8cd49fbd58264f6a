"""The spectral test of a frame that is said to be blurred.

A gaussian blur multiplies the spectrum by exp(-(sigma * w)^2 / 2), w in radians a pixel. At w = 3.2 / sigma 0.6 % of
the amplitude is left, of half the blur 28 %. So the frame is filtered with a band around that frequency, along rows and
along columns, and the amplitude there is measured everywhere in windows of a few sigma, so that a clear face in a
blurred frame stands out. It is held against what may be left there: rounding to whole values, the local contrast, of
which the band's edges let a little through, and what JPEG adds, which its eight-pixel grid gives away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.privacy import MAX_KERNEL, sigma_of_kernel

WEAKEST: Final = 5
"""The least kernel size that is tested: 3 leaves too much for a test."""

_CENTER: Final = 3.2
_HIGHEST: Final = 2.75
_REACH: Final = 5.0
_STRIP: Final = 2.0
_WINDOW: Final = 3.0
_LEAST_SIGMA: Final = 1.5

_FLOOR: Final = 0.5
_CONTRAST_SHARE: Final = 0.03
_GRAIN_SHARE: Final = 0.6
_GRAIN_POWER: Final = -2.5
_MOST_GRAIN: Final = 4.0
_JPEG_BLOCK: Final = 8
_LARGEST_STEP: Final = 24.0
_ALONE: Final = np.ones(1, dtype=np.float32)

_MOST: Final = ((5, 4.0), (11, 3.2), (17, 2.7), (25, 2.4), (35, 2.1), (MAX_KERNEL, 1.8))
"""Up to which kernel size how much is let through: what is left of fine patterns is more the lighter the blur. A third
over the most that 4,000 honest frames had, of clips and stills in all kinds of files."""
_GRAINLESS: Final = 25
"""From this kernel size on JPEG's grain is too fine to matter."""

Luma = NDArray[np.float32]
"""Brightness: float32 (height, width), 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Band:
    """The band filter of a kernel size. ``sigma``: of the blur in pixels of the frame that is filtered, which is
    brought down first where that is large; ``even``, ``odd``: the cosine and the sine under one window."""

    sigma: float
    even: NDArray[np.float32]
    odd: NDArray[np.float32]


def detail_beyond_blur(luma: Luma, kernel: int) -> float:
    """The most detail anywhere in a frame, over the most that is let through of a blur of ``kernel`` pixels."""
    band = _band(kernel)
    noise = 0.0
    if kernel < _GRAINLESS:
        grain = min(_MOST_GRAIN, max(0.0, jpeg_grain(luma)))
        noise = _GRAIN_SHARE * sigma_of_kernel(kernel) ** _GRAIN_POWER * grain
    factor = band.sigma / sigma_of_kernel(kernel)
    border = cv2.BORDER_REFLECT_101
    if factor < 1:
        height, width = luma.shape
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        # A border of the larger frame runs along the edge of the smaller one's pixels, not through their middle.
        border = cv2.BORDER_REFLECT
    most = next(most for largest, most in _MOST if kernel <= largest)
    return max(_most_detail(luma, band, noise, border, across=across) for across in (True, False)) / most


def _most_detail(luma: Luma, band: _Band, noise: float, border: int, *, across: bool) -> float:
    """Along rows (``across``) or columns. Strips are averaged the other way first, which costs no frequency here."""
    strips = _strips(luma, max(1, round(_STRIP * band.sigma)), rows=across)

    def oriented(along: Any, other: Any) -> tuple[Any, Any]:
        return (along, other) if across else (other, along)

    even, odd = (
        cv2.sepFilter2D(strips, -1, *oriented(wave, _ALONE), borderType=border) for wave in (band.even, band.odd)
    )
    window = oriented(_odd(_WINDOW * band.sigma / 2), 3)
    energy = cv2.blur(even * even + odd * odd, window, borderType=border)
    window = oriented(_odd(_WINDOW * band.sigma), 3)
    mean = cv2.blur(strips, window, borderType=border)
    variance = cv2.blur(strips * strips, window, borderType=border) - mean * mean
    # What is averaged over a window in single precision can come out a little below nothing.
    amplitude, contrast = (np.sqrt(np.maximum(values, 0)) for values in (energy, variance))
    return float(np.max(amplitude / (_FLOOR + noise + _CONTRAST_SHARE * contrast)))


def _odd(half: float) -> int:
    return 2 * round(half) + 1


def _strips(luma: Luma, thickness: int, *, rows: bool) -> Luma:
    """The means of so many rows (or columns) at a time; the last are filled up by mirroring."""
    if thickness == 1:
        return luma
    missing = -luma.shape[0 if rows else 1] % thickness
    filled = cv2.copyMakeBorder(luma, 0, missing * rows, 0, missing * (not rows), cv2.BORDER_REFLECT)
    height, width = filled.shape
    size = (width, height // thickness) if rows else (width // thickness, height)
    return np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


@cache
def _band(kernel: int) -> _Band:
    sigma = sigma_of_kernel(kernel)
    if sigma >= 1.5 * _LEAST_SIGMA:
        sigma = _LEAST_SIGMA
    reach = round(_REACH * sigma)
    places = np.arange(-reach, reach + 1)
    frequency = min(_CENTER / sigma, _HIGHEST)
    window = np.blackman(2 * reach + 3)[1:-1]
    even, odd = window * np.cos(frequency * places), window * np.sin(frequency * places)
    even -= window * even.sum() / window.sum()
    return _Band(
        sigma=sigma,
        even=(even * 2 / window.sum()).astype(np.float32),
        odd=(odd * 2 / window.sum()).astype(np.float32),
    )


def jpeg_grain(luma: Luma) -> float:
    """How much rougher a frame is across JPEG's eight-pixel grid than within: gray values, about 0 without JPEG.

    Measured by third differences, which smooth content has none of.
    """
    if min(luma.shape) < 3 * _JPEG_BLOCK:
        return 0.0
    return (_grain(luma) + _grain(luma.T)) / 2


def _grain(luma: Luma) -> float:
    columns = [luma[:, place::_JPEG_BLOCK] for place in range(_JPEG_BLOCK)]
    count = luma.shape[1] // _JPEG_BLOCK - 1

    def step(first: int) -> float:
        a, b, c, d = (
            columns[place % _JPEG_BLOCK][:, place // _JPEG_BLOCK :][:, :count] for place in range(first, first + 4)
        )
        return float(np.minimum(np.abs(a - d + 3 * (c - b)), _LARGEST_STEP).mean())

    return step(_JPEG_BLOCK - 2) - (step(1) + step(2)) / 2
