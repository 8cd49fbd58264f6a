"""Recognition as the rest of the backend asks for it: bytes in, judgements out, all of it through the lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from privface_backend.audit.acts import note_faces
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.frames import Pixels
from privface_backend.domain.matching import Contract
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.identification import Judgement
from privface_backend.pipeline.lane import Lane
from privface_backend.pipeline.matcher import Matcher, Matchers, engines_not_ready
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import Look, Process, Stopwatch
from privface_backend.pipeline.versions import RepresentedVersions, Version, enroll_versions
from privface_backend.protocol import EngineNames, ErrorCode, Privacy

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A judgement and the milliseconds that its stages took."""

    judgement: Judgement
    latency_ms: dict[str, float]


class Observer(Protocol):
    """Is told of every frame, for counting and measuring; must return at once."""

    def looked(self, timed: Timed) -> None: ...

    def skipped(self, code: ErrorCode) -> None:
        """A frame was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionRules:
    """What is set from outside: limits, the default anonymization, how careful decisions are."""

    limits: PictureLimits
    default_privacy: Privacy
    ladder: Sequence[float]
    decision: DecisionRules
    enrollment: EnrollmentBar


class Recognition:
    """Looks at pictures, and decides about what user sides saw. ``make_process`` makes the engines, on the lane's
    thread, at ``start``."""

    def __init__(
        self, lane: Lane, matchers: Matchers, rules: RecognitionRules, make_process: Callable[[], Process]
    ) -> None:
        self._lane: Final = lane
        self._make_process: Final = make_process
        self._process: Process | None = None
        self._observers: Final[list[Observer]] = []
        self.matchers: Final = matchers
        self.rules: Final = rules

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` of every frame from now on."""
        self._observers.append(observer)

    def skip(self, code: ErrorCode) -> None:
        """Tell the observers of a frame that is not looked at."""
        for observer in self._observers:
            observer.skipped(code)

    async def start(self) -> Contract:
        """Make the engines; returns the contract that templates must have.

        Raises:
            PrivFaceError: an engine or its weights are missing.
        """
        process = await self._lane.run(self._make_process)
        process.engines.anonymizer(self.rules.default_privacy.method).validate(self.rules.default_privacy.parameter)
        contract = process.engines.contract
        self.matcher.use(contract, process.engines.recognizer.verification_threshold)
        self._process = process
        return contract

    def require_pictures(self, camera: str | None = None) -> None:
        """Refuse a picture before anything of it is read. ``camera``: whose it is said to be; None: nobody's.

        Raises:
            PrivFaceError: ``sealed``.
        """
        self.matchers.require_pictures(camera)

    @property
    def matcher(self) -> Matcher:
        """What compares the faces of pictures."""
        return self.matchers.main

    @property
    def ready(self) -> bool:
        return self.matchers.cameras.everything or self._process is not None

    @property
    def process(self) -> Process:
        """The process, with its engines.

        Raises:
            PrivFaceError: ``weights_missing``: they could not be made yet; ``sealed``: they are the user side's.
        """
        self.require_pictures()
        if self._process is None:
            raise engines_not_ready()
        return self._process

    async def identify(
        self,
        data: bytes,
        *,
        claimed: Privacy | None = None,
        default: Privacy | None = None,
        camera: str | None = None,
        newest: str | None = None,
    ) -> Timed:
        """Look at a picture's bytes. ``camera``: whose it is said to be; ``newest``: the camera for which a newer frame
        may take this one's place.

        Raises:
            PrivFaceError: what ``decode_picture``, ``Process.anonymize`` and the lane raise; ``sealed``.
        """
        self._refuse_if_sealed(camera)
        watch = Stopwatch()
        return await self._run(watch, newest, lambda: self._identify(data, claimed, default, watch))

    async def identify_pixels(
        self,
        pixels: Pixels,
        *,
        claimed: Privacy | None = None,
        default: Privacy | None = None,
        camera: str | None = None,
        newest: str | None = None,
    ) -> Timed:
        """Look at a decoded frame, as a video or a camera link gives it. ``camera``, ``newest``: as in ``identify``."""
        self._refuse_if_sealed(camera)
        watch = Stopwatch()
        return await self._run(watch, newest, lambda: self._judge(pixels, claimed, default, watch))

    async def identify_look(
        self, look: Look, engine: EngineNames, *, camera: str | None = None, newest: str | None = None
    ) -> Timed:
        """Decide about what a user side saw. ``camera``, ``newest``: as in ``identify``.

        Raises:
            PrivFaceError: what the lane raises; ``contract_mismatch``: the camera isn't sealed.
        """
        matcher, watch = self.matchers.require_sealed(camera), Stopwatch()
        return await self._run(watch, newest, lambda: self._verify(matcher, look, engine, watch))

    async def represent(
        self, data: bytes, *, claimed: Privacy | None = None, choice: FaceChoice | None = None
    ) -> RepresentedFace:
        """The templates of a picture's one face, for enrollment.

        Raises:
            PrivFaceError: what ``decode_picture`` and ``enroll`` raise; ``overloaded``.
        """
        process = self.process
        return await self._lane.run(
            lambda: enroll(
                process,
                decode_picture(data, self.rules.limits, process.longest if claimed is None else None),
                claimed=claimed,
                choice=choice or FaceChoice(),
                ladder=self.rules.ladder,
                bar=self.rules.enrollment,
            )
        )

    async def represent_versions(
        self, files: Sequence[bytes], *, claims: Sequence[Privacy | None], choice: FaceChoice | None = None
    ) -> RepresentedVersions:
        """The templates of one face, from versions of one picture that the sender anonymized; one job of the lane.

        Raises:
            PrivFaceError: what ``enroll_versions`` raises; ``overloaded``.
        """
        process = self.process
        versions = [
            Version(load=partial(decode_picture, data, self.rules.limits, None), claimed=claimed)
            for data, claimed in zip(files, claims, strict=True)
        ]
        return await self._lane.run(
            lambda: enroll_versions(process, versions, choice=choice or FaceChoice(), bar=self.rules.enrollment)
        )

    async def _run(self, watch: Stopwatch, newest: str | None, work: Callable[[], Judgement]) -> Timed:
        queued = self._queued(watch, work)
        judging = self._lane.run(queued) if newest is None else self._lane.run_newest(newest, queued)
        return await self._observed(judging, watch)

    async def _observed(self, judging: Awaitable[Judgement], watch: Stopwatch) -> Timed:
        try:
            timed = _timed(await judging, watch)
        except PrivFaceError as error:
            self.skip(error.code)
            raise
        note_faces(face.result for face in timed.judgement.faces)
        for observer in self._observers:
            observer.looked(timed)
        return timed

    def _identify(self, data: bytes, claimed: Privacy | None, default: Privacy | None, watch: Stopwatch) -> Judgement:
        with watch.stage("decode"):
            pixels = decode_picture(data, self.rules.limits, self.process.longest if claimed is None else None)
        return self._judge(pixels, claimed, default, watch)

    def _judge(self, pixels: Pixels, claimed: Privacy | None, default: Privacy | None, watch: Stopwatch) -> Judgement:
        process = self.process
        frame = process.anonymize(pixels, claimed, default or self.rules.default_privacy, watch)
        return self._verify(self.matcher, process.look(frame, watch), process.engines.names, watch)

    @staticmethod
    def _verify(matcher: Matcher, look: Look, engine: EngineNames, watch: Stopwatch) -> Judgement:
        with watch.stage("verify"):
            return matcher.judge(look, engine)

    def _refuse_if_sealed(self, camera: str | None) -> None:
        try:
            self.require_pictures(camera)
        except PrivFaceError as error:
            self.skip(error.code)
            raise

    @staticmethod
    def _queued(watch: Stopwatch, work: Callable[[], T]) -> Callable[[], T]:
        """The same work, with the time that it waited for the lane as its first stage."""
        queued_at = watch.clock()

        def timed() -> T:
            watch.seconds["queue"] = watch.clock() - queued_at
            return work()

        return timed


def _timed(judgement: Judgement, watch: Stopwatch) -> Timed:
    latency = watch.milliseconds()
    latency["total"] = sum(latency.values())
    return Timed(judgement=judgement, latency_ms=latency)
