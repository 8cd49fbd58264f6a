"""What waits for the distributed hash table. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """A message that waits; ``expires_at``: after it, it isn't worth sending; None: it always is. ``people``: the ids
    of those whom it names."""

    text: str = field(repr=False)
    expires_at: datetime | None = None
    people: frozenset[str] = frozenset()


class Outbox:
    """Messages in the order they came, at most ``limit``: over it the oldest that expires goes, or else the oldest."""

    def __init__(self, limit: int) -> None:
        self._limit: Final = limit
        self._waiting: Final[deque[Outgoing]] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, message: Outgoing) -> None:
        """Add a message at the end."""
        self._waiting.append(message)
        if len(self._waiting) > self._limit:
            self.dropped += 1
            oldest = next((waiting for waiting in self._waiting if waiting.expires_at is not None), self._waiting[0])
            self._waiting.remove(oldest)

    def first(self, now: datetime) -> Outgoing | None:
        """The message to send next, which stays until it is ``done``; those that have expired go."""
        while self._waiting and (expires_at := self._waiting[0].expires_at) is not None and expires_at <= now:
            self._waiting.popleft()
            self.dropped += 1
        return self._waiting[0] if self._waiting else None

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop what names these people. How many messages that was."""
        named = [message for message in self._waiting if not message.people.isdisjoint(person_ids)]
        for message in named:
            self._waiting.remove(message)
        self.dropped += len(named)
        return len(named)

    def done(self, message: Outgoing) -> None:
        """A message has arrived."""
        if message in self._waiting:
            self._waiting.remove(message)
