"""Anonymizing pictures inside Home Assistant, with numpy and Pillow alone and nothing of Home Assistant."""

from .crop import crop_face
from .errors import AnonymizationError
from .following import Limits, follow
from .method import Method
from .noisy import Noise
from .strength import METHODS, Strength
from .work import WORKING_SIZE, AnonymizedPicture, anonymize, anonymize_versions

__all__ = [
    "METHODS",
    "WORKING_SIZE",
    "AnonymizationError",
    "AnonymizedPicture",
    "Limits",
    "Method",
    "Noise",
    "Strength",
    "anonymize",
    "anonymize_versions",
    "crop_face",
    "follow",
]
