"""What came in from the broker and waits to be looked at: bounded in messages and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

MOST_MESSAGES: Final = 100
MOST_BYTES: Final = 32 * 1024 * 1024


class IncomingQueue(asyncio.Queue[Any]):
    """Messages in the order they came. One for which there is no room takes the place of older ones of its own topic,
    or is dropped: a topic that floods harms no other."""

    _messages: deque[Any]
    _bytes: int

    def _init(self, maxsize: int) -> None:
        self._limit = maxsize or MOST_MESSAGES
        self._messages = deque()
        self._bytes = 0

    def full(self) -> bool:
        """Never: room is made, or the message is dropped."""
        return False

    def qsize(self) -> int:
        return len(self._messages)

    def empty(self) -> bool:
        return not self._messages

    def _put(self, item: Any) -> None:
        size = len(item.payload)
        while not self._has_room(size):
            older = next((message for message in self._messages if message.topic.value == item.topic.value), None)
            if older is None:
                return
            self._messages.remove(older)
            self._bytes -= len(older.payload)
        self._messages.append(item)
        self._bytes += size

    def _has_room(self, size: int) -> bool:
        # A single message may be larger than all together: how large it may be is the connection's business.
        return not self._messages or (len(self._messages) < self._limit and self._bytes + size <= MOST_BYTES)

    def _get(self) -> Any:
        message = self._messages.popleft()
        self._bytes -= len(message.payload)
        return message
