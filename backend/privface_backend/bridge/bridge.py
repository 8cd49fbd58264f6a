"""The bridge: cameras' lines, the sources and topics that feed them, and the way to whoever takes their pictures."""

from __future__ import annotations

import asyncio
import logging
import platform
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from privface_backend.bridge.adaptive import limits_of
from privface_backend.bridge.anonymizing import Workshop
from privface_backend.bridge.deliver import Deliver
from privface_backend.bridge.gate import GateRules
from privface_backend.bridge.line import CameraLine, LineParts
from privface_backend.bridge.link import STATE_SECONDS, BridgeLink
from privface_backend.bridge.listeners import BackendListener, Listener, PictureListener, TriggerListener
from privface_backend.bridge.pictures import AnyPicture
from privface_backend.bridge.settings import MOST_CAMERAS, CameraFeed
from privface_backend.bridge.sources import BACKOFF, SourceFeed, SourceOpener
from privface_backend.bridge.strength import Strength
from privface_backend.domain.backoff import Backoff
from privface_backend.domain.cameras import camera_name_problem
from privface_backend.models.checked import CheckedWeights
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.slugs import make_slug
from privface_backend.mqtt.topics import Topics
from privface_backend.pipeline.pictures import PictureLimits
from privface_backend.plugins.registry import Registry
from privface_backend.settings import Settings

if TYPE_CHECKING:
    from privface_backend.sealed.user_side import UserSide

_LOGGER: Final = logging.getLogger(__name__)
_THREADS: Final = 2
_AGAIN_SECONDS: Final = 5.0
_PATIENCE: Final = 5.0
_END_SECONDS: Final = 3.0
_ANY: Final = CameraFeed(topic="any")
_POLLED: Final = frozenset({"address", "webcam", "folder"})
_MEGABYTE: Final = 1024 * 1024

Offer = Callable[[AnyPicture], None]


class Companion(Listener, Protocol):
    """What listens on the broker and offers pictures in its own way, such as Frigate's part. ``run`` is its whole
    life; without a broker it only runs."""

    async def run(self) -> None: ...


MakeCompanion = Callable[[Offer], Companion]
"""Makes one, for the bridge that takes its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long is waited between attempts, and from one published state to the next."""

    broker: Backoff = field(default_factory=Backoff)
    sources: Backoff = BACKOFF
    state_seconds: float = STATE_SECONDS


def bridge_id(settings: Settings) -> str:
    """What the bridge is called on the broker."""
    return settings.bridge.id or make_slug(platform.node() or "home", platform.node())


