"""Who wants to know when the gallery, or what it remembers, has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from privface_backend.gallery.index import GallerySnapshot
from privface_backend.gallery.indexes import GalleryIndexes

Callback = Callable[[], None]


class Changes:
    """Compares the indexes' snapshots with those that were told of last. Used on the event loop."""

    def __init__(self, indexes: GalleryIndexes) -> None:
        self._indexes: Final = indexes
        self._told = self._now()
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
        told, self._told = self._told, self._now()
        pairs = tuple(zip(told, self._told, strict=True))
        if any(now.gallery is not before.gallery for before, now in pairs):
            for callback in tuple(self._of_people):
                callback()
        if any(now.memory_revision != before.memory_revision for before, now in pairs):
            for callback in tuple(self._of_memory):
                callback()

    def _now(self) -> tuple[GallerySnapshot, ...]:
        return tuple(index.snapshot for index in self._indexes.all)


def _add(callbacks: list[Callback], callback: Callback) -> Callback:
    callbacks.append(callback)
    return lambda: callbacks.remove(callback)
