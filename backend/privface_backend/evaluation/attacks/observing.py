"""What the attacker sees: frames as they cross the wire, and what their engines make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import AnonymizedFrame, Pixels
from privface_backend.domain.privacy import CLEAR_METHOD
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.casting import Shot
from privface_backend.evaluation.sightings import (
    Looker,
    OpenedPicture,
    Sighting,
    Templates,
    find_subject,
    pack_sightings,
    to_sighting,
    unpack_sightings,
)
from privface_backend.pipeline.pictures import decode_picture
from privface_backend.pipeline.process import Stopwatch
from privface_backend.protocol import Privacy

CLEAR_PRIVACY: Final = Privacy(method=CLEAR_METHOD, parameter=1)


class Restorer(Protocol):
    """Undoes an anonymization as well as it can."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str:
        """All that its answers depend on beside the frame."""

    def restore(self, frame: Pixels, parameter: int) -> Pixels:
        """A new picture of the frame's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """The attacker's eyes. ``transmit``: encodes a frame as its sender does; ``refuse`` takes files that can't be read.

    A picture that can't be read has no face.
    """

    looker: Looker
    transmit: Callable[[Pixels], bytes] = field(repr=False)
    refuse: Callable[[Path, PrivFaceError], None] = field(repr=False)

    def look_clear(self, shot: Shot) -> Sighting | None:
        """The subject of the clear picture at the working size; None: no face was found."""
        try:
            return self.looker.look(self.looker.open(shot.path), CLEAR_PRIVACY)
        except PrivFaceError as error:
            self.refuse(shot.path, error)
            return None

    def enroll(self, shot: Shot) -> Templates:
        """What enrolling the clear picture gives; empty: no face was found."""
        try:
            return self.looker.enroll(self.looker.open(shot.path))
        except PrivFaceError as error:
            self.refuse(shot.path, error)
            return ()

    def choose(self, shot: Shot, method: str, relative: float) -> Privacy | None:
        """The method with the parameter that comes nearest to ``relative`` = sigma / face width; None: no face."""
        if relative <= 0:
            return CLEAR_PRIVACY
        clear = self.look_clear(shot)
        if clear is None or clear.face is None:
            return None
        anonymizer = self.looker.process.engines.anonymizer(method)
        return Privacy(method=method, parameter=anonymizer.parameter_for(relative * clear.face.width))

    def strength(self, shot: Shot, privacy: Privacy) -> float:
        """r = sigma / face width, of the face where it is in the clear picture; 0 without one."""
        clear = self.look_clear(shot)
        if clear is None or clear.face is None:
            return 0.0
        return self.looker.process.level(privacy, clear.face).relative

    def clear_frame(self, shot: Shot) -> Pixels:
        """The picture at the working size.

        Raises:
            PrivFaceError: what ``Looker.open`` and ``decode_picture`` raise.
        """
        return self._anonymize(self.looker.open(shot.path), CLEAR_PRIVACY)

    def frame(self, shot: Shot, privacy: Privacy) -> Pixels:
        """The anonymized picture, encoded and decoded again.

        Raises:
            PrivFaceError: what ``Looker.open``, ``decode_picture`` and ``Process.anonymize`` raise.
        """
        return self._transmit(self._anonymize(self.looker.open(shot.path), privacy))

    def look(self, shot: Shot, privacy: Privacy, restorer: Restorer | None = None) -> Sighting | None:
        """The subject of the anonymized picture, restored by ``restorer``; None: no face was found.

        Where the restored picture shows none, the face's place in the anonymized one is taken; where that shows none
        either, its place in the clear one, as if somebody had marked it by hand.
        """
        if restorer is None:
            return self._remember(shot, privacy, "", lambda frame: self.represent(frame, privacy))

        def find(frame: Pixels) -> Sighting | None:
            before = self.look(shot, privacy)
            restored = restorer.restore(frame, privacy.parameter)
            return self.represent(restored, privacy, None if before is None else before.face)

        def mark(frame: Pixels) -> Sighting | None:
            clear = self.look_clear(shot)
            if clear is None or clear.face is None:
                return None
            return self.represent(restorer.restore(frame, privacy.parameter), privacy, clear.face)

        found = self._remember(shot, privacy, restorer.key, find)
        return found or self._remember(shot, privacy, f"{restorer.key}:marked", mark)

    def recognize(self, shot: Shot, privacy: Privacy) -> Sighting | None:
        """The subject of the anonymized picture as PrivFace itself sees it; None: no face was found."""
        process = self.looker.process
        if not process.smooths(privacy):
            return self.look(shot, privacy)
        return self._remember(
            shot, privacy, "smooth", lambda frame: self.represent(process.smooth(frame, privacy), privacy)
        )

    def _remember(
        self, shot: Shot, privacy: Privacy, how: str, see: Callable[[Pixels], Sighting | None]
    ) -> Sighting | None:
        """What ``see`` makes of the frame, or made of it before."""
        try:
            opened = self.looker.open(shot.path)
            key = self.looker.key("attack", self.looker.describe(privacy), how, opened.digest)
            entry = self.looker.cache.get(key)
            if entry is None:
                seen = see(self._transmit(self._anonymize(opened, privacy)))
                entry = pack_sightings([] if seen is None else [seen])
                self.looker.cache.put(key, entry)
        except PrivFaceError as error:
            self.refuse(shot.path, error)
            return None
        return next(iter(unpack_sightings(entry)), None)

    def represent(self, pixels: Pixels, privacy: Privacy, otherwise: DetectedFace | None = None) -> Sighting | None:
        """The subject of a frame as it is, or else the face ``otherwise``."""
        process = self.looker.process
        found = process.look(AnonymizedFrame(pixels=pixels, privacy=privacy), Stopwatch(), shown=pixels).faces
        faces = [face for face in found if face.vector is not None]
        if faces:
            return to_sighting(find_subject(faces))
        if otherwise is None:
            return None
        (vector,) = process.represent(pixels, [otherwise])
        return Sighting(level=process.level(privacy, otherwise), vector=vector, face=otherwise)

    def crop(self, pixels: Pixels, face: DetectedFace) -> Pixels:
        """The face as the recognizer wants it."""
        process = self.looker.process
        return process.engines.aligner.align(pixels, face, process.template)

    def _anonymize(self, opened: OpenedPicture, privacy: Privacy) -> Pixels:
        return self.looker.process.anonymize(opened.pixels, None, privacy, Stopwatch()).pixels

    def _transmit(self, frame: Pixels) -> Pixels:
        return decode_picture(self.transmit(frame), self.looker.limits, self.looker.process.longest)


def digest(*parts: bytes) -> str:
    """A short name of what something was fitted to."""
    return sha256(b"\n".join(parts)).hexdigest()[:16]
