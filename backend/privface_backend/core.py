"""The core: the opened data directory, the lane and recognition; what the command line needs to enroll and identify."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from privface_backend.domain.decision import DecisionRules, Naming
from privface_backend.domain.matching import Contract
from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.memory import MemoryService
from privface_backend.gallery.service import GalleryService
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.enrollment import EnrollmentBar
from privface_backend.pipeline.lane import Lane, open_lane
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.process import Engines, Process
from privface_backend.pipeline.recognition import Recognition, RecognitionRules
from privface_backend.plugins.ports import EngineContext, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protection.keys import KeyStore
from privface_backend.protection.settings import open_keys
from privface_backend.protocol import ErrorCode, Privacy
from privface_backend.settings import Settings
from privface_backend.settings_sections import EngineSettings
from privface_backend.storage.database import Database, StorageThread
from privface_backend.storage.events import EventLog
from privface_backend.storage.tokens import TokenStore


def utc_now() -> datetime:
    return datetime.now(UTC)


def load_engines(settings: EngineSettings, weights: Weights, registry: Registry | None = None) -> Engines:
    """Make the engines that are set. On the thread that will use them.

    Raises:
        PrivFaceError: ``engine_unknown``, ``engine_missing``, ``engine_failed``, ``weights_missing`` or
            ``weights_mismatch``.
    """
    try:
        return _make_engines(settings, weights, registry or Registry())
    except PrivFaceError:
        raise
    except Exception as error:
        # Third parties' engines and the runtimes below them raise what they like.
        message = f"The engines can't be made: {type(error).__name__}: {error}"
        raise PrivFaceError(ErrorCode.ENGINE_FAILED, message) from error


def _make_engines(settings: EngineSettings, weights: Weights, registry: Registry) -> Engines:
    context = EngineContext(weights=weights, options={"backend": settings.backend})
    return Engines(
        detector=registry.create(EngineKind.DETECTOR, settings.detector, context),
        aligner=registry.create(EngineKind.ALIGNER, settings.aligner, context),
        recognizer=registry.create(EngineKind.RECOGNIZER, settings.recognizer, context),
        anonymizers={
            spec.name: registry.create(EngineKind.ANONYMIZER, spec.name, context)
            for spec in registry.all(EngineKind.ANONYMIZER)
            if not registry.missing(spec)
        },
    )


def needed_weights(settings: EngineSettings, registry: Registry) -> tuple[str, ...]:
    """The names, in the weights store, of what the set engines need."""
    wanted = (
        (EngineKind.DETECTOR, settings.detector),
        (EngineKind.ALIGNER, settings.aligner),
        (EngineKind.RECOGNIZER, settings.recognizer),
    )
    specs = [registry.spec(kind, name) for kind, name in wanted]
    tensorflow = settings.backend == "tensorflow"
    return tuple(
        str(spec.arguments["tensorflow_weights"]) if tensorflow and "tensorflow_weights" in spec.arguments else name
        for spec in specs
        for name in spec.weights
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What enrolling and identifying need."""

    settings: Settings
    registry: Registry
    weights: WeightsStore
    database: Database
    keys: KeyStore
    storage: StorageThread
    events: EventLog
    tokens: TokenStore
    gallery: GalleryService
    memory: MemoryService
    index: GalleryIndex
    lane: Lane
    recognition: Recognition
    instance_id: str
    clock: Callable[[], datetime]

    async def start_engines(self) -> Contract:
        """Make the engines and load the gallery's templates for them.

        Raises:
            PrivFaceError: an engine or its weights are missing.
        """
        contract = await self.recognition.start()
        await self.gallery.use_contract(contract)
        return contract


@contextlib.asynccontextmanager
async def open_core(
    settings: Settings,
    *,
    registry: Registry | None = None,
    clock: Callable[[], datetime] = utc_now,
    weights: WeightsStore | None = None,
) -> AsyncIterator[Core]:
    """Open the data directory; the engines are made by ``Core.start_engines``.

    Raises:
        PrivFaceError: ``gallery_corrupt``, ``gallery_too_new``, ``storage_failed``, ``storage_full``.
    """
    registry = registry or Registry()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    weights = weights or WeightsStore(settings.models_dir)
    async with StorageThread() as storage, open_lane(settings.pipeline.waiting) as lane:
        keys = open_keys(settings.protection)
        database = await storage.call(Database, settings.data_dir / "privface.db", keys)
        try:
            context = EngineContext(weights=weights, options={"database": database})
            store = await storage.call(registry.create, EngineKind.GALLERY, "sqlite", context)
            events = EventLog(database)
            index = GalleryIndex()
            gallery = GalleryService(store=store, storage=storage, index=index, clock=clock, events=events)
            await gallery.poll()
            memory = MemoryService(
                gallery=gallery,
                store=store,
                storage=storage,
                index=index,
                events=events,
                clock=clock,
                keeping=timedelta(hours=settings.memory.hours),
            )
            yield Core(
                settings=settings,
                registry=registry,
                weights=weights,
                database=database,
                keys=keys,
                storage=storage,
                events=events,
                tokens=TokenStore(database),
                gallery=gallery,
                memory=memory,
                index=index,
                lane=lane,
                recognition=_make_recognition(settings, lane, index, weights, registry),
                instance_id=await storage.call(database.instance_id),
                clock=clock,
            )
        finally:
            await storage.call(database.close)


def _make_recognition(
    settings: Settings, lane: Lane, index: GalleryIndex, weights: WeightsStore, registry: Registry
) -> Recognition:
    return Recognition(
        lane,
        index,
        _rules(settings),
        lambda: Process(
            engines=load_engines(settings.engines, weights, registry),
            bar=QualityBar(smallest=settings.decision.smallest_face),
            longest=settings.pipeline.working_size,
            require_client=settings.privacy.require_client,
        ),
    )


def _rules(settings: Settings) -> RecognitionRules:
    return RecognitionRules(
        limits=PictureLimits(
            bytes=settings.pipeline.picture_megabytes * 1024 * 1024,
            pixels=settings.pipeline.picture_megapixels * 1_000_000,
        ),
        default_privacy=Privacy(method=settings.privacy.method, parameter=settings.privacy.parameter),
        ladder=settings.privacy.ladder,
        decision=DecisionRules(
            naming=Naming(settings.decision.naming), caution=settings.decision.caution, margin=settings.decision.margin
        ),
        enrollment=EnrollmentBar(),
    )
