"""The user side: clear pictures in, sealed frames and enrollments out. Pictures and the key stay here."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from threading import Lock
from typing import Final

import numpy as np

from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.frames import AnonymizedFrame, Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.matching import Contract
from privface_backend.domain.privacy import CLEAR_METHOD, LADDER
from privface_backend.domain.score_models import score_model
from privface_backend.pipeline.anonymizing import resize
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.process import ObservedFace, Process, Stopwatch
from privface_backend.protection.master import MasterKey
from privface_backend.protection.matrix import orthonormal
from privface_backend.protocol import Privacy
from privface_backend.sealed.enrollments import SealedEnrollment
from privface_backend.sealed.frames import MOST_FACES, SealedFace, SealedFrame
from privface_backend.sealed.terms import SealedTerms


class Seal:
    """Projects the embeddings of one recognizer with a user side's key: x becomes Q · whiten(x), Q orthonormal and
    secret, so that cosine similarities stay what the pipeline would have compared."""

    def __init__(self, terms: SealedTerms, master: MasterKey) -> None:
        """Take over the terms as they are before sealing."""
        self._model: Final = score_model(terms.contract, terms.threshold)
        self._matrix: Final = orthonormal(master.derive("sealed matrix"), terms.contract.dimension)
        # As it comes out at the other end, which knows no more of it than its key.
        contract = Contract.from_key(terms.contract.sealed(master.id).key)
        self.terms: Final = replace(terms, contract=contract)

    def __call__(self, vector: Vector) -> Vector:
        """The sealed embedding, float32, of length 1."""
        whitened = self._model.whiten(vector).astype(np.float64)
        return normalized(self._matrix @ whitened)


class UserSide:
    """Looks at clear pictures; on any thread, one at a time."""

    def __init__(self, process: Process, master: MasterKey, ladder: Sequence[float] = LADDER) -> None:
        engines = process.engines
        before = SealedTerms(
            contract=engines.contract, engine=engines.names, threshold=engines.recognizer.verification_threshold
        )
        self._process: Final = process
        self._ladder: Final = tuple(ladder)
        self._bar: Final = EnrollmentBar()
        self._seal: Final = Seal(before, master)
        self._pictures: Final = master.derive("sealed pictures")
        # One network can't run on two threads at once.
        self._turn: Final = Lock()

    @property
    def terms(self) -> SealedTerms:
        """What is sent along with everything."""
        return self._seal.terms

    def look(self, pixels: Pixels) -> SealedFrame:
        """What is seen in a clear picture; of more than ``MOST_FACES`` those that the detector is surest of."""
        with self._turn:
            height, width = pixels.shape[:2]
            frame = AnonymizedFrame(
                pixels=resize(pixels, working_size(Size(width, height), self._process.longest)),
                privacy=Privacy(method=CLEAR_METHOD),
            )
            seen = self._process.look(frame, Stopwatch())
        faces = tuple(self._seal_face(face, seen.size) for face in seen.faces[:MOST_FACES])
        return SealedFrame(terms=self.terms, size=seen.size, faces=faces)

    def enroll(self, pixels: Pixels, data: bytes, choice: FaceChoice) -> SealedEnrollment:
        """The templates of the picture's one face. ``data``: the picture's file.

        Raises:
            PrivFaceError: ``no_face``, ``several_faces``, ``face_too_small``, ``face_too_blurry``.
        """
        with self._turn:
            found = enroll(self._process, pixels, claimed=None, choice=choice, ladder=self._ladder, bar=self._bar)
        return SealedEnrollment(
            terms=self.terms,
            vectors=tuple((level, self._seal(vector)) for level, vector in found.vectors),
            picture=hmac.new(self._pictures, data, sha256).hexdigest(),
        )

    def _seal_face(self, observed: ObservedFace, size: Size) -> SealedFace:
        return SealedFace(
            box=observed.face.box.to_fractions(size),
            quality=observed.quality,
            reason=observed.reason,
            vector=None if observed.vector is None else self._seal(observed.vector),
        )
