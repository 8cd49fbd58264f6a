"""The privacy parameter: kernel sizes, sigmas, and r, the strength relative to a face.

OpenCV's rule for ``GaussianBlur(img, (k, k), 0)``: sigma = 0.3 * ((k - 1) / 2 - 1) + 0.8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_KERNEL: Final = 255
"""The largest kernel size: sigma 38.6 px, six times what hides a face 60 px wide."""

CLEAR_METHOD: Final = "none"
BLUR_METHOD: Final = "gaussian"
"""What a lens out of focus comes nearest to."""


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
