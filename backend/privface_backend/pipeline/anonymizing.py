"""Taking detail away from a picture: the same steps on every side."""

from __future__ import annotations

import cv2
import numpy as np

from privface_backend.domain.frames import WORKING_SIZE, AnonymizedFrame, Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.privacy import Noise
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import Anonymizer, FaceKeeper, NoisyAnonymizer
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy


def anonymize(
    pixels: Pixels, anonymizer: Anonymizer, wanted: Privacy, applied_by: AppliedBy, longest: int = WORKING_SIZE
) -> AnonymizedFrame:
    """A new picture, brought down to the working size and anonymized, with what was done to it, or an error: a frame
    never goes on clear because something failed.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``, ``anonymizer_failed``; ``weights_missing``, ``weights_mismatch``: of
            an anonymizer that looks for faces.
    """
    anonymizer = with_noise(anonymizer, wanted)
    small = resize(pixels, working_size(_size(pixels), longest))
    try:
        done, kept = _apply(anonymizer, small, wanted.parameter)
    except PrivFaceError:
        raise
    except Exception as error:
        raise PrivFaceError(ErrorCode.ANONYMIZER_FAILED, "The frame couldn't be anonymized and was dropped.") from error
    if np.shape(done) != small.shape or done.dtype != np.uint8 or np.may_share_memory(done, small):
        raise PrivFaceError(ErrorCode.ANONYMIZER_FAILED, "The anonymizer's answer is no new picture of the same size.")
    noise = anonymizer.noise if isinstance(anonymizer, NoisyAnonymizer) else None
    privacy = Privacy(
        method=wanted.method,
        parameter=wanted.parameter,
        applied_by=applied_by,
        epsilon=None if noise is None else noise.epsilon,
        sensitivity=None if noise is None else noise.sensitivity,
        kept=kept,
    )
    return AnonymizedFrame(pixels=done, privacy=privacy)


def with_noise(anonymizer: Anonymizer, wanted: Privacy) -> Anonymizer:
    """The anonymizer with the noise that is wanted; what adds none is as it was.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``.
    """
    if not isinstance(anonymizer, NoisyAnonymizer) or wanted.epsilon is wanted.sensitivity is None:
        return anonymizer
    own = anonymizer.noise
    epsilon = own.epsilon if wanted.epsilon is None else wanted.epsilon
    sensitivity = own.sensitivity if wanted.sensitivity is None else wanted.sensitivity
    return anonymizer.with_noise(Noise.of(epsilon, sensitivity))


def _apply(anonymizer: Anonymizer, pixels: Pixels, parameter: int) -> tuple[Pixels, int | None]:
    """The anonymized picture, and how many face regions are left of it; None: nothing was taken away."""
    anonymizer.validate(parameter)
    if not isinstance(anonymizer, FaceKeeper):
        return anonymizer.apply(pixels, parameter), None
    regions = anonymizer.find(pixels)
    return anonymizer.keep(pixels, parameter, regions), len(regions)


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Bring a picture down to ``size`` by area averaging; the same picture where it has that size."""
    if _size(pixels) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size.width, size.height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _size(pixels: Pixels) -> Size:
    height, width = pixels.shape[:2]
    return Size(width, height)
