"""No anonymization: for homes that trust their backend, and for comparison."""

from __future__ import annotations

from typing import Final

from privface_backend.domain.frames import Pixels
from privface_backend.engines.anonymizers.parameter import is_whole, refuse
from privface_backend.plugins.ports import EngineContext


class ClearAnonymizer:
    """The parameter is 1."""

    name: Final = "none"
    allowed: Final = "1"

    def validate(self, parameter: int) -> None:
        if not is_whole(parameter) or parameter != 1:
            raise refuse(self.name, self.allowed)

    def sigma(self, parameter: int) -> float:  # noqa: ARG002  # the port's signature
        return 0.0

    def parameter_for(self, sigma: float) -> int:  # noqa: ARG002  # the port's signature
        return 1

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        self.validate(parameter)
        return pixels.copy()


def create(_context: EngineContext) -> ClearAnonymizer:
    return ClearAnonymizer()
