"""From versions of one picture, each anonymized by the sender, to the templates of one face. Runs on the lane's thread.

The face is looked for in the sharpest version alone, and all are aligned by what was found there, so that a version too
strong to find a face in gives a good template as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.frames import Pixels
from privface_backend.domain.geometry import Size
from privface_backend.domain.privacy import PrivacyLevel
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, choose_face, sent_anonymized
from privface_backend.pipeline.process import Process
from privface_backend.protocol import ErrorCode, Privacy

_ROUNDING: Final = 1.0
"""Sides are whole pixels, so that the two scales between two sizes of one picture miss by up to this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version: ``load`` decodes it, ``claimed`` is what its card says."""

    load: Callable[[], Pixels] = field(repr=False)
    claimed: Privacy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentedVersions:
    """The face, and by place why versions were refused."""

    face: RepresentedFace
    refused: Mapping[int, PrivFaceError]


def enroll_versions(
    process: Process, versions: Sequence[Version], *, choice: FaceChoice, bar: EnrollmentBar
) -> RepresentedVersions:
    """One face with a template for the level of each version.

    Raises:
        PrivFaceError: why the sharpest version (the smallest sigma) was refused, or the first where none can be used:
            what ``load`` raises, ``no_face``, ``several_faces``, ``face_too_small``, ``not_anonymized``,
            ``bad_privacy_parameter``; ``bad_request``: they are not of one picture.
    """
    claims, refused = _check_claims(process, versions)
    if not claims:
        raise next(iter(refused.values()))
    by_sharpness = sorted(claims, key=lambda place: _sigma(process, claims[place]))
    frame = _load(process, versions[by_sharpness[0]], claims[by_sharpness[0]])
    first, size = choose_face(process, frame, choice, bar, check_sharpness=False), _size(frame)
    vectors: dict[PrivacyLevel, Vector] = {}
    for place in by_sharpness:
        if place != by_sharpness[0]:
            try:
                frame = _load(process, versions[place], claims[place])
            except PrivFaceError as error:
                refused[place] = error
                continue
        face = _carry_over(first, size, _size(frame))
        level = process.level(claims[place], face)
        if level not in vectors:
            vectors[level] = process.represent(frame, [face])[0]
    represented = RepresentedFace(contract=process.engines.contract, vectors=tuple(vectors.items()))
    return RepresentedVersions(face=represented, refused=dict(sorted(refused.items())))


def _load(process: Process, version: Version, claimed: Privacy) -> Pixels:
    pixels = version.load()
    process.check_claim(pixels, claimed)
    return process.smooth(pixels, claimed)


def _check_claims(process: Process, versions: Sequence[Version]) -> tuple[dict[int, Privacy], dict[int, PrivFaceError]]:
    """By place, the claims that hold, and what is wrong with the others."""
    claims: dict[int, Privacy] = {}
    refused: dict[int, PrivFaceError] = {}
    for place, version in enumerate(versions):
        if not sent_anonymized(version.claimed):
            refused[place] = PrivFaceError(
                ErrorCode.NOT_ANONYMIZED,
                "Versions of one picture are anonymized before they are sent.",
                allowed="a frame card for each with privacy.applied_by client or bridge",
            )
            continue
        try:
            process.engines.anonymizer(version.claimed.method).validate(version.claimed.parameter)
        except PrivFaceError as error:
            refused[place] = error
        else:
            claims[place] = version.claimed
    return claims, refused


def _sigma(process: Process, privacy: Privacy) -> float:
    return process.engines.anonymizer(privacy.method).sigma(privacy.parameter)


def _size(pixels: Pixels) -> Size:
    height, width = pixels.shape[:2]
    return Size(width, height)


def _carry_over(face: DetectedFace, source: Size, target: Size) -> DetectedFace:
    """The face of a version of size ``source`` in one of size ``target``.

    Raises:
        PrivFaceError: ``bad_request``: the two differ in more than their size.
    """
    across, down = target.width / source.width, target.height / source.height
    if min(abs(across * source.height - target.height), abs(down * source.width - target.width)) > _ROUNDING:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "The files are not versions of one picture.",
            allowed="pictures with one ratio of width to height",
        )
    return face if source == target else face.scaled(across if source.width >= source.height else down)
