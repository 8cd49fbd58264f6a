"""Who wants to know when the gallery, or what it remembers, has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from privface_backend.gallery.index import GalleryIndex

Callback = Callable[[], None]


class Changes:
    """Compares the index's snapshot with the one that was told of last. Used on the event loop."""

    def __init__(self, index: GalleryIndex) -> None:
        self._index: Final = index
        self._told = index.snapshot
        self._of_people: Final[list[Callback]] = []
        self._of_memory: Final[list[Callback]] = []

    def on_people(self, callback: Callback) -> Callback:
        """Call ``callback`` after each change of people, faces or templates. Returns how to stop it."""
        return _add(self._of_people, callback)

    def on_memory(self, callback: Callback) -> Callback:
        """Call ``callback`` after each change of strangers or negative examples. Returns how to stop it."""
        return _add(self._of_memory, callback)

    def tell(self) -> None:
        """Tell of what has changed since."""
        before, now = self._told, self._index.snapshot
        self._told = now
        if now.gallery is not before.gallery:
            for callback in tuple(self._of_people):
                callback()
        if now.memory_revision != before.memory_revision:
            for callback in tuple(self._of_memory):
                callback()


def _add(callbacks: list[Callback], callback: Callback) -> Callback:
    callbacks.append(callback)
    return lambda: callbacks.remove(callback)
