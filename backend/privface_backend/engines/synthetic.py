"""Pictures with drawn faces, which the synthetic detector and recognizer understand without weights.

A drawn face is a square of 4 x 4 vividly colored cells on a gray ground; the colors are the identity.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Points

CELLS: Final = 4
GROUND: Final = 128

# The landmarks of a drawn face, as fractions of its square.
LANDMARKS: Final[Points] = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.35, 0.75], [0.65, 0.75]], dtype=np.float32)


def ground(width: int, height: int) -> Pixels:
    """An empty gray picture."""
    return np.full((height, width, 3), GROUND, dtype=np.uint8)


def draw_face(pixels: Pixels, identity: int, x: int, y: int, side: int) -> None:
    """Draw the face of ``identity`` (0 up) with its top left corner at (x, y); it must fit."""
    rng = np.random.default_rng(identity)
    # Two channels far from the third keep every cell colored, which is what the detector looks for.
    colors = np.zeros((CELLS, CELLS, 3), dtype=np.uint8)
    for row, column in np.ndindex(CELLS, CELLS):
        low = int(rng.integers(3))
        colors[row, column] = 255
        colors[row, column, low] = 0
        colors[row, column, (low + 1 + int(rng.integers(2))) % 3] = int(rng.integers(256))
    cell = side // CELLS
    block = np.repeat(np.repeat(colors, cell, axis=0), cell, axis=1)
    pixels[y : y + block.shape[0], x : x + block.shape[1]] = block
