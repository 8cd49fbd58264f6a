"""The bridge's connection to the broker: listens, says that it is there, and tells how its cameras stand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from privface_backend.bridge.listeners import Listener
from privface_backend.domain.backoff import Backoff
from privface_backend.mqtt.connection import (
    ConnectError,
    Connection,
    ConnectionLostError,
    FailureKind,
    Presence,
    cancellations,
    connect,
)
from privface_backend.mqtt.settings import MqttSettings
from privface_backend.mqtt.topics import OFFLINE, ONLINE, Topics, encode_json
from privface_backend.mqtt.versions import VersionChoice

_LOGGER: Final = logging.getLogger(__name__)
STATE_SECONDS: Final = 10.0
_FAREWELL_SECONDS: Final = 1.0


class BridgeLink:
    """Keeps the connection; ``run`` is its whole life. ``report``: the bridge's state; ``largest``: bytes of a message
    that the broker may send."""

    def __init__(
        self,
        settings: MqttSettings,
        bridge_id: str,
        *,
        listeners: Sequence[Listener],
        report: Callable[[], Mapping[str, Any]],
        largest: int,
        backoff: Backoff | None = None,
        state_seconds: float = STATE_SECONDS,
    ) -> None:
        topics = Topics(settings.base_topic)
        self._settings: Final = settings
        self._listeners: Final = listeners
        self._report: Final = report
        self._backoff: Final = backoff or Backoff()
        self._state_seconds: Final = state_seconds
        self._choice: Final = VersionChoice(settings.protocol)
        self._status_topic: Final = topics.bridge_status(bridge_id)
        self._state_topic: Final = topics.bridge_state(bridge_id)
        self._presence: Final = Presence(
            client_id=f"{settings.client_id or 'privface'}-bridge-{bridge_id}",
            will_topic=self._status_topic,
            largest=largest,
        )
        self._trouble: str | None = None
        self._mistakes: Final[set[str]] = set()
        self._first: Final = asyncio.Event()
        self.connected = False

    async def wait_connected(self, seconds: float) -> None:
        """Wait for the first connection with all that is listened to, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._first.wait()

    async def run(self) -> None:
        """Connect, listen, and connect again, until cancelled."""
        failures = 0
        while True:
            started, refused = time.monotonic(), False
            try:
                async with connect(self._settings, self._choice.version, self._presence) as connection:
                    await self._serve_apart(connection)
            except ConnectError as error:
                if self._choice.fall_back(error):
                    continue
                refused = error.kind in (FailureKind.REFUSED, FailureKind.VERSION)
                self._complain(error.reason)
            else:
                if time.monotonic() - started >= self._backoff.settled:
                    failures = 0
            failures += 1
            await asyncio.sleep(self._backoff.refused if refused else self._backoff.delay(failures))

    def _complain(self, reason: str) -> None:
        level = logging.DEBUG if self._trouble == reason else logging.WARNING
        _LOGGER.log(level, "MQTT: %s; trying again from time to time", reason)
        self._trouble = reason

    async def _serve_apart(self, connection: Connection) -> None:
        """``_serve`` in a task of its own: what aiomqtt waits for may swallow a cancellation on Python 3.11."""
        serving = asyncio.create_task(self._serve(connection), name="bridge-mqtt-serve")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            with contextlib.suppress(TimeoutError, ConnectionLostError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await connection.publish(self._status_topic, OFFLINE, qos=1, retain=True)
            raise
        finally:
            self.connected = False

    async def _serve(self, connection: Connection) -> None:
        """Listen and tell, until the connection is gone."""
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("bridge-mqtt-listen", self._listen(connection)),
                ("bridge-mqtt-tell", self._tell(connection)),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, ConnectionLostError):
                self._complain("the connection is lost")
                return
            if isinstance(error, Exception):
                raise error

    async def _listen(self, connection: Connection) -> None:
        async for topic, payload, retained in connection.messages():
            for listener in self._listeners:
                self._hand_over(listener, topic, payload, retained=retained)

    def _hand_over(self, listener: Listener, topic: str, payload: bytes, *, retained: bool) -> None:
        """One message that a listener can't take, by a mistake of ours, must not end the connection for all."""
        try:
            listener.take(topic, payload, retained=retained)
        except Exception as error:  # noqa: BLE001  # its own text could quote anything
            kind, place = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        else:
            return
        level = logging.DEBUG if kind in self._mistakes else logging.ERROR
        self._mistakes.add(kind)
        _LOGGER.log(level, "%s failed: %s\n%s", type(listener).__name__, kind, place)

    async def _tell(self, connection: Connection) -> None:
        before = cancellations()
        for listener in self._listeners:
            for topic_filter, qos in listener.filters.items():
                if not await connection.subscribe(topic_filter, qos=qos):
                    _LOGGER.warning("The MQTT broker doesn't let us subscribe to %s", topic_filter)
        # Whoever waits for it may send pictures now.
        await connection.publish(self._status_topic, ONLINE, qos=1, retain=True)
        self._choice.connected()
        self._trouble, self.connected = None, True
        self._first.set()
        _LOGGER.info("MQTT connected to %s:%d", self._settings.host, self._settings.port)
        told: bytes | None = None
        while cancellations() == before:
            state = encode_json(self._report())
            if state != told:
                await connection.publish(self._state_topic, state, qos=1, retain=True)
                told = state
            if cancellations() == before:
                await asyncio.sleep(self._state_seconds)
