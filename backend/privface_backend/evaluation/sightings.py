"""What the engines make of a picture: its subject's embedding at a strength, or the templates that enrolling gives.

Every picture of a set is looked at and enrolled, whatever its quality: refusals would leave the others with an easier
task. Whether the pipeline would have used a face is judged later, from what is kept beside its embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from privface_backend.domain.faces import DetectedFace, Vector
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Box, Size
from privface_backend.domain.privacy import LADDER, PrivacyLevel
from privface_backend.domain.quality import FaceQuality, QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.cache import Cache, Entry
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import ObservedFace, Process, Stopwatch
from privface_backend.pipeline.versions import Version, enroll_versions
from privface_backend.protocol import AppliedBy, ErrorCode, Privacy, Reason

_ANY: Final = float("inf")
OPEN_BAR: Final = QualityBar(
    smallest=0,
    detection=0,
    strongest=_ANY,
    turned=_ANY,
    sharpness=-_ANY,
    darkest=0,
    brightest=_ANY,
    contrast=0,
    weight=0,
)
OPEN_ENROLLMENT: Final = EnrollmentBar(smallest=0, sharpness=0, detection=0)
SENT_KERNELS: Final = (17, 25, 33, 49, 65, 97)
"""The kernel sizes at which a sender is taken to blur each picture that it sends for enrollment."""

_SHAPE: Final = "1:" + ",".join(one.name for one in fields(FaceQuality))
"""What is kept of a face: entries of another shape are not found."""

Templates = tuple[tuple[PrivacyLevel, Vector], ...]
"""The vectors of one enrolled picture, each with its level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """A face and its embedding. ``face``, ``quality``: None where only the template was kept."""

    level: PrivacyLevel
    vector: Vector = field(repr=False)
    face: DetectedFace | None = field(default=None, repr=False)
    quality: FaceQuality | None = None

    @property
    def strength(self) -> PrivacyLevel:
        """How strongly the face is blurred in all."""
        return self.level if self.quality is None else self.quality.strength(self.level)

    def judge(self, bar: QualityBar) -> Reason:
        """``OK``, or why the pipeline would not use the face."""
        reason = Reason.OK if self.face is None else bar.judge(self.face, self.level.relative)
        if reason is Reason.OK and self.quality is not None:
            reason = bar.judge_crop(self.quality)
        if reason is Reason.OK and self.quality is not None and self.face is not None:
            reason = bar.judge_weight(self.face, self.level.relative, self.quality)
        return reason

    def usable(self, bar: QualityBar) -> bool:
        """Whether the pipeline would use the face."""
        return self.judge(bar) is Reason.OK


def find_subject(faces: Sequence[ObservedFace]) -> ObservedFace:
    """Whom the picture is of: the surest of the faces that are at least half as large as the largest."""
    largest = max(face.face.box.area for face in faces)
    return max((face for face in faces if face.face.box.area >= largest / 2), key=lambda face: face.face.score)


