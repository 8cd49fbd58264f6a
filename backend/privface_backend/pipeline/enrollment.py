"""From a picture to the templates of one face, at a ladder of privacy levels. Runs on the lane's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Box, Size
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.process import Process
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy

LADDER_METHOD: Final = "gaussian"
_SENDERS: Final = frozenset({AppliedBy.CLIENT, AppliedBy.BRIDGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentBar:
    """What a picture must have to be enrolled.

    ``smallest``: the face's width in pixels of the working frame; ``sharpness``: the least variance of the
    Laplacian over the aligned gray crop; ``dominant``: how many times as large (in area) as the next the largest
    face must be to be the picture's subject without being chosen.
    """

    smallest: float = 32.0
    sharpness: float = 15.0
    dominant: float = 2.0
    detection: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceChoice:
    """Which of several faces: the largest, or the one at ``box`` ([x, y, w, h], fractions of the picture)."""

    largest: bool = False
    box: tuple[float, float, float, float] | None = None


def sent_anonymized(claimed: Privacy | None) -> TypeGuard[Privacy]:
    """Whether the frame card says that the sender anonymized the picture."""
    return claimed is not None and claimed.applied_by in _SENDERS


def enroll(
    process: Process,
    pixels: Pixels,
    *,
    claimed: Privacy | None,
    choice: FaceChoice,
    ladder: Sequence[float] = LADDER,
    bar: EnrollmentBar,
) -> RepresentedFace:
    """The templates of the picture's one face.

    A clear picture gives a clear template and one for each strength of ``ladder``; one that its sender
    anonymized (``claimed``) gives the template of its own level.

    Raises:
        PrivFaceError: ``no_face``, ``several_faces``, ``face_too_small``, ``face_too_blurry``, ``not_anonymized``,
            ``bad_privacy_parameter``.
    """
    if sent_anonymized(claimed):
        process.check_claim(pixels, claimed)
        shown = process.smooth(pixels, claimed)
        face = choose_face(process, shown, choice, bar, check_sharpness=False)
        vectors = [(process.level(claimed, face), process.represent(shown, [face])[0])]
        return RepresentedFace(contract=process.engines.contract, vectors=tuple(vectors))
    if process.require_client:
        raise PrivFaceError(
            ErrorCode.NOT_ANONYMIZED,
            "This backend takes only pictures that were anonymized before they were sent.",
            allowed="a frame card with privacy.applied_by client or bridge",
        )
    height, width = pixels.shape[:2]
    frame = resize(pixels, working_size(Size(width, height), process.longest))
    face = choose_face(process, frame, choice, bar, check_sharpness=True)
    return RepresentedFace(contract=process.engines.contract, vectors=tuple(_climb(process, frame, face, ladder)))


def _climb(
    process: Process, frame: Pixels, face: DetectedFace, ladder: Sequence[float]
) -> list[tuple[PrivacyLevel, Vector]]:
    """The clear template, and one for each strength of the ladder that differs from the one below it.

    All are aligned by the clear picture's landmarks, which are the best that there are.
    """
    anonymizer, template = process.engines.anonymizer(LADDER_METHOD), process.template
    parameters = dict.fromkeys(anonymizer.parameter_for(strength * face.width) for strength in ladder)
    parameters.pop(1, None)
    levels = [CLEAR, *(PrivacyLevel(LADDER_METHOD, anonymizer.sigma(k) / face.width) for k in parameters)]
    pictures = [frame, *(anonymizer.apply(frame, parameter) for parameter in parameters)]
    crops = [process.engines.aligner.align(picture, face, template) for picture in pictures]
    return list(zip(levels, process.engines.recognizer.represent(crops), strict=True))


def choose_face(
    process: Process, frame: Pixels, choice: FaceChoice, bar: EnrollmentBar, *, check_sharpness: bool
) -> DetectedFace:
    """The face to enroll.

    Raises:
        PrivFaceError: ``no_face``, ``several_faces``, ``face_too_small``, ``face_too_blurry``.
    """
    found = process.engines.detector.detect(frame)
    if not found:
        raise PrivFaceError(ErrorCode.NO_FACE, "There is no face in the picture.")
    height, width = frame.shape[:2]
    face = _subject(found, Size(width, height), choice, bar)
    if face.width < bar.smallest:
        raise PrivFaceError(
            ErrorCode.FACE_TOO_SMALL,
            "The face in the picture is too small.",
            allowed=f"at least {bar.smallest:.0f} pixels wide in a picture {process.longest} pixels wide",
            details={"width": round(face.width, 1)},
        )
    if check_sharpness:
        sharpness = measure_sharpness(process.engines.aligner.align(frame, face, process.template))
        if sharpness < bar.sharpness:
            raise PrivFaceError(
                ErrorCode.FACE_TOO_BLURRY,
                "The face in the picture is too blurred.",
                allowed=f"a sharpness of at least {bar.sharpness:.0f}",
                details={"sharpness": round(sharpness, 1)},
            )
    return face


def _subject(found: Sequence[DetectedFace], size: Size, choice: FaceChoice, bar: EnrollmentBar) -> DetectedFace:
    if choice.box is not None:
        wanted = Box.from_fractions(choice.box, size)
        chosen = max(found, key=lambda face: face.box.overlap(wanted))
        if chosen.box.overlap(wanted) <= 0:
            raise PrivFaceError(ErrorCode.NO_FACE, "There is no face in the chosen place.")
        return chosen
    sure = [face for face in found if face.score >= bar.detection] or list(found)
    by_area = sorted(sure, key=lambda face: -face.box.area)
    if len(by_area) == 1 or choice.largest or by_area[0].box.area >= bar.dominant * by_area[1].box.area:
        return by_area[0]
    raise PrivFaceError(
        ErrorCode.SEVERAL_FACES,
        "There are several faces in the picture: choose one.",
        allowed="one face, or the largest, or the box of one",
        details={"boxes": [[round(side, 4) for side in face.box.to_fractions(size)] for face in by_area]},
    )


def measure_sharpness(crop: Pixels) -> float:
    """The variance of the Laplacian over the gray crop, brought to 112 pixels: 0 is flat."""
    gray = cv2.cvtColor(cv2.resize(crop, (112, 112), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return float(np.asarray(cv2.Laplacian(gray, cv2.CV_64F)).var())
