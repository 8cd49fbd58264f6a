"""The core: the opened data directory, the lane and recognition; what the command line needs to enroll and identify."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from privface_backend.audit.auditor import Auditor, open_audit
from privface_backend.audit.keys import remember_key
from privface_backend.domain.decision import DecisionRules, Naming
from privface_backend.domain.matching import Contract
from privface_backend.domain.quality import QualityBar
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation import CACHE_FOLDER
from privface_backend.evaluation.cache import FolderCache
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.gallery.memory import MemoryService
from privface_backend.gallery.records import Records
from privface_backend.gallery.retention import Keeping, RetentionService
from privface_backend.gallery.service import EnrollmentRules, GalleryService
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.enrollment import EnrollmentBar
from privface_backend.pipeline.lane import Lane, open_lane
from privface_backend.pipeline.matcher import Matchers
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.pipeline.process import Engines, Process
from privface_backend.pipeline.recognition import Recognition, RecognitionRules
from privface_backend.plugins.ports import EngineContext, GalleryStore, Weights
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protection.keys import KeyStore
from privface_backend.protection.settings import open_keys
from privface_backend.protocol import ErrorCode
from privface_backend.sealed.contracts import SealedContracts
from privface_backend.settings import Settings
from privface_backend.settings_sections import EngineSettings
from privface_backend.storage.database import Database, StorageThread
from privface_backend.storage.erasures import Erasures
from privface_backend.storage.events import EventLog
from privface_backend.storage.retention import Retention
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


def weights_to_serve(settings: Settings, registry: Registry) -> tuple[str, ...]:
    """The names, in the weights store, of what a backend needs; nothing where it is sealed."""
    return () if settings.privacy.sealed else needed_weights(settings.engines, registry, settings.methods)


def needed_weights(settings: EngineSettings, registry: Registry, methods: Iterable[str] = ()) -> tuple[str, ...]:
    """The names, in the weights store, of what the set engines need, and the methods of anonymizing."""
    wanted = (
        (EngineKind.DETECTOR, settings.detector),
        (EngineKind.ALIGNER, settings.aligner),
        (EngineKind.RECOGNIZER, settings.recognizer),
    )
    specs = [registry.spec(kind, name) for kind, name in wanted]
    tensorflow = settings.backend == "tensorflow"
    specs += [registry.spec(EngineKind.ANONYMIZER, method) for method in methods]
    names = (
        str(spec.arguments["tensorflow_weights"]) if tensorflow and "tensorflow_weights" in spec.arguments else name
        for spec in specs
        for name in spec.weights
    )
    return tuple(dict.fromkeys(names))


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
    audit: Auditor
    gallery: GalleryService
    memory: MemoryService
    records: Records
    retention: RetentionService
    index: GalleryIndex
    lane: Lane
    recognition: Recognition
    sealed: SealedContracts
    instance_id: str
    clock: Callable[[], datetime]

    async def start_engines(self) -> Contract | None:
        """Make the engines and load the gallery's templates for them, and those of user sides; their contract.

        A backend that is sealed as a whole has no engines, and no contract before a user side has sent something.

        Raises:
            PrivFaceError: an engine or its weights are missing.
        """
        await self.sealed.restore()
        if self.settings.privacy.sealed:
            return self.index.contract
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
    registry, weights = registry or Registry(), weights or WeightsStore(settings.models_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with (
        StorageThread() as storage,
        open_lane(settings.pipeline.waiting) as lane,
        _open_data(settings, storage, registry, weights, clock) as data,
    ):
        gallery = _make_gallery(settings, data)
        await gallery.poll()
        memory = _make_memory(settings, data, gallery)
        matchers = Matchers(gallery.indexes, _decision_rules(settings), settings.sealed_cameras)
        recognition = _make_recognition(settings, lane, matchers, weights, registry)
        yield Core(
            settings=settings,
            registry=registry,
            weights=weights,
            database=data.database,
            keys=data.keys,
            storage=storage,
            events=data.events,
            tokens=TokenStore(data.database),
            audit=data.audit,
            gallery=gallery,
            memory=memory,
            records=_make_records(data, gallery),
            retention=_make_retention(settings, data, memory),
            index=gallery.indexes.main,
            lane=lane,
            recognition=recognition,
            sealed=SealedContracts(recognition=recognition, gallery=gallery, storage=storage, database=data.database),
            instance_id=await storage.call(data.database.instance_id),
            clock=clock,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """What is open of the data directory, and what all that works on it needs."""

    storage: StorageThread
    database: Database
    keys: KeyStore
    audit: Auditor
    store: GalleryStore
    events: EventLog
    erasures: Erasures
    clock: Callable[[], datetime]


@contextlib.asynccontextmanager
async def _open_data(
    settings: Settings,
    storage: StorageThread,
    registry: Registry,
    weights: WeightsStore,
    clock: Callable[[], datetime],
) -> AsyncIterator[_Data]:
    keys = open_keys(settings.protection)
    database = await storage.call(Database, settings.data_dir / "privface.db", keys)
    audit_key = database.seals.protection.derive("audit")
    former = await storage.call(remember_key, database, audit_key)
    audit = open_audit(settings.data_dir, database, settings.audit, clock, key=audit_key, former=former)
    try:
        context = EngineContext(weights=weights, options={"database": database})
        yield _Data(
            storage=storage,
            database=database,
            keys=keys,
            audit=audit,
            store=await storage.call(registry.create, EngineKind.GALLERY, "sqlite", context),
            events=EventLog(database),
            erasures=Erasures(database),
            clock=clock,
        )
    finally:
        await audit.aclose()
        await storage.call(database.close)


def _make_gallery(settings: Settings, data: _Data) -> GalleryService:
    cameras = settings.sealed_cameras
    beside = GalleryIndex() if cameras and not cameras.everything else None
    return GalleryService(
        store=data.store,
        storage=data.storage,
        indexes=GalleryIndexes(GalleryIndex(), beside),
        clock=data.clock,
        events=data.events,
        erasures=data.erasures,
        clear_caches=FolderCache(settings.data_dir / CACHE_FOLDER).clear,
        rules=EnrollmentRules(require_consent=settings.enrollment.require_consent, folder=settings.gallery.folder),
    )


def _make_memory(settings: Settings, data: _Data, gallery: GalleryService) -> MemoryService:
    return MemoryService(
        gallery=gallery,
        store=data.store,
        storage=data.storage,
        events=data.events,
        clock=data.clock,
        keeping=timedelta(hours=settings.memory.hours),
    )


def _make_records(data: _Data, gallery: GalleryService) -> Records:
    return Records(
        gallery=gallery,
        store=data.store,
        storage=data.storage,
        events=data.events,
        erasures=data.erasures,
        clock=data.clock,
    )


def _make_retention(settings: Settings, data: _Data, memory: MemoryService) -> RetentionService:
    return RetentionService(
        retention=Retention(data.database),
        storage=data.storage,
        memory=memory,
        keeping=Keeping(
            events=timedelta(days=settings.retention.event_days),
            nameless=timedelta(days=settings.retention.nameless_days),
        ),
        clock=data.clock,
    )


def _make_recognition(
    settings: Settings, lane: Lane, matchers: Matchers, weights: WeightsStore, registry: Registry
) -> Recognition:
    return Recognition(
        lane,
        matchers,
        _rules(settings),
        lambda: Process(
            engines=load_engines(settings.engines, weights, registry),
            bar=QualityBar(smallest=settings.decision.smallest_face),
            longest=settings.pipeline.working_size,
            require_client=settings.privacy.require_client,
            check_claims=settings.privacy.check_claims,
        ),
    )


def _rules(settings: Settings) -> RecognitionRules:
    return RecognitionRules(
        limits=PictureLimits(
            bytes=settings.pipeline.picture_megabytes * 1024 * 1024,
            pixels=settings.pipeline.picture_megapixels * 1_000_000,
        ),
        default_privacy=settings.privacy.default,
        ladder=settings.privacy.ladder,
        decision=_decision_rules(settings),
        enrollment=EnrollmentBar(),
    )


def _decision_rules(settings: Settings) -> DecisionRules:
    decision = settings.decision
    return DecisionRules(naming=Naming(decision.naming), caution=decision.caution, margin=decision.margin)
