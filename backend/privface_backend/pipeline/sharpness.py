"""How much detail and light the aligned crop of a face has. Runs on the lane's thread."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.frames import Pixels

_SIDE: Final = 112


def to_gray(crop: Pixels) -> Pixels:
    """The crop in gray levels, uint8 (112, 112)."""
    resized = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def measure_light(crop: Pixels) -> tuple[float, float]:
    """Mean and standard deviation of the gray crop, 0 to 255."""
    gray = to_gray(crop)
    return float(gray.mean()), float(gray.std())


# The natural logarithm of fine over coarse detail that half of all faces have, by the strength r.
_USUAL_STRENGTHS: Final = (0.0, 0.017, 0.03, 0.05, 0.08)
_USUAL_DETAIL: Final = (-1.36, -1.42, -0.97, -1.08, -0.75)
_STEP: Final = 1.6
_PIXEL: Final = 0.5
"""The blur, as a sigma in pixels, that a sensor's and a resampler's pixels are themselves."""
_FACE_IN_CROP: Final = 100.0
_BORDER: Final = 12
_WIDE: Final = 3.5
_LEAST_SIDE: Final = 3


def _smooth(gray: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur with ``sigma`` pixels; a wide blur at a lower resolution, where it costs less."""
    side = _SIDE
    # A tiny face under a strong blur has an r beyond all bounds.
    while sigma > _WIDE and side > _LEAST_SIDE:
        side, sigma = side // 2, sigma / 2
    small = gray if side == _SIDE else cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), min(sigma, _WIDE))
    if side != _SIDE:
        blurred = cv2.resize(blurred, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(blurred, dtype=np.float32)


def relative_sharpness(crop: Pixels, relative: float, width: float) -> float:
    """How much finer detail an aligned crop has than half of the faces of its strength: natural logarithm, 0 is usual.

    The energy in a band of detail just coarser than what the anonymization (r) and the pixels of a face
    ``width`` pixels wide leave, over that in a band two octaves above; each a difference of Gaussians (D. Marr and
    E. Hildreth, "Theory of edge detection", Proc. R. Soc. B 207, 1980). What blurred the face besides lowers it.
    """
    finest = max(1.0, _FACE_IN_CROP * float(np.hypot(relative, _PIXEL / max(1.0, width))))
    gray = to_gray(crop).astype(np.float32)
    layers = [_smooth(gray, finest * _STEP**octave) for octave in (0, 1, 3, 4)]
    inner = slice(_BORDER, _SIDE - _BORDER)
    fine, coarse = (layers[0] - layers[1])[inner, inner].var(), (layers[2] - layers[3])[inner, inner].var()
    detail = float(np.log(fine + 1e-3) - np.log(coarse + 1.0))
    return detail - float(np.interp(relative, _USUAL_STRENGTHS, _USUAL_DETAIL))
