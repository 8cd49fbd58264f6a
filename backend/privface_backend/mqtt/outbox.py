"""What waits for the broker: events in order, and the newest state of each retained topic. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to one topic. ``payload`` holds names: it stays out of the ``repr``."""

    topic: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutgoingEvent:
    """An event that waits: all the messages that tell of it, in order. ``person_id``: whom it names."""

    messages: tuple[Message, ...]
    expires_at: datetime
    person_id: str | None = None


class Outbox:
    """Events in the order they came, at most ``limit``: over it the oldest goes and is counted.

    ``take`` hands out the next one; it comes back to the front with ``put_back``, or is done with ``acknowledge``.
    One is out at a time, so the order holds.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[OutgoingEvent] = deque()
        self._taken: OutgoingEvent | None = None
        self.dropped_expired = 0
        self.dropped_overflow = 0

    def __len__(self) -> int:
        return len(self._waiting) + (self._taken is not None)

    def push(self, event: OutgoingEvent) -> None:
        """Add an event at the end."""
        self._waiting.append(event)
        self._trim()

    def take(self, now: datetime) -> OutgoingEvent | None:
        """The oldest event that still says something about ``now``; those past their expiry go and are counted."""
        if self._taken is not None:
            raise RuntimeError("an event is out already")
        while self._waiting:
            event = self._waiting.popleft()
            if event.expires_at > now:
                self._taken = event
                return event
            self.dropped_expired += 1
        return None

    def acknowledge(self) -> None:
        """The event that is out arrived."""
        self._taken = None

    def put_back(self) -> None:
        """The event that is out may not have arrived: it is the next one again."""
        if self._taken is not None:
            self._waiting.appendleft(self._taken)
            self._taken = None
            self._trim()

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop the events that name these people; the one that is out is not put back. How many there were."""
        kept = [event for event in self._waiting if event.person_id not in person_ids]
        dropped = len(self._waiting) - len(kept)
        self._waiting = deque(kept)
        if self._taken is not None and self._taken.person_id in person_ids:
            self._taken = None
            dropped += 1
        return dropped

    def _trim(self) -> None:
        while len(self._waiting) > self._limit:
            self._waiting.popleft()
            self.dropped_overflow += 1


class RetainedStates:
    """The newest payload of each retained topic; an empty one clears it on the broker.

    Cleared topics are remembered, and cleared again with every new connection: a broker that died may have come
    back with what it last wrote to its disk. ``cleared`` counts them.
    """

    def __init__(self) -> None:
        self.cleared = 0
        self._payloads: dict[str, bytes] = {}
        self._unsent: dict[str, None] = {}

    def put(self, topic: str, payload: bytes) -> None:
        """Set what stands on ``topic``; nothing is sent where that is so already."""
        if self._payloads.get(topic) != payload:
            self.cleared += not payload
            self._payloads[topic] = payload
            self._unsent[topic] = None

    def take(self) -> tuple[str, bytes] | None:
        """The next topic to send, with its newest payload."""
        for topic in self._unsent:
            del self._unsent[topic]
            return topic, self._payloads[topic]
        return None

    @property
    def all_sent(self) -> bool:
        return not self._unsent

    def put_back(self, topic: str) -> None:
        """What was taken may not have arrived."""
        self._unsent[topic] = None

    def forget_sent(self) -> None:
        """Send everything again: the broker may have lost it."""
        self._unsent |= dict.fromkeys(self._payloads)

    def send_again(self, prefix: str) -> None:
        """Send what stands below ``prefix`` again: somebody may have missed it."""
        standing = (topic for topic, payload in self._payloads.items() if payload and topic.startswith(prefix))
        self._unsent |= dict.fromkeys(standing)
