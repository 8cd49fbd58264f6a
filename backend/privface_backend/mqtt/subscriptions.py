"""What comes in from the broker: commands, and what other parts listen to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from privface_backend.mqtt.commands import CommandHandler, CommandIntake
from privface_backend.mqtt.connection import Connection
from privface_backend.mqtt.topics import Topics

_LOGGER: Final = logging.getLogger(__name__)

Listener = Callable[[str, bytes, bool], None]
"""Given topic, payload and whether it was retained; of all that comes in, its own and others'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    text: str
    level: int


class Subscriptions:
    """The filters that each connection subscribes to, and who is given what comes in by them."""

    def __init__(self, topics: Topics, on_command: CommandHandler | None) -> None:
        self._intake: Final = None if on_command is None else CommandIntake(topics, on_command)
        commands = () if self._intake is None else topics.commands
        self._filters: Final = [_Filter(text=text, level=logging.WARNING) for text in commands]
        self._listeners: Final[list[Listener]] = []

    def listen(self, topic_filter: str, listener: Listener, *, needed: bool) -> None:
        """Subscribe to ``topic_filter`` with the next connection; ``needed``: warn where the broker doesn't let us."""
        self._filters.append(_Filter(text=topic_filter, level=logging.WARNING if needed else logging.DEBUG))
        if listener not in self._listeners:
            self._listeners.append(listener)

    async def subscribe(self, connection: Connection) -> None:
        """Subscribe to everything.

        Raises:
            ConnectionLostError: no answer came.
        """
        for one in self._filters:
            if not await connection.subscribe(one.text):
                _LOGGER.log(
                    one.level, "The MQTT broker doesn't let us subscribe to %s: nothing comes in from there", one.text
                )

    async def receive(self, connection: Connection) -> None:
        """Hand on what comes in. Never ends by itself.

        Raises:
            ConnectionLostError: the connection is gone.
        """
        async for topic, payload, retained in connection.messages():
            if self._intake is not None:
                await self._intake.take(topic, payload, retained=retained)
            for listener in self._listeners:
                listener(topic, payload, retained)
