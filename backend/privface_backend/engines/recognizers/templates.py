"""Where each recognizer wants the landmarks: one crop template a recognizer family."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from privface_backend.domain.geometry import Size
from privface_backend.plugins.ports import CropTemplate

# The five points of 112x112 crops that SFace, ArcFace and their like were trained on, as in OpenCV's
# `FaceRecognizerSF.alignCrop`.
_ARCFACE_112: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)

# Mean landmarks in dlib's own 150x150 chips (padding 0.25), in pixels, over 219 pictures.
_DLIB_150: Final = np.array(
    [[45.1, 45.9], [102.1, 45.4], [73.8, 76.6], [50.1, 102.1], [98.1, 101.5]],
    dtype=np.float32,
)

# Mean landmarks in the crops that DeepFace makes of its detectors' boxes, as fractions of the square, over 219
# pictures, made symmetric.
_DEEPFACE_BOX: Final = np.array(
    [[0.326, 0.381], [0.674, 0.381], [0.5, 0.589], [0.346, 0.732], [0.654, 0.732]], dtype=np.float32
)


def arcface_template() -> CropTemplate:
    """112x112, for SFace, ArcFace, GhostFaceNet, Buffalo_L."""
    return CropTemplate(name="arcface-112", size=Size(112, 112), landmarks=_ARCFACE_112)


def dlib_template() -> CropTemplate:
    """150x150, for dlib's ResNet."""
    return CropTemplate(name="dlib-150", size=Size(150, 150), landmarks=_DLIB_150)


def box_template(size: Size) -> CropTemplate:
    """For models that DeepFace feeds with its detectors' boxes."""
    side = min(size.width, size.height)
    offset: NDArray[np.float32] = np.array([(size.width - side) / 2, (size.height - side) / 2], dtype=np.float32)
    return CropTemplate(
        name=f"box-{size.width}x{size.height}", size=size, landmarks=_DEEPFACE_BOX * np.float32(side) + offset
    )
