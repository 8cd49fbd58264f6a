"""Square cells of one color with noise (DP-Pix), bit-equal to the backend's where both get the same random bytes.

L. Fan, "Image Pixelization with Differential Privacy", DBSec 2018: a cell's mean gets Laplace noise of scale
255 * m / (c^2 * epsilon). Here it is drawn in whole numbers and added to the cell's sum, scale 255 * m / epsilon.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .errors import BAD_PRIVACY_PARAMETER, AnonymizationError
from .laplace import RandomWords, discrete_laplace
from .method import Pixels, check_parameter, check_pixels
from .pixelate import Pixelate, fill_cells

EPSILON: Final = 1.0
SENSITIVITY: Final = 16
LEAST_EPSILON: Final = 0.001
MOST_EPSILON: Final = 1000.0
MOST_SENSITIVITY: Final = 65_536

_UNIT: Final = 1000
_WHITE: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much: for pictures that differ in at most ``sensitivity`` pixels; ``epsilon`` in thousandths.

    Raises AnonymizationError ``bad_privacy_parameter`` for what is out of range.
    """

    epsilon: float = EPSILON
    sensitivity: int = SENSITIVITY

    def __post_init__(self) -> None:
        """Refuse what the backend would."""
        units = self.epsilon * _UNIT
        if not LEAST_EPSILON <= self.epsilon <= MOST_EPSILON or abs(units - round(units)) > 1e-9 * units:
            allowed = f"epsilon: {LEAST_EPSILON:g} to {MOST_EPSILON:g}, in steps of {1 / _UNIT:g}"
            raise AnonymizationError(BAD_PRIVACY_PARAMETER, "That much noise can't be added.", allowed=allowed)
        if not 1 <= self.sensitivity <= MOST_SENSITIVITY:
            allowed = f"sensitivity: a whole number of pixels, 1 to {MOST_SENSITIVITY}"
            raise AnonymizationError(BAD_PRIVACY_PARAMETER, "That much noise can't be added.", allowed=allowed)


class NoisyPixelate(Pixelate):
    """The parameter is a cell's side in pixels. ``words`` gives one picture's random bytes, from the operating system
    where nobody says otherwise."""

    name: Final = "pixelate+noise"  # type: ignore[misc]  # another method, with the same cells
    default: Final = 16  # type: ignore[misc]  # as above

    def __init__(self, noise: Noise | None = None, words: Callable[[], RandomWords] = lambda: os.urandom) -> None:
        """Add so much noise."""
        self.noise: Final = noise or Noise()
        self._words: Final = words

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        """Give each cell its mean with noise, halves upward."""
        check_parameter(self, parameter, f"a cell size in pixels, {self.minimum} to {self.maximum}")
        check_pixels(pixels)
        numerator, denominator = _WHITE * self.noise.sensitivity * _UNIT, round(self.noise.epsilon * _UNIT)
        words = self._words()
        return fill_cells(pixels, parameter, lambda count: discrete_laplace(count, numerator, denominator, words))
