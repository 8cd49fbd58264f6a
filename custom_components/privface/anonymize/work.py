"""From a clear picture to an anonymized file. It fails closed: a clear pixel never gets past an error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from .errors import ANONYMIZER_FAILED, AnonymizationError
from .jpeg import encode_picture
from .method import Method, Pixels
from .pictures import decode_picture
from .strength import Strength, find_method

WORKING_SIZE: Final = 640
"""The longest side, in pixels, at which pictures are anonymized and recognized where nobody says otherwise."""

_TURN: Final = threading.Lock()
"""One picture at a time in the whole process: the threads of ten cameras at once keep the event loop from its turn for
a tenth to half a second, and aren't done any sooner on the few cores that they share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizedPicture:
    """What may leave: a JPEG without any metadata. ``width`` and ``height`` are its own."""

    data: bytes = field(repr=False)
    width: int
    height: int
    strength: Strength


def anonymize(data: bytes, strength: Strength, *, longest: int = WORKING_SIZE) -> AnonymizedPicture:
    """Decode a picture, turn it upright, bring it down to ``longest``, anonymize and encode it. For an executor.

    Raises:
        AnonymizationError: whatever went wrong; of the picture nothing is in it.
    """
    (picture,) = anonymize_versions(data, (strength,), longest=longest)
    return picture


def anonymize_versions(
    data: bytes, strengths: Sequence[Strength], *, longest: int = WORKING_SIZE
) -> tuple[AnonymizedPicture, ...]:
    """Anonymize a picture once for each strength, decoding it only once; all of them or none.

    Raises:
        AnonymizationError: as ``anonymize``.
    """
    try:
        methods = [find_method(strength) for strength in strengths]
        with _TURN:
            pixels = decode_picture(data, longest)
            return tuple(
                _make_version(pixels, method, strength) for method, strength in zip(methods, strengths, strict=True)
            )
    except AnonymizationError:
        raise
    except Exception:  # noqa: BLE001, S110  # whatever failed, MemoryError too: the picture is dropped, below
        pass
    # Out here, so that the error doesn't carry along what caused it, whose text may quote the picture.
    raise AnonymizationError(ANONYMIZER_FAILED, "The picture couldn't be anonymized and was dropped.")


def _make_version(pixels: Pixels, method: Method, strength: Strength) -> AnonymizedPicture:
    done = method.apply(pixels, strength.parameter)
    if done.shape != pixels.shape or done.dtype != np.uint8 or np.may_share_memory(done, pixels):
        raise AnonymizationError(ANONYMIZER_FAILED, "The method's answer is no anonymized picture of the same size.")
    height, width, _ = done.shape
    return AnonymizedPicture(data=encode_picture(done), width=width, height=height, strength=strength)
