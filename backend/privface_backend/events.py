"""The bus inside the backend: who is told of an event, and what becomes of a listener that can't follow."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from privface_backend.domain.geometry import Size

T = TypeVar("T")


class Listener(Generic[T]):
    """A bounded queue of one listener. When it is full the oldest item goes, and ``lost`` says that some did."""

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self.lost = False

    def put(self, item: T) -> None:
        if len(self._items) == self._items.maxlen:
            self.lost = True
        self._items.append(item)
        self._wake.set()

    async def get(self) -> T:
        """The oldest item; waits for one."""
        while not self._items:
            self._wake.clear()
            await self._wake.wait()
        return self._items.popleft()

    def drop(self, unwanted: Callable[[T], bool]) -> int:
        """Forget those of what waits that are ``unwanted``. How many there were."""
        kept = [item for item in self._items if not unwanted(item)]
        dropped = len(self._items) - len(kept)
        self._items.clear()
        self._items.extend(kept)
        return dropped

    def clear(self) -> None:
        """Forget what waits, for a listener that looks at the whole state again."""
        self._items.clear()
        self.lost = False

    def take_lost(self) -> bool:
        """Whether items went since this was last asked: the listener must look at the whole state again."""
        lost, self.lost = self.lost, False
        return lost


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell: ``kind`` is a ``protocol.StreamMessage``, ``payload`` goes out as JSON; ``subject`` is the
    object that it was made of, for listeners inside, and ``frame`` the size in pixels of the frame that it is about."""

    kind: str
    payload: dict[str, object]
    subject: object = None
    frame: Size | None = None


class Bus:
    """Hands every item to all listeners and callbacks, in order, without waiting for any of them."""

    def __init__(self) -> None:
        self._listeners: Final[set[Listener[Message]]] = set()
        self._callbacks: Final[list[Callable[[Message], None]]] = []

    @contextlib.contextmanager
    def listen(self, limit: int = 256) -> Iterator[Listener[Message]]:
        """A listener for the length of the block."""
        listener: Listener[Message] = Listener(limit)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def call(self, callback: Callable[[Message], None]) -> None:
        """Call ``callback`` with every item from now on; it must return at once."""
        self._callbacks.append(callback)

    def tell(self, message: Message) -> None:
        for listener in self._listeners:
            listener.put(message)
        for callback in self._callbacks:
            callback(message)

    def drop(self, unwanted: Callable[[Message], bool]) -> int:
        """Forget those of what waits for listeners that are ``unwanted``. How many there were."""
        return sum(listener.drop(unwanted) for listener in self._listeners)

    @property
    def listening(self) -> int:
        return len(self._listeners)
