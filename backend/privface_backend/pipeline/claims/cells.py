"""The test of a frame that is said to be made of cells: within a cell nothing changes, but for what JPEG adds."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from privface_backend.pipeline.claims.blur import Luma

WEAKEST: Final = 2
"""The least cell side that is tested: cells of one pixel leave all."""

_ALL_NOISY: Final = 3
"""Up to this side, JPEG hardly leaves a cell even."""
_FLOOR: Final = 5.0
_NOISY_FLOOR: Final = 10.0
_CONTRAST_SHARE: Final = 0.375
_NEIGHBORS: Final = (3, 3)


def detail_beyond_cells(luma: Luma, cell: int) -> float:
    """The most change within any cell and its neighbors, over the most that is let through for JPEG's sake between
    cells of such contrast. Parts of cells at the right and the bottom are left out.
    """
    across, down = luma.shape[1] // cell, luma.shape[0] // cell
    if not across or not down:
        return 0.0
    whole, size = luma[: down * cell, : across * cell], (across, down)
    border = cv2.BORDER_REFLECT
    means = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    within = np.maximum(cv2.resize(whole * whole, size, interpolation=cv2.INTER_AREA) - means * means, 0)
    change = np.sqrt(np.maximum(cv2.blur(within, _NEIGHBORS, borderType=border), 0))
    around = cv2.blur(means, _NEIGHBORS, borderType=border)
    spread = cv2.blur(means * means, _NEIGHBORS, borderType=border) - around * around
    contrast = np.sqrt(np.maximum(spread, 0))
    floor = _NOISY_FLOOR if cell <= _ALL_NOISY else _FLOOR
    share = _CONTRAST_SHARE * floor / _FLOOR
    return float(np.max(change / (floor + share * contrast)))
