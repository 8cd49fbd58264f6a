"""What happens to one frame: anonymize, detect, align, represent. All of it on the lane's thread.

Only an ``AnonymizedFrame`` reaches an engine: a frame that came clear is anonymized here, before the detector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final

from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.frames import WORKING_SIZE, AnonymizedFrame, Pixels
from privface_backend.domain.geometry import Size
from privface_backend.domain.matching import Contract
from privface_backend.domain.privacy import CLEAR, PrivacyLevel, base_method
from privface_backend.domain.quality import FaceQuality, QualityBar, turn, weigh
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.anonymizing import anonymize, with_noise
from privface_backend.pipeline.claims.check import check_claim
from privface_backend.pipeline.sharpness import measure_light, relative_sharpness
from privface_backend.plugins.ports import Aligner, Anonymizer, CropTemplate, Detector, MosaicAnonymizer, Recognizer
from privface_backend.protocol import AppliedBy, EngineNames, ErrorCode, Privacy, Reason

_TRUSTED: Final = frozenset({AppliedBy.CLIENT, AppliedBy.BRIDGE})


@dataclass(slots=True)
class Stopwatch:
    """Seconds by stage of one frame."""

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = self.clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - start

    def milliseconds(self) -> dict[str, float]:
        return {stage: seconds * 1000 for stage, seconds in self.seconds.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObservedFace:
    """A face of an anonymized frame; ``vector`` is None where it is unusable, for ``reason``."""

    face: DetectedFace
    level: PrivacyLevel
    reason: Reason
    quality: FaceQuality
    vector: Vector | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What was seen in one frame. ``size``: of the anonymized frame, in which the faces' boxes are."""

    faces: tuple[ObservedFace, ...]
    size: Size
    privacy: Privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The engines in use, made on the lane's thread."""

    detector: Detector
    aligner: Aligner
    recognizer: Recognizer
    anonymizers: Mapping[str, Anonymizer]

    @property
    def names(self) -> EngineNames:
        return EngineNames(detector=self.detector.name, recognizer=self.recognizer.identity.name.partition("+")[0])

    @property
    def contract(self) -> Contract:
        identity = self.recognizer.identity
        return Contract(
            recognizer=identity.name,
            weights_digest=identity.weights_digest,
            dimension=identity.dimension,
            alignment=f"{self.aligner.name}/{self.detector.landmarks.value}/{self.recognizer.template.name}",
        )

    def anonymizer(self, method: str) -> Anonymizer:
        """The anonymizer called ``method``.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``, with the methods that exist.
        """
        try:
            return self.anonymizers[method]
        except KeyError:
            raise PrivFaceError(
                ErrorCode.BAD_PRIVACY_PARAMETER,
                "There is no anonymizer of that name.",
                allowed=", ".join(self.anonymizers),
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One frame's way through the engines.

    ``longest``: the working size; ``require_client``: refuse frames that came clear; ``check_claims``: refuse frames
    with more detail than their card says.
    """

    engines: Engines
    bar: QualityBar = field(default_factory=QualityBar)
    longest: int = WORKING_SIZE
    require_client: bool = False
    check_claims: bool = True

    def anonymize(self, pixels: Pixels, claimed: Privacy | None, default: Privacy, watch: Stopwatch) -> AnonymizedFrame:
        """Bring a frame to the working size and anonymize it, unless its card says that the sender did.

        ``claimed``: what the frame card says; ``default``: method and parameter where it says nothing.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``, ``not_anonymized``, ``anonymizer_failed``.
        """
        if claimed is not None and claimed.applied_by in _TRUSTED:
            self.check_claim(pixels, claimed, watch)
            return AnonymizedFrame(pixels=pixels, privacy=replace(claimed, relative=None))
        wanted = claimed or default
        anonymizer = self.engines.anonymizer(wanted.method)
        anonymizer.validate(wanted.parameter)
        if self.require_client:
            raise PrivFaceError(
                ErrorCode.NOT_ANONYMIZED,
                "This backend takes only frames that were anonymized before they were sent.",
                allowed="a frame card with privacy.applied_by client or bridge",
            )
        with watch.stage("anonymize"):
            return anonymize(pixels, anonymizer, wanted, AppliedBy.BACKEND, self.longest)

    def check_claim(self, pixels: Pixels, claimed: Privacy, watch: Stopwatch | None = None) -> None:
        """Refuse what can't be what its sender says of it.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``, ``not_anonymized``.
        """
        anonymizer = self.engines.anonymizer(claimed.method)
        anonymizer.validate(claimed.parameter)
        with_noise(anonymizer, claimed)
        if self.check_claims:
            with nullcontext() if watch is None else watch.stage("check"):
                check_claim(pixels, claimed.method, claimed.parameter)

    def smooths(self, privacy: Privacy) -> bool:
        """Whether a frame so anonymized is shown to the engines without edges that its method drew."""
        return isinstance(self.engines.anonymizer(privacy.method), MosaicAnonymizer) and privacy.parameter > 1

    def smooth(self, pixels: Pixels, privacy: Privacy) -> Pixels:
        """What the engines are shown of an anonymized frame.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``: there is no such method.
        """
        anonymizer = self.engines.anonymizer(privacy.method)
        return anonymizer.smooth(pixels, privacy.parameter) if isinstance(anonymizer, MosaicAnonymizer) else pixels

    def look(self, frame: AnonymizedFrame, watch: Stopwatch, shown: Pixels | None = None) -> Look:
        """Find, judge, align and represent all faces of a frame. ``shown``: what the engines are shown of it, of the
        same shape; None: what ``smooth`` gives."""
        with watch.stage("detect"):
            if shown is None:
                shown = self.smooth(frame.pixels, frame.privacy)
            found = self.engines.detector.detect(shown)
        with watch.stage("represent"):
            judged = [self._judge(shown, frame.privacy, face) for face in found]
            crops = [crop for *_, reason, crop in judged if reason is Reason.OK and crop is not None]
            vectors = iter(self.engines.recognizer.represent(crops) if crops else ())
        faces = tuple(
            ObservedFace(
                face=face,
                level=level,
                reason=reason,
                quality=quality,
                vector=next(vectors) if reason is Reason.OK else None,
            )
            for face, level, quality, reason, _ in judged
        )
        return Look(faces=faces, size=frame.size, privacy=_with_relative(frame.privacy, faces))

    def _judge(
        self, shown: Pixels, privacy: Privacy, face: DetectedFace
    ) -> tuple[DetectedFace, PrivacyLevel, FaceQuality, Reason, Pixels | None]:
        """A face with its strength, its quality, whether it can be used, and its crop if one was made."""
        level = self.level(privacy, face)
        reason = self.bar.judge(face, level.relative)
        crop = self.engines.aligner.align(shown, face, self.template) if reason is Reason.OK else None
        quality = _measure(face, level, crop)
        if crop is not None:
            reason = self.bar.judge_crop(quality)
        if reason is Reason.OK:
            reason = self.bar.judge_weight(face, level.relative, quality)
        return face, level, quality, reason, crop

    def represent(self, pixels: Pixels, faces: Sequence[DetectedFace]) -> Sequence[Vector]:
        """One unit vector a face."""
        if not faces:
            return ()
        template = self.engines.recognizer.template
        crops = [self.engines.aligner.align(pixels, face, template) for face in faces]
        return list(self.engines.recognizer.represent(crops))

    def level(self, privacy: Privacy, face: DetectedFace) -> PrivacyLevel:
        """The face's privacy level: sigma of the method and parameter over the face's width."""
        sigma = self.engines.anonymizer(privacy.method).sigma(privacy.parameter)
        return PrivacyLevel(base_method(privacy.method), sigma / max(1.0, face.width)) if sigma > 0 else CLEAR

    @property
    def template(self) -> CropTemplate:
        return self.engines.recognizer.template


def _measure(face: DetectedFace, level: PrivacyLevel, crop: Pixels | None) -> FaceQuality:
    sharpness = brightness = contrast = None
    if crop is not None:
        brightness, contrast = measure_light(crop)
        sharpness = relative_sharpness(crop, level.relative, face.width)
    return FaceQuality(
        width=face.width,
        detection=face.score,
        turn=turn(face),
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
        weight=weigh(face, level.relative, sharpness),
    )


def _with_relative(privacy: Privacy, faces: Sequence[ObservedFace]) -> Privacy:
    """The privacy with r of the largest face."""
    if not faces:
        return privacy
    largest = max(faces, key=lambda observed: observed.face.box.area)
    return replace(privacy, relative=largest.level.relative)
