"""Taking detail away from a picture: the same steps on every side."""

from __future__ import annotations

import cv2
import numpy as np

from privface_backend.domain.frames import WORKING_SIZE, Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer
from privface_backend.protocol import ErrorCode


def anonymize(pixels: Pixels, anonymizer: Anonymizer, parameter: int, longest: int = WORKING_SIZE) -> Pixels:
    """A new picture, brought down to the working size and anonymized, or an error: a frame never goes on clear because
    something failed.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``, ``anonymizer_failed``.
    """
    small = resize(pixels, working_size(_size(pixels), longest))
    try:
        done = anonymizer.apply(small, parameter)
    except PrivFaceError:
        raise
    except Exception as error:
        raise PrivFaceError(ErrorCode.ANONYMIZER_FAILED, "The frame couldn't be anonymized and was dropped.") from error
    if np.shape(done) != small.shape or done.dtype != np.uint8 or np.may_share_memory(done, small):
        raise PrivFaceError(ErrorCode.ANONYMIZER_FAILED, "The anonymizer's answer is no new picture of the same size.")
    return done


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Bring a picture down to ``size`` by area averaging; the same picture where it has that size."""
    if _size(pixels) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size.width, size.height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _size(pixels: Pixels) -> Size:
    height, width = pixels.shape[:2]
    return Size(width, height)
