"""One connection to a broker. The only module that imports aiomqtt and paho."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from privface_backend.mqtt.incoming import MOST_MESSAGES, IncomingQueue
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings
from privface_backend.mqtt.topics import OFFLINE, Topics
from privface_backend.outages import explain

_LOGGER = logging.getLogger(__name__)

_VERSIONS: Final = {MqttProtocol.V5: aiomqtt.ProtocolVersion.V5, MqttProtocol.V311: aiomqtt.ProtocolVersion.V311}
_ABANDON_SECONDS: Final = 0.1
_LONGEST_EXPIRY: Final = 2**32 - 1

# Reason codes of MQTT 5's CONNACK; paho gives those of 3.1.1 as the same.
_BAD_VERSION: Final = 0x84
_REFUSALS: Final = {
    0x85: "the broker doesn't accept our client id",
    0x86: "wrong user name or password",
    0x87: "the broker doesn't let us in: user name or password is missing or wrong, or this user may not connect",
    0x8A: "the broker has banned us",
    0x8C: "the broker wants another way of authentication",
}


class FailureKind(StrEnum):
    """Why there is no connection. ``SILENT``: the broker gave no answer that we understand."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    VERSION = "version"
    SILENT = "silent"


class ConnectError(Exception):
    """No connection came about. ``reason``: in plain words, without secrets."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class ConnectionLostError(Exception):
    """The connection is gone, or the broker stopped answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How a client shows on the broker. ``will_topic``: where the broker says ``offline`` unless we leave in order;
    ``largest``: bytes of a packet that the broker need not send us; MQTT 5 only."""

    client_id: str
    will_topic: str
    largest: int | None = None


class Connection:
    """An open connection, made by ``connect``."""

    def __init__(self, client: aiomqtt.Client, version: MqttProtocol) -> None:
        self._client = client
        self.version = version

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expires_in: float | None = None
    ) -> None:
        """Publish, and return once the broker has acknowledged it (QoS 1) or it was handed to the network (QoS 0).

        ``expires_in``: seconds after which the broker is not to deliver it any more; MQTT 5 only.

        Raises:
            ConnectionLostError: it may or may not have arrived.
        """
        properties = None
        if expires_in is not None and self.version is MqttProtocol.V5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's class has no types
            properties.MessageExpiryInterval = min(_LONGEST_EXPIRY, max(1, int(expires_in)))
        try:
            await self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        except aiomqtt.MqttError as error:
            raise ConnectionLostError(str(error)) from None

    async def subscribe(self, topic_filter: str, *, qos: int = 1) -> bool:
        """Subscribe; False: the broker doesn't allow it.

        Raises:
            ConnectionLostError: no answer came.
        """
        try:
            granted = await self._client.subscribe(topic_filter, qos=qos)
        except aiomqtt.MqttError as error:
            raise ConnectionLostError(str(error)) from None
        return all((code if isinstance(code, int) else code.value) < 0x80 for code in granted)

    async def messages(self) -> AsyncIterator[tuple[str, bytes, bool]]:
        """What comes in: topic, payload, and whether it was retained. Never ends by itself.

        Raises:
            ConnectionLostError: the connection is gone.
        """
        try:
            async for message in self._client.messages:
                yield str(message.topic), message.payload, bool(message.retain)
        except aiomqtt.MqttError as error:
            raise ConnectionLostError(str(error)) from None


def cancellations() -> int:
    """How often the running task was cancelled: Python 3.11's ``wait_for``, which aiomqtt uses, swallows a cancellation
    that comes together with the answer."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def seconds_until(expires_at: datetime, now: datetime) -> float:
    """Seconds left before ``expires_at``; negative after it."""
    return (expires_at - now).total_seconds()


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.tls_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


