"""The methods that there are, and how strongly one of them is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .errors import BAD_PRIVACY_PARAMETER, AnonymizationError
from .gaussian import Gaussian
from .method import Method
from .noisy import Noise, NoisyPixelate
from .pixelate import Pixelate

METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {method.name: method for method in (Gaussian(), Pixelate(), NoisyPixelate())}
)
"""By the protocol's names. "none" is not among them: nothing leaves clear. Nor is "background", which needs a detector:
Home Assistant has none, the bridge does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A method, and its parameter in pixels at the working size. ``noise``: of a method that adds some."""

    method: str
    parameter: int
    noise: Noise | None = None


def find_method(strength: Strength) -> Method:
    """The method of a strength whose parameter fits.

    Raises:
        AnonymizationError: ``bad_privacy_parameter``.
    """
    method = METHODS.get(strength.method)
    if method is None:
        raise AnonymizationError(
            BAD_PRIVACY_PARAMETER, "There is no such method of anonymizing.", allowed=", ".join(METHODS)
        )
    if isinstance(method, NoisyPixelate) and strength.noise is not None:
        method = NoisyPixelate(strength.noise)
    method.validate(strength.parameter)
    return method
