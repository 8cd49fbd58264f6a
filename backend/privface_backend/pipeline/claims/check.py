"""The refusal of a frame whose detail exceeds what its card says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.frames import Pixels
from privface_backend.domain.privacy import base_method
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.claims import blur, cells
from privface_backend.pipeline.claims.blur import Luma
from privface_backend.protocol import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailTest:
    """How a method's frames are tested.

    ``weakest``: the least parameter that can be tested. ``measure``: the most detail in a frame, in units of the most
    that is let through, which hardly an honest frame has.
    """

    weakest: int
    measure: Callable[[Luma, int], float]


_CELLS: Final = DetailTest(weakest=cells.WEAKEST, measure=cells.detail_beyond_cells)
TESTS: Final[Mapping[str, DetailTest]] = {
    "gaussian": DetailTest(weakest=blur.WEAKEST, measure=blur.detail_beyond_blur),
    "pixelate": _CELLS,
    "pixelate+noise": _CELLS,
}
"""By the method that blurs. What other methods leave, nobody here knows."""


def excess_detail(pixels: Pixels, method: str, parameter: int) -> float | None:
    """The most detail in a frame over the most that is let through: above 1 is too much. None: it can't be told."""
    test = TESTS.get(base_method(method))
    if test is None or parameter < test.weakest:
        return None
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.float32)
    return test.measure(luma, parameter)


def check_claim(pixels: Pixels, method: str, parameter: int) -> None:
    """Refuse a frame that isn't what its card says.

    Raises:
        PrivFaceError: ``not_anonymized``.
    """
    excess = excess_detail(pixels, method, parameter)
    if excess is not None and not excess <= 1:
        raise PrivFaceError(
            ErrorCode.NOT_ANONYMIZED,
            "The frame has more detail than its card says.",
            allowed="a frame anonymized as the card's privacy says, with nothing drawn over it afterwards",
        )
