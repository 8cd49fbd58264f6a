"""From a strength r to a parameter for one camera, by how wide faces are there."""

from __future__ import annotations

from typing import Final, Protocol

from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer

_EXACT: Final = 1e-9


class FaceWidths(Protocol):
    """Knows how wide faces are before each camera."""

    async def typical(self, camera: str) -> float | None:
        """The usual width of a face before a camera, in pixels of a frame at working size; None: too few were seen."""


def parameter_for(anonymizer: Anonymizer, relative: float, face_width: float) -> int:
    """The strongest parameter of a method that is no stronger than r = ``relative`` on a face so wide; 1: none is."""
    sigma = relative * face_width
    parameter = anonymizer.parameter_for(sigma)
    while parameter > 1 and (anonymizer.sigma(parameter) > sigma + _EXACT or not _takes(anonymizer, parameter)):
        parameter -= 1
    return parameter


def _takes(anonymizer: Anonymizer, parameter: int) -> bool:
    try:
        anonymizer.validate(parameter)
    except PrivFaceError:
        return False
    return True
