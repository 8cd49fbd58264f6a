"""What the handlers of REST are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiohttp import web

from privface_backend.audit.auditor import Auditor
from privface_backend.calibration.service import Calibrator
from privface_backend.calibration.strength import FaceWidths
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.memory import MemoryService
from privface_backend.gallery.records import Records
from privface_backend.gallery.retention import RetentionService
from privface_backend.gallery.service import GalleryService
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.household import Household
from privface_backend.pipeline.intake import Intake
from privface_backend.pipeline.lane import Lane
from privface_backend.pipeline.recognition import Recognition
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import Advice
from privface_backend.sealed.contracts import SealedContracts
from privface_backend.sealed.intake import SealedIntake
from privface_backend.settings import Settings
from privface_backend.storage.database import StorageThread
from privface_backend.storage.erasures import Receipt
from privface_backend.storage.events import EventLog
from privface_backend.storage.tokens import TokenStore


class BrokerStatus(Protocol):
    """How the connection to the broker stands, and why not better."""

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...


class BrokerCounts(Protocol):
    """What became of the events for the broker. ``waiting``: in the outbox now."""

    @property
    def published(self) -> int: ...

    @property
    def dropped_expired(self) -> int: ...

    @property
    def dropped_overflow(self) -> int: ...

    @property
    def reconnects(self) -> int: ...

    @property
    def waiting(self) -> int: ...


class Broker(Protocol):
    """The part of the link to the broker that is shown."""

    @property
    def status(self) -> BrokerStatus: ...

    @property
    def counters(self) -> BrokerCounts: ...


class WebhookCounts(Protocol):
    """What became of the events for one webhook. ``waiting``: in its queue now."""

    @property
    def sent(self) -> int: ...

    @property
    def failed(self) -> int: ...

    @property
    def dropped(self) -> int: ...

    @property
    def waiting(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of a running backend. ``weights`` tells of each weights file whether it is there, ``key_id`` the id of
    the master key, ``trouble`` why the engines can't be made, ``webhooks`` of each webhook, in their order, what it was
    sent, ``advice`` of a camera how strongly its frames should be anonymized; ``forgotten`` gives the receipt of
    somebody who was forgotten, when the broker knows or after so many seconds."""

    settings: Settings
    instance_id: str
    started_at: datetime
    clock: Callable[[], datetime]
    registry: Registry
    lane: Lane
    recognition: Recognition
    intake: Intake
    cameras: Cameras
    household: Household
    gallery: GalleryService
    memory: MemoryService
    index: GalleryIndex
    storage: StorageThread
    events: EventLog
    tokens: TokenStore
    audit: Auditor
    bus: Bus
    sealed: SealedContracts
    calibrator: Calibrator
    face_widths: FaceWidths
    records: Records
    retention: RetentionService
    forgotten: Callable[[str, float], Awaitable[Receipt | None]]
    broker: Broker | None = None
    weights: Callable[[], Mapping[str, str]] | None = None
    trouble: Callable[[], PrivFaceError | None] = lambda: None
    webhooks: Callable[[], Sequence[WebhookCounts]] = tuple
    key_id: Callable[[], str] = str
    advice: Callable[[str], Advice | None] = lambda _camera: None

    @property
    def sealed_intake(self) -> SealedIntake:
        """The way in for what is sealed."""
        return SealedIntake(
            contracts=self.sealed,
            recognition=self.recognition,
            intake=self.intake,
            cameras=self.cameras,
            gallery=self.gallery,
        )


SERVICES = web.AppKey("services", Services)
