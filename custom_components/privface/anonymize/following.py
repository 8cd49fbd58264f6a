"""A strength that follows what the backend advises, within limits that only the user sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .gaussian import Gaussian
from .strength import METHODS, Strength

_GAUSSIAN: Final = Gaussian()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Between which parameters of the method the strength may follow."""

    least: int
    most: int


def follow(own: Strength, limits: Limits | None, kernel: int | None, *, current: bool) -> Strength:
    """``own``, or as strong as a gaussian blur of ``kernel`` pixels, which the backend advises, within ``limits``.

    Whatever ``kernel`` is, the result is within the limits. Without an advice, or with one that is none, it is
    ``own``, but never weaker than the limits; where the backend is away (``current`` off), the stronger one of that and
    the last advised.
    """
    if limits is None:
        return own
    floor = max(own.parameter, limits.least)
    if type(kernel) is not int or not 1 <= kernel <= _GAUSSIAN.maximum or kernel % 2 == 0:
        return replace(own, parameter=floor)
    method = METHODS[own.method]
    sigma = 0.0 if kernel == 1 else _GAUSSIAN.sigma(kernel)
    allowed = range(limits.least, limits.most + 1, method.step)
    parameter = next((parameter for parameter in allowed if method.sigma(parameter) >= sigma), allowed[-1])
    return replace(own, parameter=parameter if current else max(parameter, floor))
