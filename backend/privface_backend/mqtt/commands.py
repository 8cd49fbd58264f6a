"""Commands that come in from the broker."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable

from privface_backend.errors import PrivFaceError
from privface_backend.mqtt.topics import Command, CommandError, Topics

_LOGGER = logging.getLogger(__name__)

CommandHandler = Callable[[Command], Awaitable[None] | None]


class CommandIntake:
    """Reads commands and hands the good ones on; of bad ones of a kind it warns once, until a good one comes."""

    def __init__(self, topics: Topics, handler: CommandHandler) -> None:
        self._topics = topics
        self._handler = handler
        self._warned: set[str] = set()

    async def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Follow a command. A retained one is ignored: with every connection it would undo what was set since."""
        if not payload:
            # A retained command was cleared.
            return
        try:
            command = self._topics.command(topic, payload)
        except CommandError as error:
            self._warn_once(error.kind, f"MQTT command ignored: {error}, got {error.echo!r}")
            return
        if command is None:
            return
        if retained:
            self._warn_once("retained", "A retained MQTT command was ignored: publish commands without retain")
            return
        self._warned.discard("/".join(topic.split("/")[-2:]))
        try:
            done = self._handler(command)
            if inspect.isawaitable(done):
                await done
        except PrivFaceError as error:
            _LOGGER.warning("MQTT command refused: %s (%s)", error.message, error.code)

    def _warn_once(self, kind: str, text: str) -> None:
        level = logging.DEBUG if kind in self._warned else logging.WARNING
        self._warned.add(kind)
        _LOGGER.log(level, "%s", text)
