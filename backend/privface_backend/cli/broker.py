"""A connection to the broker beside the service's own: same credentials, another name, and nothing published."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

from privface_backend.mqtt.connection import ConnectError, Connection, FailureKind, connect
from privface_backend.mqtt.settings import MqttProtocol, MqttSettings


@contextlib.asynccontextmanager
async def join(settings: MqttSettings, role: str) -> AsyncIterator[Connection]:
    """Connect as ``role``, with MQTT 5, or 3.1.1 where the broker doesn't speak it.

    Raises:
        ConnectError: no connection came about, with the reason.
    """
    auto = settings.protocol is MqttProtocol.AUTO
    versions = (MqttProtocol.V5, MqttProtocol.V311) if auto else (settings.protocol,)
    # The last will must not say that the service is gone.
    ours = replace(settings, base_topic=f"{settings.base_topic}/{role}")
    name = f"privface-{role}-{uuid.uuid4().hex[:8]}"
    async with contextlib.AsyncExitStack() as stack:
        for version in versions:
            try:
                connection = await stack.enter_async_context(connect(ours, version, name))
            except ConnectError as error:
                if version is versions[-1] or error.kind not in {FailureKind.VERSION, FailureKind.SILENT}:
                    raise
            else:
                break
        yield connection
