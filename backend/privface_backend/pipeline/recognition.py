"""Recognition as the rest of the backend asks for it: bytes in, judgements out, all of it through the lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from privface_backend.audit.acts import note_faces
from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.frames import Pixels
from privface_backend.domain.matching import Contract
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.score_models import score_model
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.index import NO_CONTRACT, GalleryIndex, GallerySnapshot
from privface_backend.pipeline.enrollment import EnrollmentBar, FaceChoice, enroll
from privface_backend.pipeline.identification import Judgement, judge
from privface_backend.pipeline.lane import Lane
from privface_backend.pipeline.pictures import PictureLimits, decode_picture
from privface_backend.pipeline.process import Look, Process, Stopwatch
from privface_backend.pipeline.versions import RepresentedVersions, Version, enroll_versions
from privface_backend.protocol import EngineNames, ErrorCode, Privacy

T = TypeVar("T")

_USUAL_THRESHOLD: Final = 0.4


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
    """What is set from outside: limits, the default anonymization, how careful decisions are. ``sealed``: a user side
    finds and represents the faces; no picture is taken."""

    limits: PictureLimits
    default_privacy: Privacy
    ladder: Sequence[float]
    decision: DecisionRules
    enrollment: EnrollmentBar
    sealed: bool = False


class Recognition:
    """Looks at pictures. ``make_process`` makes the engines, on the lane's thread, at ``start``."""

    def __init__(
        self, lane: Lane, index: GalleryIndex, rules: RecognitionRules, make_process: Callable[[], Process]
    ) -> None:
        self._lane: Final = lane
        self._index: Final = index
        self._make_process: Final = make_process
        self._process: Process | None = None
        self._model: ScoreModel | None = None
        self._ranking: tuple[GallerySnapshot, Ranking] | None = None
        self._observers: Final[list[Observer]] = []
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
        self._model = score_model(contract, process.engines.recognizer.verification_threshold)
        self._process = process
        return contract

    def use_sealed(self, contract: Contract, verification_threshold: float) -> None:
        """Compare a user side's templates from now on, which are of ``contract``."""
        self._model = score_model(contract, verification_threshold)
        self._ranking = None

    def require_pictures(self) -> None:
        """Refuse a picture, before anything of it is read.

        Raises:
            PrivFaceError: ``sealed``.
        """
        if self.rules.sealed:
            raise PrivFaceError(
                ErrorCode.SEALED,
                "This backend is sealed: it takes no pictures.",
                allowed="sealed frames, as `privface bridge` with bridge.sealed and `privface seal` send them",
            )

    @property
    def ready(self) -> bool:
        return self.rules.sealed or self._process is not None

    @property
    def process(self) -> Process:
        """The process, with its engines.

        Raises:
            PrivFaceError: ``weights_missing``: they could not be made yet; ``sealed``: they are the user side's.
        """
        self.require_pictures()
        if self._process is None:
            raise _not_ready()
        return self._process

    @property
    def model(self) -> ScoreModel:
        """How scores are distributed that these engines give.

        Raises:
            PrivFaceError: ``weights_missing``: the engines could not be made yet.
        """
        if self._model is None:
            if not self.rules.sealed:
                raise _not_ready()
            # Nobody has sent anything yet, so that nothing is compared.
            return score_model(NO_CONTRACT, _USUAL_THRESHOLD)
        return self._model

    def ranking(self) -> Ranking:
        """The comparison with everybody who is enrolled now. On any thread.

        Raises:
            PrivFaceError: ``weights_missing``: the engines could not be made yet.
        """
        snapshot, made = self._index.snapshot, self._ranking
        if made is None or made[0] is not snapshot:
            ranking = Ranking(snapshot.templates, self.model, self.rules.decision, snapshot.negatives, snapshot.ignored)
            made = self._ranking = (snapshot, ranking)
        return made[1]

    async def identify(
        self, data: bytes, *, claimed: Privacy | None = None, default: Privacy | None = None, newest: str | None = None
    ) -> Timed:
        """Look at a picture's bytes. ``newest``: the camera for which a newer frame may take this one's place.

        Raises:
            PrivFaceError: what ``decode_picture``, ``Process.anonymize`` and the lane raise; ``sealed``.
        """
        self._refuse_if_sealed()
        watch = Stopwatch()
        work = self._queued(watch, lambda: self._identify(data, claimed, default, watch))
        return await self._observed(
            self._lane.run(work) if newest is None else self._lane.run_newest(newest, work), watch
        )

    async def identify_pixels(
        self,
        pixels: Pixels,
        *,
        claimed: Privacy | None = None,
        default: Privacy | None = None,
        newest: str | None = None,
    ) -> Timed:
        """Look at a decoded frame, as a video or a camera link gives it. ``newest``: as in ``identify``."""
        self._refuse_if_sealed()
        watch = Stopwatch()
        work = self._queued(watch, lambda: self._judge(pixels, claimed, default, watch))
        return await self._observed(
            self._lane.run(work) if newest is None else self._lane.run_newest(newest, work), watch
        )

    async def identify_look(self, look: Look, engine: EngineNames, *, newest: str | None = None) -> Timed:
        """Decide about what somebody else's engines saw. ``newest``: as in ``identify``.

        Raises:
            PrivFaceError: what the lane raises.
        """
        watch = Stopwatch()
        work = self._queued(watch, lambda: self._verify(look, engine, watch))
        return await self._observed(
            self._lane.run(work) if newest is None else self._lane.run_newest(newest, work), watch
        )

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
        return self._verify(process.look(frame, watch), process.engines.names, watch)

    def _verify(self, look: Look, engine: EngineNames, watch: Stopwatch) -> Judgement:
        with watch.stage("verify"):
            return judge(look, self._index.snapshot, self.ranking(), rules=self.rules.decision, engine=engine)

    def _refuse_if_sealed(self) -> None:
        try:
            self.require_pictures()
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


def _not_ready() -> PrivFaceError:
    return PrivFaceError(ErrorCode.WEIGHTS_MISSING, "The engines are not ready. `privface doctor` says why.")


def _timed(judgement: Judgement, watch: Stopwatch) -> Timed:
    latency = watch.milliseconds()
    latency["total"] = sum(latency.values())
    return Timed(judgement=judgement, latency_ms=latency)
