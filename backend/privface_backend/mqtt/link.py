"""The link to the broker: keeps a connection, publishes what waits, takes commands in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from privface_backend.domain.backoff import Backoff
from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.commands import CommandHandler
from privface_backend.mqtt.connection import (
    ConnectError,
    Connection,
    ConnectionLostError,
    FailureKind,
    Presence,
    cancellations,
    connect,
    seconds_until,
)
from privface_backend.mqtt.outbox import Message, Outbox, OutgoingEvent, RetainedStates
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.status import LinkCounters, LinkState, LinkStatus
from privface_backend.mqtt.subscriptions import Listener, Subscriptions
from privface_backend.mqtt.topics import OFFLINE, ONLINE, Topics, encode_json, event_payload
from privface_backend.mqtt.versions import VersionChoice
from privface_backend.protocol import ErrorCode, Event

_LOGGER = logging.getLogger(__name__)

_FAREWELL_SECONDS: Final = 2.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MqttLink:
    """Publishes events and states, and keeps what can't go out now.

    ``run`` is the link's whole life; cancel it to leave the broker in order. All other methods are for the same
    event loop and never wait. ``on_command`` is called for each valid command; it refuses one by raising a
    ``PrivFaceError``. ``status_topic``: where ``online`` and ``offline`` stand, if not on that of ``topics``.
    ``quiet``: another link to the same broker logs how that stands.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        on_command: CommandHandler | None = None,
        clock: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
        status_topic: str | None = None,
        quiet: bool = False,
    ) -> None:
        self.topics = Topics(settings.base_topic)
        self._settings = settings
        self._status_topic = status_topic or self.topics.status
        self._quiet = quiet
        self._subscriptions = Subscriptions(self.topics, on_command)
        self._clock = clock
        self._monotonic = monotonic
        self._backoff = backoff or Backoff()
        client_id = settings.client_id or f"privface-{uuid.uuid4().hex[:12]}"
        self._presence = Presence(client_id=client_id, will_topic=self._status_topic)
        self._choice = VersionChoice(settings.protocol)
        self._outbox = Outbox(settings.outbox_limit)
        self._states = RetainedStates()
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._changed = asyncio.Event()
        self._status = LinkStatus(state=LinkState.CONNECTING if settings.enabled else LinkState.DISABLED)
        self._counters = LinkCounters()
        self._connections = 0

    @property
    def status(self) -> LinkStatus:
        return self._status

    @property
    def counters(self) -> LinkCounters:
        return replace(
            self._counters,
            dropped_expired=self._outbox.dropped_expired,
            dropped_overflow=self._outbox.dropped_overflow,
            reconnects=max(0, self._connections - 1),
            waiting=len(self._outbox),
        )

    def publish_event(self, event: Event, more: Iterable[Message] = ()) -> None:
        """Publish an event, now or when the broker is back; not at all once it has expired. ``more``: what tells of it
        on other topics."""
        messages = (Message(self.topics.event, event_payload(event)), *more)
        self.publish(messages, event.expires_at, person_id=event.person_id)

    def publish(self, messages: Iterable[Message], expires_at: datetime, *, person_id: str | None = None) -> None:
        """Publish the messages that tell of one event, in order, as ``publish_event`` does. ``person_id``: whom they
        name."""
        if self._settings.enabled:
            self._outbox.push(OutgoingEvent(messages=tuple(messages), expires_at=expires_at, person_id=person_id))
            self._wake.set()

    def publish_state(self, topic: str, payload: Mapping[str, Any] | None) -> None:
        """Set what is retained on ``topic`` (see ``topics``); None clears it."""
        self.retain(topic, b"" if payload is None else encode_json(payload))

    def publish_camera_settings(self, slug: str, *, enabled: bool, privacy: int) -> None:
        """Say how a camera is set, beside the topics that set it."""
        self.retain(self.topics.camera_enabled(slug), b"ON" if enabled else b"OFF")
        self.retain(self.topics.camera_privacy(slug), str(privacy).encode())

    def clear_camera(self, slug: str) -> None:
        """Take everything about a camera off the broker."""
        for topic in (
            self.topics.camera_state(slug),
            self.topics.camera_enabled(slug),
            self.topics.camera_privacy(slug),
            self.topics.camera_advice(slug),
        ):
            self.retain(topic, b"")

    def retain(self, topic: str, payload: bytes) -> None:
        """Set what is retained on ``topic``, as it stands there; empty clears it."""
        if self._settings.enabled:
            self._states.put(topic, payload)
            if not self._states.all_sent:
                self._settled.clear()
            self._wake.set()

    @property
    def cleared(self) -> int:
        """How many retained topics were cleared so far."""
        return self._states.cleared

    async def settled(self) -> None:
        """Wait until the broker has all that is to be retained; at once where MQTT is disabled."""
        if self._settings.enabled:
            await self._settled.wait()

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop the events that wait and name these people. How many there were."""
        return self._outbox.forget(person_ids)

    def retain_again(self, prefix: str) -> None:
        """Send what is retained below ``prefix`` once more, without what was cleared."""
        self._states.send_again(prefix)
        self._settled.clear()
        self._wake.set()

    def listen(self, topic_filter: str, listener: Listener, *, needed: bool = True) -> None:
        """Hand what comes in by ``topic_filter`` to ``listener``, from the next connection on. ``needed``: warn where
        the broker doesn't let us subscribe."""
        self._subscriptions.listen(topic_filter, listener, needed=needed)

    async def wait_connected(self, timeout: float) -> None:  # noqa: ASYNC109  # what is raised says why it took so long
        """Wait until the broker has let us in.

        Raises:
            PrivFaceError: ``broker_refused`` as soon as it did, ``broker_unreachable`` after ``timeout`` seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._status.state in (LinkState.CONNECTING, LinkState.UNREACHABLE):
                    await self._changed.wait()
        if self._status.state is LinkState.REFUSED:
            raise PrivFaceError(ErrorCode.BROKER_REFUSED, f"The MQTT broker refused: {self._status.reason}.")
        if self._status.state is not LinkState.CONNECTED:
            raise PrivFaceError(
                ErrorCode.BROKER_UNREACHABLE, f"No MQTT broker: {self._status.reason or self._status.state}."
            )

    async def connections(self) -> AsyncIterator[None]:
        """Gives one item now, if the broker has let us in, and one each time that it does again; never ends."""
        seen = 0
        while True:
            while self._connections == seen or self._status.state is not LinkState.CONNECTED:
                await self._changed.wait()
            seen = self._connections
            yield

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled; returns at once when MQTT is disabled."""
        failures = 0
        while self._settings.enabled:
            started = self._monotonic()
            try:
                async with connect(self._settings, self._choice.version, self._presence) as connection:
                    await self._serve_apart(connection)
            except ConnectError as error:
                if self._choice.fall_back(error):
                    _LOGGER.debug("The MQTT broker doesn't speak MQTT 5; trying 3.1.1")
                    continue
                self._report_outage(error)
                refused = error.kind in (FailureKind.REFUSED, FailureKind.VERSION)
            else:
                refused = False
                if self._monotonic() - started >= self._backoff.settled:
                    failures = 0
            failures += 1
            await asyncio.sleep(self._backoff.refused if refused else self._backoff.delay(failures))

    def _set_status(self, status: LinkStatus) -> None:
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()

    def _report_outage(self, error: ConnectError) -> None:
        refused = error.kind in (FailureKind.REFUSED, FailureKind.VERSION)
        state = LinkState.REFUSED if refused else LinkState.UNREACHABLE
        level = logging.DEBUG if self._quiet or state is self._status.state else logging.WARNING
        outlook = "trying again from time to time" if refused else "trying again, events wait until they expire"
        _LOGGER.log(level, "MQTT %s: %s; %s", state, error.reason, outlook)
        self._set_status(LinkStatus(state=state, reason=error.reason))

    def _report_connected(self, connection: Connection) -> None:
        self._connections += 1
        self._choice.connected()
        again = "again " if self._connections > 1 else ""
        _LOGGER.log(
            logging.DEBUG if self._quiet else logging.INFO,
            "MQTT %sconnected to %s:%d (MQTT %s), %d events waited",
            again,
            self._settings.host,
            self._settings.port,
            connection.version,
            len(self._outbox),
        )
        self._set_status(LinkStatus(state=LinkState.CONNECTED, version=connection.version))

    async def _serve_apart(self, connection: Connection) -> None:
        """``_serve`` in a task of its own: Python 3.11's task groups swallow a cancellation that comes while a task of
        theirs fails, as when the broker ends together with us."""
        serving = asyncio.create_task(self._serve(connection), name="mqtt-serve")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            raise

    async def _serve(self, connection: Connection) -> None:
        """Publish and take commands until the connection is gone; when cancelled, say goodbye."""
        lost, before = False, cancellations()
        self._states.forget_sent()
        self._settled.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._subscriptions.receive(connection), name="mqtt-receive")
                await connection.publish(self._status_topic, ONLINE, qos=1, retain=True)
                await self._subscriptions.subscribe(connection)
                if cancellations() > before:
                    raise asyncio.CancelledError
                self._report_connected(connection)
                group.create_task(self._send(connection), name="mqtt-send")
        except* ConnectionLostError as errors:
            lost = True
            self._report_outage(ConnectError(FailureKind.UNREACHABLE, f"connection lost ({errors.exceptions[0]})"))
        finally:
            if not lost:
                await self._say_goodbye(connection)

    async def _say_goodbye(self, connection: Connection) -> None:
        """Send what waits, and ``offline``, within a moment."""
        with contextlib.suppress(TimeoutError, ConnectionLostError):
            async with asyncio.timeout(_FAREWELL_SECONDS / 2):
                await self._send_waiting(connection)
        with contextlib.suppress(TimeoutError, ConnectionLostError):
            async with asyncio.timeout(_FAREWELL_SECONDS / 2):
                await connection.publish(self._status_topic, OFFLINE, qos=1, retain=True)

    async def _send(self, connection: Connection) -> None:
        before = cancellations()
        while True:
            self._wake.clear()
            await self._send_waiting(connection)
            if cancellations() > before:
                raise asyncio.CancelledError
            if self._states.all_sent:
                self._settled.set()
            await self._wake.wait()

    async def _send_waiting(self, connection: Connection) -> None:
        """Send everything that waits, events and states by turns."""
        while True:
            sent_event = await self._send_event(connection)
            sent_state = await self._send_state(connection)
            if not sent_event and not sent_state:
                return

    async def _send_event(self, connection: Connection) -> bool:
        now = self._clock()
        event = self._outbox.take(now)
        if event is None:
            return False
        try:
            for message in event.messages:
                await connection.publish(
                    message.topic,
                    message.payload,
                    qos=self._settings.event_qos,
                    retain=False,
                    expires_in=seconds_until(event.expires_at, now),
                )
            self._outbox.acknowledge()
        finally:
            self._outbox.put_back()
        self._counters = replace(self._counters, published=self._counters.published + 1)
        return True

    async def _send_state(self, connection: Connection) -> bool:
        state = self._states.take()
        if state is None:
            return False
        topic, payload = state
        arrived = False
        try:
            await connection.publish(topic, payload, qos=1, retain=True)
            arrived = True
        finally:
            if not arrived:
                self._states.put_back(topic)
        return True