class Bridge:
    """Runs the bridge. ``mqtt``: the broker; None: without one. ``companions`` make others that listen there.

    ``run`` is its whole life. All methods are for one event loop.
    """

    def __init__(
        self,
        settings: Settings,
        deliver: Deliver,
        *,
        mqtt: MqttSettings | None,
        clock: Callable[[], datetime],
        registry: Registry | None = None,
        companions: Sequence[MakeCompanion] = (),
        timing: Timing | None = None,
        side: UserSide | None = None,
    ) -> None:
        """Take over what to do; nothing is opened yet. ``side``: seals pictures instead of anonymizing them.

        Raises:
            SettingsError: a camera's address can't be used.
        """
        self._settings: Final = settings
        self._deliver: Final = deliver
        self._clock: Final = clock
        self._registry: Final = registry or Registry()
        self._timing: Final = timing or Timing()
        self._limits: Final = picture_limits(settings)
        self._pool: Final = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="privface-bridge")
        self._parts: Final = _make_parts(settings, self._registry, deliver, self._pool, side)
        self._lines: Final[dict[str, CameraLine]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._running = False
        self._sealed: Final = settings.unbridged_cameras
        self._refused_names = 0
        self._refused_sealed = 0
        self._backend: BackendListener | None = None
        self._companions: Final = tuple(make(self.offer) for make in companions)
        self._link: Final = None if mqtt is None else self._make_link(mqtt)
        for camera, feed in settings.feeds.items():
            self._add(camera, feed)
        self._feeds: Final = tuple(self._make_feeds())

    @property
    def connected(self) -> bool:
        """Whether the broker lets us in."""
        return self._link is not None and self._link.connected

    @property
    def lines(self) -> tuple[CameraLine, ...]:
        """All cameras' lines."""
        return tuple(self._lines.values())

    def line(self, camera: str) -> CameraLine | None:
        """The line of a camera, which may be a new one; None: it can't be one, it is sealed, or there are too many."""
        if camera in self._sealed:
            self._refused_sealed += 1
            level = logging.WARNING if self._refused_sealed == 1 else logging.DEBUG
            _LOGGER.log(level, "A picture of the sealed camera %s came, and is not looked at", camera)
            return None
        if camera not in self._lines:
            if camera_name_problem(camera) or len(self._lines) >= MOST_CAMERAS:
                self._refused_names += 1
                level = logging.WARNING if self._refused_names == 1 else logging.DEBUG
                _LOGGER.log(level, "A camera that a topic names is ignored: at most %d, with plain names", MOST_CAMERAS)
                return None
            self._add(camera, None)
        return self._lines[camera]

    def offer(self, picture: AnyPicture) -> None:
        """Take a picture in."""
        if (line := self.line(picture.camera)) is not None:
            line.offer(picture)

    def report(self) -> dict[str, Any]:
        """How the bridge stands, as it is published."""
        return {
            "backend": self._deliver.state,
            "cameras": {line.camera: line.to_dict() for line in self.lines},
        }

    async def run(self) -> None:
        """Work until cancelled."""
        self._running = True
        try:
            for name, work in self._loops():
                self._start(name, work)
            await asyncio.Event().wait()
        finally:
            self._running = False
            await _end(self._tasks)
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        yield "backend", self._deliver.keep_in_touch
        if self._link is not None:
            yield "mqtt", self._link.run
        for line in self.lines:
            yield f"camera {line.camera}", line.run
        for companion in self._companions:
            yield "companion", companion.run
        for feed in self._feeds:
            yield "source", partial(self._fetch, feed)

    async def _fetch(self, feed: SourceFeed) -> None:
        """Fetch, once it is known which cameras are switched off."""
        if self._link is not None:
            await self._link.wait_connected(_PATIENCE)
        await feed.run()

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(_keep_running(name, work), name=f"bridge {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add(self, camera: str, feed: CameraFeed | None) -> None:
        own = self._strength(feed)
        enabled, limits = feed is None or feed.enabled, limits_of(feed, own)
        line = CameraLine(camera, _rules(feed), own, self._parts, enabled=enabled, limits=limits)
        self._lines[camera] = line
        if self._backend is not None:
            self._backend.introduce(line)
        if self._running:
            self._start(f"camera {camera}", line.run)

    def _strength(self, feed: CameraFeed | None) -> Strength:
        privacy = self._settings.privacy
        method, parameter = (feed or _ANY).strength(privacy.method, privacy.parameter)
        return Strength(method=method, parameter=parameter)

    def _make_feeds(self) -> Iterator[SourceFeed]:
        for camera, feed in self._settings.feeds.items():
            if feed.way in _POLLED:
                opener = SourceOpener(camera, feed, registry=self._registry, limits=self._limits, clock=self._clock)
                yield SourceFeed(self._lines[camera], opener, self._timing.sources)

    def _make_link(self, mqtt: MqttSettings) -> BridgeLink:
        cameras, topics = self._settings.feeds, Topics(mqtt.base_topic)
        # Base64 takes a third more, and JSON something besides.
        largest = self._limits.bytes * 3 // 2
        self._backend = BackendListener(topics, lambda: self.lines)
        listeners: list[Listener] = [
            # First: what is switched off must be known before pictures come.
            self._backend,
            PictureListener(cameras, self._settings.bridge, line_of=self.line, clock=self._clock, most_bytes=largest),
            TriggerListener(cameras, self.line),
            *self._companions,
        ]
        return BridgeLink(
            mqtt,
            bridge_id(self._settings),
            listeners=listeners,
            report=self.report,
            largest=largest,
            backoff=self._timing.broker,
            state_seconds=self._timing.state_seconds,
        )


def picture_limits(settings: Settings) -> PictureLimits:
    """What is taken in of a picture."""
    return PictureLimits(
        bytes=settings.pipeline.picture_megabytes * _MEGABYTE,
        pixels=settings.pipeline.picture_megapixels * 1_000_000,
    )


def _make_parts(
    settings: Settings, registry: Registry, deliver: Deliver, pool: Executor, side: UserSide | None
) -> LineParts:
    keep = settings.bridge.keep_seconds
    workshop = _choose_workshop(side)(
        registry=registry,
        limits=picture_limits(settings),
        keep=timedelta(seconds=keep),
        longest=settings.pipeline.working_size,
        weights=CheckedWeights(settings.models_dir),
        noise=settings.privacy.default,
    )
    return LineParts(workshop=workshop, deliver=deliver, pool=pool, keep_seconds=keep)


def _choose_workshop(side: UserSide | None) -> Callable[..., Workshop]:
    if side is None:
        return Workshop
    from privface_backend.bridge.sealing import SealingWorkshop  # noqa: PLC0415  # what blurs has no use for engines

    return partial(SealingWorkshop, side)


def _rules(feed: CameraFeed | None) -> GateRules:
    feed = feed or _ANY
    return GateRules(
        interval=feed.interval, frames=feed.frames, cooldown=feed.cooldown, on_demand=feed.trigger is not None
    )


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: on Python 3.11 a library's ``wait_for`` may swallow a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_END_SECONDS)


async def _keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work``; where it fails by a mistake of ours, say where, and start it again: the other cameras go on."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # its own text could quote anything
            place = "".join(traceback.format_tb(error.__traceback__))
            kind = type(error).__name__
        else:
            return
        _LOGGER.error("The bridge's task %s failed: %s\n%s", name, kind, place)
        await asyncio.sleep(_AGAIN_SECONDS)
