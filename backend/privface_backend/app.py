"""The composition root: the only module that knows every part.

``open_backend`` adds to the core what a service does besides: events, states, MQTT, the watched folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from privface_backend.advising import Advising
from privface_backend.audit.acts import decision
from privface_backend.audit.entries import By
from privface_backend.audit.telling import of_command, of_picture, of_start
from privface_backend.bridge.bridge import Bridge
from privface_backend.bridge.local import LocalDeliver
from privface_backend.calibration.service import Calibrator
from privface_backend.calibration.sightings import LoggedFaceWidths
from privface_backend.core import Core, open_core, utc_now
from privface_backend.dht.service import Dht
from privface_backend.events import Bus, Message
from privface_backend.frigate.companion import make_companions
from privface_backend.gallery.event_writer import EventWriter
from privface_backend.gallery.folder import watch_folder
from privface_backend.gallery.keeper import MemoryKeeper
from privface_backend.models.store import WeightsStore
from privface_backend.mqtt.embedding import broker_where_needed
from privface_backend.mqtt.link import MqttLink
from privface_backend.mqtt.sealed import SealedListener
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.showing import Showing
from privface_backend.mqtt.topics import Command, SetEnabled
from privface_backend.pipeline.cameras import Camera, Cameras
from privface_backend.pipeline.forgetting import LiveForgetting, nothing_heard
from privface_backend.pipeline.household import CameraState, Household, PersonState
from privface_backend.pipeline.intake import Intake
from privface_backend.pipeline.keeping import StateKeeper
from privface_backend.pipeline.matcher import Matcher
from privface_backend.pipeline.strangers import Strangers
from privface_backend.pipeline.visit_settings import VisitSettings
from privface_backend.plugins.ports import EngineContext, Forgets, Sink
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import Event, StreamMessage
from privface_backend.rest.services import Services
from privface_backend.settings import Settings
from privface_backend.starting import EngineStart
from privface_backend.tasks import (
    FIRST_RETRY,
    follow_states,
    in_background,
    poll,
)

if TYPE_CHECKING:
    from privface_backend.mqtt.broker import EmbeddedBroker

_LOGGER: Final = logging.getLogger(__name__)
_POLL_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A running backend without its REST server, which gets ``services``."""

    core: Core
    services: Services
    link: MqttLink
    mqtt_settings: MqttSettings
    broker: EmbeddedBroker | None
    started: asyncio.Event

    async def engines_ready(self) -> None:
        """Wait until the engines are made."""
        await self.started.wait()


