"""The privacy parameter: kernel sizes, sigmas, and r, the strength relative to a face.

OpenCV's rule for ``GaussianBlur(img, (k, k), 0)``: sigma = 0.3 * ((k - 1) / 2 - 1) + 0.8 pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self, cast

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

MAX_KERNEL: Final = 255
"""The largest kernel size: sigma 38.6 px, six times what hides a face 60 px wide."""

CLEAR_METHOD: Final = "none"
BLUR_METHOD: Final = "gaussian"
"""What a lens out of focus comes nearest to."""
BACKGROUND: Final = "background"
"""The method that keeps face regions only; alone, or before the name of the method that blurs what is left."""


def base_method(method: str) -> str:
    """The method that blurs, of one that may be composed: of ``background+pixelate`` that is ``pixelate``."""
    if method == BACKGROUND:
        return BLUR_METHOD
    return method.removeprefix(f"{BACKGROUND}+")


def sigma_of_kernel(kernel: int) -> float:
    """Sigma in pixels of an odd kernel size; 0 for 1, which is no blur."""
    if kernel == 1:
        return 0.0
    return 0.3 * ((kernel - 1) / 2 - 1) + 0.8


def kernel_of_sigma(sigma: float) -> int:
    """The odd kernel size, 1 to ``MAX_KERNEL``, whose sigma is nearest to ``sigma`` pixels."""
    if sigma < sigma_of_kernel(3) / 2:
        return 1
    half = round((sigma - 0.8) / 0.3 + 1)
    return min(MAX_KERNEL, max(3, 2 * half + 1))


@dataclass(frozen=True, slots=True, order=True)
class PrivacyLevel:
    """How strongly a face was anonymized: the method and r = sigma / face width. Clear: ("none", 0)."""

    method: str
    relative: float

    @property
    def is_clear(self) -> bool:
        return self.relative <= 0.0


CLEAR: Final = PrivacyLevel(CLEAR_METHOD, 0.0)

LADDER: Final[tuple[float, ...]] = (0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1)
"""The strengths r at which enrollment makes templates beside the clear one."""

EPSILON: Final = 1.0
SENSITIVITY: Final = 16
_EPSILON_UNIT: Final = 1000
_EPSILONS: Final = (0.001, 1000.0)
_MOST_SENSITIVITY: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much noise differential privacy adds: for pictures that differ in at most ``sensitivity`` pixels.

    ``epsilon``: 0.001 to 1000, in thousandths; less is more noise. ``sensitivity``: m, 1 to 65,536 pixels.
    """

    epsilon: float = EPSILON
    sensitivity: int = SENSITIVITY

    @classmethod
    def of(cls, epsilon: object, sensitivity: object) -> Self:
        """Of what somebody gave; None: the default.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``, saying what is allowed.
        """
        epsilon = EPSILON if epsilon is None else epsilon
        sensitivity = SENSITIVITY if sensitivity is None else sensitivity
        if problem := epsilon_problem(epsilon) or sensitivity_problem(sensitivity):
            raise PrivFaceError(ErrorCode.BAD_PRIVACY_PARAMETER, "That much noise can't be added.", allowed=problem)
        return cls(epsilon=float(cast("float", epsilon)), sensitivity=cast("int", sensitivity))

    def scale(self, largest: int) -> tuple[int, int]:
        """Numerator and denominator of the noise's scale, where a pixel's values run from 0 to ``largest``."""
        return largest * self.sensitivity * _EPSILON_UNIT, round(self.epsilon * _EPSILON_UNIT)


def epsilon_problem(value: object) -> str | None:
    """What would be allowed, where ``value`` isn't."""
    low, high = _EPSILONS
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        units = value * _EPSILON_UNIT
        if math.isclose(units, round(units), rel_tol=1e-9):
            return None
    return f"epsilon: {low:g} to {high:g}, in steps of {1 / _EPSILON_UNIT:g}"


def sensitivity_problem(value: object) -> str | None:
    """What would be allowed, where ``value`` isn't."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_SENSITIVITY:
        return None
    return f"sensitivity: a whole number of pixels, 1 to {_MOST_SENSITIVITY}"
