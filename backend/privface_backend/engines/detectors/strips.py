"""Room for pictures that are too small or too narrow for a detector's network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Box, Size

# YuNet in OpenCV reads memory that nothing has written where a side takes one cell of its coarsest grid (32 pixels):
# it then finds faces that are not there, other ones at each call, with scores up to 1.
_LEAST: Final = 64

# DeepFace brings a picture down to 640 pixels before YuNet: what is narrower than a tenth would fall under ``_LEAST``.
_NARROWEST: Final = 10


def with_room(pixels: Pixels) -> Pixels:
    """The picture, black added at its right and bottom where it is too narrow; coordinates stay as they are."""
    height, width = pixels.shape[:2]
    least = max(_LEAST, -(-max(height, width) // _NARROWEST))
    if min(height, width) >= least:
        return pixels
    down, right = max(0, least - height), max(0, least - width)
    room = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(room, dtype=np.uint8)


def best_first(faces: Sequence[DetectedFace], pixels: Pixels) -> Sequence[DetectedFace]:
    """The faces that lie in the picture, at least in part, best score first."""
    height, width = pixels.shape[:2]
    frame = Box.of_frame(Size(width, height))
    return sorted((face for face in faces if face.box.intersection(frame).area > 0), key=lambda face: -face.score)