class OpenedPicture:
    """A picture's file, decoded when something is asked that isn't known yet."""

    def __init__(self, path: Path, limits: PictureLimits, longest: int) -> None:
        """Raises:
        PrivFaceError: ``not_found``, ``picture_unreadable``.
        """
        try:
            with path.open("rb") as file:
                self._data: Final = file.read(limits.bytes + 1)
        except FileNotFoundError:
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file.") from None
        except OSError as error:
            raise PrivFaceError(ErrorCode.PICTURE_UNREADABLE, f"A file can't be read: {error.strerror}.") from None
        self.digest: Final = sha256(self._data).hexdigest()
        self._limits, self._longest = limits, longest

    @cached_property
    def pixels(self) -> Pixels:
        """Raises:
        PrivFaceError: what ``decode_picture`` raises.
        """
        return decode_picture(self._data, self._limits, self._longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Looks at pictures with the engines of ``process``, whose bar must be ``OPEN_BAR``; or remembers from ``cache``.

    A key of the cache holds all that an embedding depends on: contract, detector, working size, anonymization and
    the picture's sha256.
    """

    process: Process
    cache: Cache
    ladder: Sequence[float] = LADDER
    limits: PictureLimits = field(default_factory=PictureLimits)

    def open(self, path: Path) -> OpenedPicture:
        """The picture of a file.

        Raises:
            PrivFaceError: ``not_found``, ``picture_unreadable``.
        """
        return OpenedPicture(path, self.limits, self.process.longest)

    def look(self, picture: OpenedPicture, privacy: Privacy) -> Sighting | None:
        """The picture's subject, anonymized as ``privacy`` says; None: no face was found.

        Raises:
            PrivFaceError: what ``decode_picture`` and ``Process.anonymize`` raise.
        """
        how = ":smooth" if self.process.smooths(privacy) else ""
        key = self.key("look", f"{privacy.method}:{privacy.parameter}{how}", picture.digest)
        entry = self.cache.get(key)
        if entry is None:
            entry = pack_sightings(self._look(picture, privacy))
            self.cache.put(key, entry)
        return next(iter(unpack_sightings(entry)), None)

    def _look(self, picture: OpenedPicture, privacy: Privacy) -> list[Sighting]:
        watch = Stopwatch()
        frame = self.process.anonymize(picture.pixels, None, privacy, watch)
        seen = [face for face in self.process.look(frame, watch).faces if face.vector is not None]
        return [to_sighting(find_subject(seen))] if seen else []

    def enroll(self, picture: OpenedPicture) -> Templates:
        """The clear template and those of the ladder; empty: no face was found.

        Raises:
            PrivFaceError: what ``decode_picture`` raises.
        """
        return self._enroll(picture, "ladder:" + ",".join(map(str, self.ladder)), self._climb)

    def enroll_sent(self, picture: OpenedPicture) -> Templates:
        """The templates of the picture as a sender would blur it, at ``SENT_KERNELS``; empty: no face was found.

        Raises:
            PrivFaceError: what ``decode_picture`` raises.
        """
        return self._enroll(picture, "sent:" + ",".join(map(str, SENT_KERNELS)), self._take_versions)

    def _enroll(self, picture: OpenedPicture, how: str, represent: Any) -> Templates:
        key = self.key("enroll", how, picture.digest)
        entry = self.cache.get(key)
        if entry is None:
            pixels = picture.pixels
            try:
                face: RepresentedFace = represent(pixels)
                found = [Sighting(level=level, vector=vector) for level, vector in face.vectors]
            except PrivFaceError as error:
                if error.code is not ErrorCode.NO_FACE:
                    raise
                found = []
            entry = pack_sightings(found)
            self.cache.put(key, entry)
        return tuple((sighting.level, sighting.vector) for sighting in unpack_sightings(entry))

    def _climb(self, pixels: Pixels) -> RepresentedFace:
        choice = FaceChoice(largest=True)
        return enroll(self.process, pixels, claimed=None, choice=choice, ladder=self.ladder, bar=OPEN_ENROLLMENT)

    def _take_versions(self, pixels: Pixels) -> RepresentedFace:
        frame = resize(pixels, working_size(Size(pixels.shape[1], pixels.shape[0]), self.process.longest))
        blur = self.process.engines.anonymizer("gaussian").apply
        versions = [
            Version(
                load=partial(blur, frame, kernel),
                claimed=Privacy(method="gaussian", parameter=kernel, applied_by=AppliedBy.CLIENT),
            )
            for kernel in SENT_KERNELS
        ]
        return enroll_versions(self.process, versions, choice=FaceChoice(largest=True), bar=OPEN_ENROLLMENT).face

    def key(self, *parts: str) -> str:
        """A key of the cache."""
        engines = self.process.engines
        return "\n".join((_SHAPE, engines.contract.key, engines.detector.name, str(self.process.longest), *parts))


def to_sighting(face: ObservedFace) -> Sighting:
    """An observed face that has a vector."""
    if face.vector is None:
        raise ValueError("the face has no vector")
    return Sighting(level=face.level, vector=face.vector, face=face.face, quality=face.quality)


def pack_sightings(sightings: Sequence[Sighting], notes: Mapping[str, Any] | None = None) -> Entry:
    """Sightings as an entry of the cache."""
    rows = [
        {
            "method": one.level.method,
            "relative": one.level.relative,
            "face": _pack_face(one.face),
            "quality": None if one.quality is None else asdict(one.quality),
        }
        for one in sightings
    ]
    vectors = np.stack([one.vector for one in sightings]) if sightings else np.empty((0, 0), dtype=np.float32)
    return Entry(notes={**(notes or {}), "rows": rows}, vectors=vectors)


def unpack_sightings(entry: Entry) -> list[Sighting]:
    """What ``pack_sightings`` packed."""
    return [
        Sighting(
            level=PrivacyLevel(row["method"], row["relative"]),
            vector=vector,
            face=_unpack_face(row["face"]),
            quality=None if row["quality"] is None else FaceQuality(**row["quality"]),
        )
        for row, vector in zip(entry.notes["rows"], entry.vectors, strict=True)
    ]


def _pack_face(face: DetectedFace | None) -> dict[str, Any] | None:
    if face is None:
        return None
    box = [float(side) for side in (face.box.x, face.box.y, face.box.width, face.box.height)]
    landmarks = None if face.landmarks is None else np.asarray(face.landmarks, dtype=float).tolist()
    return {"box": box, "score": float(face.score), "landmarks": landmarks}


def _unpack_face(packed: Mapping[str, Any] | None) -> DetectedFace | None:
    if packed is None:
        return None
    landmarks = None if packed["landmarks"] is None else np.asarray(packed["landmarks"], dtype=np.float32)
    return DetectedFace(box=Box(*packed["box"]), score=packed["score"], landmarks=landmarks)
