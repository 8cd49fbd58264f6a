"""The sink ``webhook``: sends events to addresses of the owner's, each with a queue of its own, in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privface_backend.domain.backoff import Backoff
from privface_backend.engines.sources.options import take_clock, take_option
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import Event
from privface_backend.resolver import Resolve, resolve_host
from privface_backend.settings_push import WebhookSettings
from privface_backend.webhooks.delivery import Attempt, Sender, open_sender
from privface_backend.webhooks.messages import WebhookMessage, event_message, is_wanted

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class HookCounters:
    """What became of the events for one hook. ``dropped``: never sent, because there were too many, because they had
    expired, or because the other side wants no more."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


class Hook:
    """One hook's queue, and what empties it."""

    def __init__(self, number: int, settings: WebhookSettings, clock: Callable[[], datetime], backoff: Backoff) -> None:
        self.counters: Final = HookCounters()
        self._label: Final = f"Webhook {number} ({settings.place})"
        self._settings: Final = settings
        self._clock: Final = clock
        self._backoff: Final = backoff
        self._waiting: Final[deque[WebhookMessage]] = deque()
        self._wake: Final = asyncio.Event()
        self._sending: WebhookMessage | None = None
        self._gone = False
        self._down = False

    def put(self, event: Event) -> None:
        """Take an event in, if it is one for this hook."""
        if not is_wanted(event, self._settings):
            return
        message = event_message(event, names=self._settings.names)
        if self._gone or message.too_large:
            self.counters.dropped += 1
            return
        if len(self._waiting) >= self._settings.waiting:
            self._waiting.popleft()
            self.counters.dropped += 1
        self._waiting.append(message)
        self.counters.waiting = len(self._waiting)
        self._wake.set()

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop what waits, to be sent or sent again, and is about these people. How many messages that was."""
        kept = [message for message in self._waiting if message.person_id not in person_ids]
        dropped = len(self._waiting) - len(kept)
        self._waiting.clear()
        self._waiting.extend(kept)
        if self._sending is not None and self._sending.person_id in person_ids:
            self._sending = None
            dropped += 1
        self.counters.waiting = len(kept)
        self.counters.dropped += dropped
        return dropped

    async def run(self, resolve: Resolve) -> None:
        """Deliver, one after the other, until cancelled or told that no more are wanted."""
        async with open_sender(self._settings, self._clock, resolve) as sender:
            while not self._gone:
                await self._deliver(sender, await self._next())
        self.counters.dropped += len(self._waiting)
        self._waiting.clear()
        self.counters.waiting = 0

    async def _next(self) -> WebhookMessage:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        message = self._waiting.popleft()
        self.counters.waiting = len(self._waiting)
        return message

    async def _deliver(self, sender: Sender, message: WebhookMessage) -> None:
        """Send until it arrives, has expired, or was tried often enough."""
        if self._left(message) <= 0:
            self.counters.dropped += 1
            return
        self._sending = message
        for failures in range(1, self._settings.attempts + 1):
            attempt = await sender.send(message, seconds=self._left(message))
            if attempt.delivered:
                self._sending = None
                self.counters.sent += 1
                self._report_delivered()
                return
            self._report_failed(attempt)
            pause = max(self._backoff.delay(failures), attempt.retry_after)
            if attempt.gone or attempt.refused or failures == self._settings.attempts or pause >= self._left(message):
                break
            await asyncio.sleep(pause)
            if self._was_forgotten():
                return
        self.counters.failed += not self._was_forgotten()
        self._sending = None

    def _was_forgotten(self) -> bool:
        """Whether what was being sent is about somebody who was forgotten meanwhile, and counted then."""
        return self._sending is None

    def _left(self, message: WebhookMessage) -> float:
        return (message.expires_at - self._clock()).total_seconds()

    def _report_delivered(self) -> None:
        if self._down:
            _LOGGER.info("%s takes events again", self._label)
        self._down = False

    def _report_failed(self, attempt: Attempt) -> None:
        if attempt.gone:
            self._gone = True
            _LOGGER.warning("%s is gone (410): nothing more is sent there until PrivFace is restarted", self._label)
            return
        level = logging.DEBUG if self._down else logging.WARNING
        _LOGGER.log(level, "%s doesn't take events: %s", self._label, attempt.words)
        self._down = True


class WebhookSink:
    """Sends events to all hooks, which know nothing of each other."""

    name = "webhook"

    def __init__(self, hooks: tuple[Hook, ...], resolve: Resolve) -> None:
        self._hooks: Final = hooks
        self._resolve: Final = resolve

    @property
    def counters(self) -> tuple[HookCounters, ...]:
        """One for each hook, in their order."""
        return tuple(hook.counters for hook in self._hooks)

    def publish(self, event: Event) -> None:
        for hook in self._hooks:
            hook.put(event)

    def forget(self, person_ids: Collection[str]) -> int:
        return sum(hook.forget(person_ids) for hook in self._hooks)

    async def run(self) -> None:
        tasks = [
            asyncio.create_task(hook.run(self._resolve), name=f"webhook {number}")
            for number, hook in enumerate(self._hooks, start=1)
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def create(context: EngineContext) -> WebhookSink:
    """Make the sink.

    Options: ``hooks`` (a tuple of ``WebhookSettings``), ``clock`` (gives aware times), ``backoff``, ``resolve`` (gives
    a name's addresses).
    """
    clock, resolve = take_clock(context), context.options.get("resolve", resolve_host)
    if not callable(resolve):
        raise TypeError("the option resolve must give addresses")
    backoff = take_option(context, "backoff", Backoff, Backoff(ceiling=30.0))
    hooks = take_option(context, "hooks", tuple)
    return WebhookSink(
        tuple(Hook(number, hook, clock, backoff) for number, hook in enumerate(hooks, start=1)),
        resolve,
    )
