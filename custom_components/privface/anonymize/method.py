"""What a method of anonymizing is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ANONYMIZER_FAILED, BAD_PRIVACY_PARAMETER, AnonymizationError

Pixels = NDArray[np.uint8]
"""A picture: uint8 (height, width, 3), 0 to 255, C-contiguous. Methods treat the three colors alike."""


class Method(Protocol):
    """Takes detail away from a picture. Its parameters run from ``minimum`` to ``maximum`` by ``step``."""

    @property
    def name(self) -> str:
        """The protocol's name of the method."""

    @property
    def minimum(self) -> int:
        """The weakest parameter."""

    @property
    def maximum(self) -> int:
        """The strongest parameter."""

    @property
    def useful(self) -> int:
        """The strongest parameter to offer: beyond it hardly a face is recognized."""

    @property
    def step(self) -> int:
        """From one parameter to the next."""

    @property
    def default(self) -> int:
        """The parameter where nobody chose one."""

    def validate(self, parameter: int) -> None:
        """Raise AnonymizationError ``bad_privacy_parameter`` for what isn't a parameter of the method."""

    def sigma(self, parameter: int) -> float:
        """The strength in pixels: the standard deviation of what a pixel is averaged over."""

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        """The anonymized picture, of the same size, in memory of its own."""


def check_parameter(method: Method, parameter: int, allowed: str) -> None:
    """Refuse a parameter that is not one of the method's. It is never brought to the nearest.

    Raises:
        AnonymizationError: ``bad_privacy_parameter``.
    """
    steps = range(method.minimum, method.maximum + 1, method.step)
    if type(parameter) is not int or parameter not in steps:
        raise AnonymizationError(
            BAD_PRIVACY_PARAMETER, f"The privacy parameter doesn't fit the method {method.name}.", allowed=allowed
        )


def check_pixels(pixels: Pixels) -> None:
    """Refuse an array that is no picture.

    Raises:
        AnonymizationError: ``anonymizer_failed``.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise AnonymizationError(ANONYMIZER_FAILED, "What should be anonymized is no picture.")
