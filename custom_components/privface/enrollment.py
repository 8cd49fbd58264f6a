"""At which strengths a picture is anonymized before it is sent to be enrolled.

Nobody here knows how large the face in a picture is, and a camera's strength means more to a face further away. So a
picture goes out at every strength that a camera uses, and at stronger ones up from the weakest: the backend then has a
template near whatever strength a face before a camera turns out to have. None is weaker than what cameras send.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from .anonymize import METHODS, Strength

_FACTOR: Final = 1.4
"""From one step's sigma to the next: templates between two steps are interpolated."""
_STRONGEST_SIGMA: Final = 25.0
"""Pixels at the working size: r = 0.1, at which hardly anybody is named, for a face as large as a close-up's."""
_MOST: Final = 12


def enrollment_strengths(of_cameras: Iterable[Strength]) -> tuple[Strength, ...]:
    """The strengths to send a picture at, weakest first; without cameras those from gaussian's default up."""
    used = set(of_cameras) or {Strength(method="gaussian", parameter=METHODS["gaussian"].default)}
    strengths = set(used)
    for name in {strength.method for strength in used}:
        weakest = min((strength for strength in used if strength.method == name), key=_sigma)
        sigma = _sigma(weakest) * _FACTOR
        while sigma <= _STRONGEST_SIGMA:
            strengths.add(replace(weakest, parameter=_nearest(name, sigma)))
            sigma *= _FACTOR
    more = sorted(strengths - used, key=_order)[: max(0, _MOST - len(used))]
    return tuple(sorted({*used, *more}, key=_order))


def _order(strength: Strength) -> tuple[float, str]:
    return _sigma(strength), strength.method


def _sigma(strength: Strength) -> float:
    return METHODS[strength.method].sigma(strength.parameter)


def _nearest(name: str, sigma: float) -> int:
    method = METHODS[name]
    return min(
        range(method.minimum, method.maximum + 1, method.step),
        key=lambda parameter: abs(method.sigma(parameter) - sigma),
    )