@contextlib.asynccontextmanager
async def open_backend(
    settings: Settings,
    *,
    registry: Registry | None = None,
    clock: Callable[[], datetime] = utc_now,
    weights: WeightsStore | None = None,
    retry_seconds: float = FIRST_RETRY,
) -> AsyncIterator[Backend]:
    """Open the data directory and start everything but REST: engines, broker, MQTT, states, the watched folder.

    ``retry_seconds``: when engines that can't be made are first tried again.

    Raises:
        PrivFaceError: the data directory can't be used, or a port that was asked for is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings, registry=registry, clock=clock, weights=weights))
        broker = await stack.enter_async_context(broker_where_needed(settings))
        parts = _Parts(core, broker, retry_seconds)
        await parts.restore()
        core.audit.tell(of_start(settings.redacted()))
        await stack.enter_async_context(in_background(parts.loops()))
        yield parts.backend()


class _Parts:
    """Makes the parts above the core and ties them together."""

    def __init__(self, core: Core, broker: EmbeddedBroker | None, retry_seconds: float) -> None:
        settings = core.settings
        self._core: Final = core
        self._broker: Final = broker
        self._start: Final = EngineStart(core, retry_seconds)
        self._wake: Final = asyncio.Event()
        self._bus: Final = Bus()
        self._household: Final = Household(hold=timedelta(seconds=settings.decision.hold_seconds))
        enabled = settings.mqtt.enabled and (broker is not None or settings.broker_configured)
        self._mqtt: Final = (
            replace(settings.mqtt, enabled=enabled)
            if broker is None
            else broker.settings(base_topic=settings.mqtt.base_topic, outbox_limit=settings.mqtt.outbox_limit)
        )
        self._link: Final = MqttLink(self._mqtt, on_command=self._command, clock=core.clock)
        self._showing: Final = Showing(self._link, settings, self._mqtt, core.instance_id)
        self._projection: Final = self._showing.projection
        self._cameras: Final = Cameras(on_change=self._camera_changed, on_removal=self._camera_removed)
        self._states: Final = StateKeeper(core.storage, core.database, self._cameras, self._household)
        self._advising: Final = Advising(settings, self._cameras, self._projection, self._bus)
        self._record: Final = EventWriter(
            gallery=core.gallery, index=core.index, storage=core.storage, log=core.events, wake=self._wake.set
        )
        self._keeper: Final = MemoryKeeper(core.memory)
        self._intake: Final = Intake(
            recognition=core.recognition,
            cameras=self._cameras,
            household=self._household,
            bus=self._bus,
            record=self._take_events,
            clock=core.clock,
            settings=VisitSettings.make(settings.decision, core.recognition.rules.decision),
            strangers=self._make_strangers,
            wake=self._wake.set,
            gate=core.audit.check,
            learn=self._advising.advisor.take,
        )
        self._bridge: Final = self._make_bridge()
        self._services: Final = self._make_services()
        self._sealed_frames: Final = self._make_sealed_listener() if settings.mqtt.sealed_frames else None
        self._dht: Final = Dht(self._services, self._start.done) if settings.dht.enabled else None
        self._sinks: Final = self._make_sinks()
        self._forgetting: Final = self._make_forgetting()
        core.gallery.on_change(self._take_people)
        self._bus.call(self._to_mqtt)
        self._bus.call(self._to_sinks)

    def _make_sinks(self) -> dict[str, Sink]:
        """The sinks beside MQTT, by name."""
        core, options = self._core, dict[str, dict[str, object]]()
        if core.settings.webhooks:
            options["webhook"] = {"hooks": core.settings.webhooks, "clock": core.clock}
        if self._dht is not None and core.settings.dht.events:
            options["dht"] = {"link": self._dht.link}
        return {
            name: core.registry.create(EngineKind.SINK, name, EngineContext(weights=core.weights, options=own))
            for name, own in options.items()
        }

    def _make_forgetting(self) -> LiveForgetting:
        showing = self._showing
        queues = (*showing.links, self._intake, *(() if self._dht is None else (self._dht.link,)))
        return LiveForgetting(
            records=self._core.records,
            bus=self._bus,
            queues=(*queues, *(sink for sink in self._sinks.values() if isinstance(sink, Forgets))),
            links=showing.links,
            shown=showing.published,
            left_over=showing.tell_forgotten,
            heard=showing.left_overs.heard.wait if self._mqtt.enabled else nothing_heard,
        )

    def _make_bridge(self) -> Bridge | None:
        """The bridge, where cameras are set for it; not where it runs as a process of its own."""
        settings = self._core.settings
        wanted = settings.feeds or settings.bridge.topics or settings.frigate.enabled
        if settings.bridge.backend or not wanted:
            return None
        deliver = LocalDeliver(self._intake, self._cameras, self._core.recognition, self._advising.kernel)
        mqtt = self._mqtt if self._mqtt.enabled else None
        companions = make_companions(settings, clock=self._core.clock, ended=self._intake.end_source_event)
        return Bridge(
            settings,
            deliver,
            mqtt=mqtt,
            clock=self._core.clock,
            registry=self._core.registry,
            companions=companions,
        )

    def _make_strangers(self, matcher: Matcher) -> Strangers | None:
        return Strangers(self._keeper, matcher) if self._core.memory.keeps else None

    def _make_sealed_listener(self) -> SealedListener:
        return SealedListener(self._link, self._services.sealed_intake, self._core.audit, self._core.clock)

    async def restore(self) -> None:
        """Take over people and what was last seen of them."""
        await self._states.restore(self._take_people)
        await self._advising.restore(self._core.storage, self._core.database)
        await self._keeper.load()

    def _make_services(self) -> Services:
        core = self._core
        return Services(
            settings=core.settings,
            instance_id=core.instance_id,
            started_at=core.clock(),
            clock=core.clock,
            registry=core.registry,
            lane=core.lane,
            recognition=core.recognition,
            intake=self._intake,
            cameras=self._cameras,
            household=self._household,
            gallery=core.gallery,
            memory=core.memory,
            index=core.index,
            storage=core.storage,
            events=core.events,
            tokens=core.tokens,
            audit=core.audit,
            bus=self._bus,
            sealed=core.sealed,
            calibrator=Calibrator(core),
            face_widths=LoggedFaceWidths(core.events, core.storage),
            broker=self._link,
            records=core.records,
            retention=core.retention,
            forgotten=lambda person_id, seconds: self._forgetting.wait(person_id, seconds),  # noqa: PLW0108  # made later
            weights=self._start.weights,
            trouble=lambda: self._start.trouble,
            key_id=lambda: core.database.seals.protection.key_id,
            advice=self._advising.advisor.advice,
            webhooks=lambda: getattr(self._sinks.get("webhook"), "counters", ()),
        )

    def backend(self) -> Backend:
        return Backend(
            core=self._core,
            services=self._services,
            link=self._link,
            mqtt_settings=self._mqtt,
            broker=self._broker,
            started=self._start.done,
        )

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """The background loops by name."""
        core = self._core
        yield "engines", self._start.run()
        yield "mqtt", self._link.run()
        yield from self._showing.loops()
        for name, sink in self._sinks.items():
            yield f"{name} sink", sink.run()
        if self._dht is not None:
            yield from self._dht.loops()
        yield from self._states.loops()
        yield "advice", self._advising.run(core.storage, core.database)
        yield "records", self._record.run()
        yield (
            "states",
            follow_states(self._intake.pass_time, self._intake.next_due, core.clock, self._wake),
        )
        yield "visits", self._keeper.run()
        yield "gallery", poll(core.gallery.poll, _POLL_SECONDS, "Reading the gallery")
        yield "retention", core.retention.run(core.settings.retention.purge_hours)
        yield "forgetting", self._forgetting.run()
        if core.settings.gallery.folder is not None:
            yield "folder", self._watch(core.settings.gallery.folder)
        if self._bridge is not None:
            yield "bridge", self._bridge.run()
        if self._sealed_frames is not None:
            yield "sealed frames", self._sealed_frames.run()

    async def _watch(self, folder: Path) -> None:
        await self._start.done.wait()
        core = self._core
        async for result in watch_folder(
            folder, core.gallery, core.recognition.represent, prune=core.settings.gallery.prune
        ):
            core.audit.tell(of_picture(result, By.FOLDER))
            if result.error is not None:
                _LOGGER.warning("A picture in the watched folder was refused: %s", result.error.code)

    def _take_events(self, events: tuple[Event, ...], reasons: Mapping[str, dict[str, Any]]) -> None:
        self._record(events, reasons)
        for event in events:
            self._core.audit.tell(decision(event))

    def _take_people(self) -> None:
        people = self._core.index.snapshot.people
        self._household.set_people({person.id: person.name for person in people})
        self._forgetting.take_people(people, lambda: self._projection.set_people(people))
        self._bus.tell(Message(StreamMessage.PEOPLE, {"people": [person.to_dict() for person in people]}))
        self._intake.tell_states()
        self._wake.set()

    def _to_mqtt(self, message: Message) -> None:
        if isinstance(message.subject, Event):
            self._projection.tell(message.subject, message.frame)
        elif isinstance(message.subject, PersonState):
            self._projection.show_person(message.subject)
        elif isinstance(message.subject, CameraState):
            self._projection.show_camera(message.subject)

    def _to_sinks(self, message: Message) -> None:
        if isinstance(message.subject, Event):
            for sink in self._sinks.values():
                sink.publish(message.subject)

    def _camera_changed(self, camera: Camera) -> None:
        self._projection.show_camera_settings(camera)
        if not camera.enabled:
            self._intake.drop_visits(camera.name)
        self._states.note_cameras()

    def _camera_removed(self, name: str) -> None:
        self._advising.forget(name)
        self._projection.forget_camera(name)
        self._states.note_cameras()

    async def _command(self, command: Command) -> None:
        if (camera := self._projection.follow(command, self._cameras)) is not None:
            self._core.audit.tell(of_command(camera, isinstance(command, SetEnabled)))
