"""A source's connection over time: told of, and, for a source without an end, made again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Literal, TypeVar

from privface_backend.domain.backoff import Backoff
from privface_backend.engines.sources.handover import SkipCount
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import SourceState

T = TypeVar("T")
OnState = Callable[[SourceState], None]

_LOGGER = logging.getLogger(__name__)

ENDED: Final = "The camera ended the stream."
# How often, in seconds, a count of skipped frames is told that grows.
_TELL_SECONDS: Final = 1.0


def ignore_state(_state: SourceState) -> None:
    """For whom it makes no difference."""


class Connection:
    """Tells of one source's connection."""

    def __init__(self, name: str, on_state: OnState) -> None:
        self.name: Final = name
        self.skips: Final = SkipCount()
        self._on_state: Final = on_state
        self._connections = 0
        self._told_skips = 0
        self._told_at = 0.0
        self._is_lost = False

    @property
    def reconnects(self) -> int:
        return max(0, self._connections - 1)

    def connecting(self) -> None:
        self._tell("connecting")

    def connected(self) -> None:
        self._connections += 1
        if self._is_lost:
            self._is_lost = False
            _LOGGER.info("%s gives frames again", self.name)
        self._tell("connected")

    def passed(self) -> None:
        """A frame was handed out."""
        now = asyncio.get_running_loop().time()
        if self.skips.items != self._told_skips and now - self._told_at >= _TELL_SECONDS:
            self._tell("connected")

    def lost(self, reason: str) -> None:
        """An outage is one warning, whatever is tried meanwhile."""
        _LOGGER.log(logging.DEBUG if self._is_lost else logging.WARNING, "%s was lost: %s", self.name, reason)
        self._is_lost = True
        self._tell("lost", reason)

    def _tell(self, state: Literal["connecting", "connected", "lost"], reason: str = "") -> None:
        self._told_skips, self._told_at = self.skips.items, asyncio.get_running_loop().time()
        self._on_state(SourceState(state=state, reason=reason, skipped=self.skips.items, reconnects=self.reconnects))


async def connect_once(
    connect: Callable[[], AsyncGenerator[T, None]], connection: Connection
) -> AsyncGenerator[T, None]:
    """What one connection gives, until it ends. One that breaks after something came ends like one that is over.

    Raises:
        PrivFaceError: ``link_unreachable``: before anything came.
    """
    count = 0
    connection.connecting()
    try:
        async with aclosing(connect()) as stream:
            async for item in stream:
                if count == 0:
                    connection.connected()
                count += 1
                connection.passed()
                yield item
    except PrivFaceError as error:
        connection.lost(error.message)
        if count == 0:
            raise


async def connect_for_ever(
    connect: Callable[[], AsyncGenerator[T, None]], connection: Connection, backoff: Backoff
) -> AsyncGenerator[T, None]:
    """What one connection after the other gives, until this is closed."""
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        connection.connecting()
        since: float | None = None
        reason = ENDED
        try:
            async with aclosing(connect()) as stream:
                async for item in stream:
                    if since is None:
                        since = loop.time()
                        connection.connected()
                    connection.passed()
                    yield item
        except PrivFaceError as error:
            reason = error.message
        connection.lost(reason)
        held = since is not None and loop.time() - since >= backoff.settled
        failures = 1 if held else failures + 1
        await asyncio.sleep(backoff.delay(failures))
