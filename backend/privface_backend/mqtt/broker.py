"""The embedded broker: amqtt on loopback, for those who have no broker. It speaks MQTT 3.1.1."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.mqtt.connack import CONNECTION_ACCEPTED, ConnackPacket
from amqtt.plugins.base import BaseAuthPlugin

from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings
from privface_backend.protocol import ErrorCode

_LOGGER: Final = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
DEFAULT_BROKER_PORT: Final = 1883
CREDENTIALS_FILE: Final = "broker.json"

_LISTENER: Final = "default"
_MOST_CONNECTIONS: Final = 64
_SESSION_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCredentials:
    """The one user of the embedded broker."""

    username: str
    password: str = field(repr=False)


def _read_credentials(path: Path) -> BrokerCredentials:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return BrokerCredentials(username=str(data["username"]), password=str(data["password"]))
    except (ValueError, KeyError, TypeError):
        raise PrivFaceError(
            ErrorCode.STORAGE_FAILED, f"{path} can't be read as the broker's credentials; delete it to make new ones."
        ) from None


def load_credentials(data_dir: Path) -> BrokerCredentials:
    """The credentials in ``broker.json``, mode 0600; made up where there are none yet.

    Raises:
        PrivFaceError: ``storage_failed``, the file is there but not readable as credentials.
    """
    path = data_dir / CREDENTIALS_FILE
    if path.exists():
        return _read_credentials(path)
    made = BrokerCredentials(username="privface", password=secrets.token_urlsafe(24))
    draft = data_dir / f".{CREDENTIALS_FILE}.{secrets.token_hex(4)}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"username": made.username, "password": made.password}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return made


class CredentialsPlugin(BaseAuthPlugin):  # type: ignore[misc]  # amqtt's classes enter as Any
    """Lets in whoever knows the user and the password, and nobody without."""

    @dataclass
    class Config:
        """Filled in by amqtt from the broker's configuration."""

        username: str
        password: str = field(repr=False)

    async def authenticate(self, *, session: Any) -> bool:
        username, password = (session.username or "").encode(), (session.password or "").encode()
        same_user = hmac.compare_digest(username, self.config.username.encode())
        same_password = hmac.compare_digest(password, self.config.password.encode())
        return same_user and same_password

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Any = None) -> None:
        """Amqtt keeps the session of a client that it refused as if it were connected: let it go."""
        if session is None or not isinstance(packet, ConnackPacket):
            return
        if packet.variable_header.return_code != CONNECTION_ACCEPTED:
            session.clean_session = True
            session.transitions.disconnect()


def _configuration(credentials: BrokerCredentials) -> dict[str, Any]:
    # The listener is ours (type external), so that amqtt opens no port itself.
    return {
        "listeners": {_LISTENER: {"type": "external"}},
        "session_expiry_interval": _SESSION_SECONDS,
        "plugins": {
            f"{CredentialsPlugin.__module__}.{CredentialsPlugin.__qualname__}": {
                "username": credentials.username,
                "password": credentials.password,
            },
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedBroker:
    """A running broker, made by ``embedded_broker``."""

    port: int
    credentials: BrokerCredentials

    def settings(self, **changes: Any) -> MqttSettings:
        """How to connect to it; ``changes`` are further fields of ``MqttSettings``."""
        reach: dict[str, Any] = {
            "host": LOOPBACK,
            "port": self.port,
            "protocol": MqttProtocol.V311,
            "username": self.credentials.username,
            "password": self.credentials.password,
        }
        return MqttSettings(**{**changes, **reach})


class _ExactBroker(Broker):  # type: ignore[misc]  # amqtt's classes enter as Any
    """Gives a client what is retained on the topics that it asked for; amqtt gives what anybody asked for."""

    async def _publish_retained_messages_for_subscription(self, subscription: tuple[str, int], session: Any) -> None:
        subscribers = self._subscriptions.get(subscription[0], ())
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class _PatientWriter(StreamWriterAdapter):  # type: ignore[misc]  # amqtt's classes enter as Any
    """Cuts off a client that takes nothing in: amqtt would keep all that it misses, without a bound."""

    def __init__(self, writer: asyncio.StreamWriter, patience: float) -> None:
        super().__init__(writer)
        self._transport = writer.transport
        self._patience = patience

    async def drain(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await super().drain()
        except TimeoutError:
            self._transport.abort()
            raise ConnectionResetError from None


class _Door:
    """Lets clients in to the broker, a bounded number at a time, and ends what is left of them at the close."""

    def __init__(self, broker: Any, patience: float) -> None:
        self._broker = broker
        self._patience = patience
        self._visits: set[asyncio.Task[Any]] = set()

    async def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        if visit is None or len(self._visits) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._visits.add(visit)
        try:
            there, back = StreamReaderAdapter(reader), _PatientWriter(writer, self._patience)
            await self._broker.external_connected(there, back, _LISTENER)
        except OSError:
            _LOGGER.debug("A client of the embedded broker was gone before it was let in; it speaks MQTT 3.1.1 only")
        finally:
            self._visits.discard(visit)
            writer.close()

    async def close(self) -> None:
        """End the clients that the broker didn't end: those that never said who they are."""
        for visit in (left := tuple(self._visits)):
            visit.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _listen(door: _Door, port: int, *, port_fixed: bool) -> asyncio.Server:
    try:
        return await asyncio.start_server(door.enter, LOOPBACK, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    if port_fixed:
        raise PrivFaceError(
            ErrorCode.PORT_IN_USE,
            f"Port {port}, asked for the embedded MQTT broker, is in use by another program.",
            details={"port": port},
        )
    return await asyncio.start_server(door.enter, LOOPBACK, 0)


def _quiet_loggers() -> None:
    # Below warnings, amqtt logs topics and payloads. Its broker and handlers log a traceback for every message that
    # a client didn't take.
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("amqtt.broker", "amqtt.mqtt.protocol.handler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextlib.asynccontextmanager
async def embedded_broker(
    data_dir: Path, *, port: int = DEFAULT_BROKER_PORT, port_fixed: bool = False, patience: float = 10.0
) -> AsyncIterator[EmbeddedBroker]:
    """A broker inside this process, on loopback only; nobody gets in without the credentials in ``data_dir``.

    ``port_fixed``: the user asked for this port, so a taken one is an error, not a reason to take another.
    ``patience``: seconds after which a client that takes nothing in is cut off. What is retained lives as long as
    the broker.

    Raises:
        PrivFaceError: ``port_in_use``, or ``storage_failed`` from the credentials.
    """
    credentials = await asyncio.to_thread(load_credentials, data_dir)
    _quiet_loggers()
    async with contextlib.AsyncExitStack() as stack:
        broker = _ExactBroker(_configuration(credentials))
        door = _Door(broker, patience)
        await broker.start()
        stack.push_async_callback(door.close)
        stack.push_async_callback(broker.shutdown)
        server = await _listen(door, port, port_fixed=port_fixed)
        stack.callback(server.close)
        yield EmbeddedBroker(port=server.sockets[0].getsockname()[1], credentials=credentials)