async def _make_client(settings: MqttSettings, version: MqttProtocol, presence: Presence) -> aiomqtt.Client:
    context = properties = None
    if presence.largest is not None and version is MqttProtocol.V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's class has no types
        properties.MaximumPacketSize = presence.largest
    if settings.tls:
        try:
            context = await asyncio.to_thread(_tls_context, settings)
        except OSError as error:
            what = error.strerror or type(error).__name__
            reason = f"ca_file, cert_file or key_file can't be used: {what}"
            raise ConnectError(FailureKind.UNREACHABLE, reason) from None
    return aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=presence.client_id,
        protocol=_VERSIONS[version],
        will=aiomqtt.Will(presence.will_topic, OFFLINE, qos=1, retain=True),
        keepalive=settings.keepalive,
        timeout=settings.timeout,
        tls_context=context,
        queue_type=IncomingQueue,
        max_queued_incoming_messages=MOST_MESSAGES,
        properties=properties,
    )


def _refusal(code: int | None, where: str) -> ConnectError:
    """What a broker's negative answer means."""
    if code == _BAD_VERSION:
        return ConnectError(FailureKind.VERSION, "the broker doesn't speak this version of MQTT")
    if code in _REFUSALS:
        return ConnectError(FailureKind.REFUSED, _REFUSALS[code])
    return ConnectError(FailureKind.UNREACHABLE, f"the broker at {where} is not available (reason code {code})")


def _failure(error: aiomqtt.MqttError, settings: MqttSettings) -> ConnectError:
    """What a failed attempt means."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, aiomqtt.MqttCodeError):
        return _refusal(error.rc if isinstance(error.rc, int) else getattr(error.rc, "value", None), where)
    kind = FailureKind.UNREACHABLE
    match error.__context__:
        case ssl.SSLCertVerificationError() as cause:
            reason = f"the certificate of {where} is not trusted ({cause.verify_message}); is ca_file right?"
        case ssl.SSLError():
            reason = f"{where} doesn't speak TLS, or not with us"
        case socket.gaierror():
            reason = f"the name {settings.host} can't be resolved"
        case TimeoutError():
            kind = FailureKind.SILENT
            reason = f"no MQTT broker answers at {where} (does it want TLS, or a client certificate?)"
        case ConnectionResetError() if settings.tls:
            reason = f"{where} hung up; does it speak TLS?"
        case OSError() as cause:
            reason = f"{where}: {cause.strerror or explain(cause)}"
        case _:
            reason = f"no connection to {where}"
    return ConnectError(kind, reason)


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()


def _watch(client: aiomqtt.Client) -> None:
    """Look at the failures of a client whose user may be gone by then: asyncio would log them as never retrieved."""
    for future in (client._connected, client._disconnected):  # noqa: SLF001  # aiomqtt leaves them unseen
        future.add_done_callback(_retrieve)


async def _abandon(client: aiomqtt.Client) -> None:
    """Close what an attempt opened: aiomqtt leaves the socket open when no answer came."""
    client.timeout = _ABANDON_SECONDS
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


async def _enter(client: aiomqtt.Client) -> None:
    """Connect; a cancellation waits for the attempt under way, so that no half-open connection stays behind."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with contextlib.suppress(aiomqtt.MqttError):
            await entering
        await _abandon(client)
        raise


@contextlib.asynccontextmanager
async def connect(settings: MqttSettings, version: MqttProtocol, presence: Presence | str) -> AsyncIterator[Connection]:
    """A connection with our last will, which the broker publishes unless we leave in order. ``presence``: a client id
    alone is the service's own.

    Raises:
        ConnectError: none came about, with the reason.
    """
    if isinstance(presence, str):
        presence = Presence(client_id=presence, will_topic=Topics(settings.base_topic).status)
    client = await _make_client(settings, version, presence)
    _watch(client)
    try:
        await _enter(client)
    except aiomqtt.MqttError as error:
        failure = _failure(error, settings)
        if failure.kind is FailureKind.SILENT:
            await _abandon(client)
        raise failure from None
    finally:
        # Connecting, and failing to, put others in their place.
        _watch(client)
    try:
        yield Connection(client, version)
    finally:
        try:
            await client.__aexit__(None, None, None)
        except aiomqtt.MqttError as error:
            _LOGGER.debug("The broker was not left in order: %s", error)
