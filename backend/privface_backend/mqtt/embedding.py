"""Whether a broker of our own is needed, and that broker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from privface_backend.settings import Settings

if TYPE_CHECKING:
    from privface_backend.mqtt.broker import EmbeddedBroker


@contextlib.asynccontextmanager
async def broker_where_needed(settings: Settings) -> AsyncIterator[EmbeddedBroker | None]:
    """The embedded broker for the length of the block; None: another is set, or none is wanted.

    Raises:
        PrivFaceError: ``port_in_use``: a port that was asked for is taken.
    """
    if not settings.mqtt.enabled or settings.broker_configured or not settings.broker.embedded:
        yield None
        return
    from privface_backend.mqtt.broker import DEFAULT_BROKER_PORT, embedded_broker  # noqa: PLC0415  # amqtt costs those who have a broker

    port = settings.broker.port
    async with embedded_broker(
        settings.data_dir,
        port=DEFAULT_BROKER_PORT if port is None else port,
        port_fixed=port is not None,
    ) as broker:
        yield broker
