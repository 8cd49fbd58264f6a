"""Gaussian blur, bit-equal to ``cv2.GaussianBlur(pixels, (k, k), 0)``: the ancestor's method."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import MAX_KERNEL, kernel_of_sigma, sigma_of_kernel
from privface_backend.engines.anonymizers.parameter import is_whole, refuse
from privface_backend.plugins.ports import EngineContext


class GaussianAnonymizer:
    """The parameter is the kernel's side k in pixels: odd; 1 is no blur."""

    name: Final = "gaussian"
    allowed: Final = f"an odd kernel size in pixels, 1 (no blur) to {MAX_KERNEL}"

    def validate(self, parameter: int) -> None:
        if not is_whole(parameter) or not 1 <= parameter <= MAX_KERNEL or parameter % 2 == 0:
            raise refuse(self.name, self.allowed)

    def sigma(self, parameter: int) -> float:
        return sigma_of_kernel(parameter)

    def parameter_for(self, sigma: float) -> int:
        return kernel_of_sigma(sigma)

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        self.validate(parameter)
        if parameter == 1:
            return pixels.copy()
        return np.asarray(cv2.GaussianBlur(pixels, (parameter, parameter), 0), dtype=np.uint8)


def create(_context: EngineContext) -> GaussianAnonymizer:
    return GaussianAnonymizer()
