"""What engines without weights are made with."""

from __future__ import annotations

from pathlib import Path

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


class NoWeights:
    """For engines that need none: each ask is an error."""

    def path(self, name: str) -> Path:
        raise PrivFaceError(ErrorCode.WEIGHTS_MISSING, f"There are no weights called {name} here.")

    def digest(self, name: str) -> str:
        raise PrivFaceError(ErrorCode.WEIGHTS_MISSING, f"There are no weights called {name} here.")

    @property
    def deepface_home(self) -> Path:
        raise PrivFaceError(ErrorCode.WEIGHTS_MISSING, "There are no weights here.")
