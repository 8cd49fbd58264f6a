"""How strongly pictures are anonymized: as configured here, or more where the backend asks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from privface_backend.domain.privacy import CLEAR_METHOD, sigma_of_kernel
from privface_backend.plugins.ports import Anonymizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A method and its parameter."""

    method: str
    parameter: int


def at_least(own: Strength, kernel: int | None, anonymizer: Anonymizer) -> Strength:
    """``own``, or as strong as a gaussian blur of ``kernel`` pixels where that is stronger.

    Who switched anonymizing off here did so knowing it: nothing that the backend says switches it on or changes it.
    """
    if kernel is None or own.method == CLEAR_METHOD or sigma_of_kernel(kernel) <= anonymizer.sigma(own.parameter):
        return own
    parameter = anonymizer.parameter_for(sigma_of_kernel(kernel))
    return Strength(method=own.method, parameter=max(own.parameter, parameter))
