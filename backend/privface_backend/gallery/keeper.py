"""Keeping what visits come to, behind the backs of those who follow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privface_backend.domain.memory import KeptVisit, Stranger
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.memory import MemoryService
from privface_backend.protocol import ErrorCode
from privface_backend.tasks import Writer

_OF_ONE_VISIT: Final = frozenset({ErrorCode.CONFLICT, ErrorCode.ENGINE_FAILED})


class MemoryKeeper:
    """Takes visits and strangers without waiting, and writes them in order while ``run`` runs. Used on the event loop.

    The only one that gives strangers their numbers; ``load`` comes first.
    """

    def __init__(self, memory: MemoryService) -> None:
        self._memory: Final = memory
        self._writer: Final[Writer[KeptVisit | Stranger]] = Writer("visits", self._write)
        self._number = 0
        self._new: Final[set[str]] = set()
        self._waiting: Final[dict[str, Stranger]] = {}

    async def load(self) -> None:
        """Go on from the last number.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        self._number = max(self._number, await self._memory.last_stranger_number())

    def next_number(self) -> int:
        """A number that no stranger ever had."""
        self._number += 1
        return self._number

    def known(self, contract: str) -> tuple[Stranger, ...]:
        """The strangers of a contract in use, by its key, with what waits to be written."""
        stored = {stranger.id: stranger for stranger in self._memory.remembered(contract)}
        waiting = {key: one for key, one in self._waiting.items() if one.contract == contract}
        changed = {key: one for key, one in waiting.items() if key in stored or key in self._new}
        return tuple((stored | changed).values())

    def put_stranger(self, stranger: Stranger, *, new: bool = False) -> None:
        """Keep a stranger; ``new``: they were not put before."""
        if self._memory.keeps:
            if new:
                self._new.add(stranger.id)
            self._waiting[stranger.id] = stranger
            self._writer.put((stranger,))

    def keep_visit(self, visit: KeptVisit) -> None:
        """Keep a visit; that of a stranger after them."""
        if self._memory.keeps:
            self._writer.put((visit,))

    async def run(self) -> None:
        """Write until cancelled, and then what is left."""
        await self._writer.run()

    async def _write(self, items: Sequence[KeptVisit | Stranger]) -> None:
        try:
            for item in items:
                await self._keep(item)
        except PrivFaceError:
            # None of them is written again.
            for item in items:
                self._settle(item)
            raise

    async def _keep(self, item: KeptVisit | Stranger) -> None:
        try:
            if isinstance(item, KeptVisit):
                await self._memory.keep_visit(item)
            else:
                await self._memory.put_stranger(item, new=item.id in self._new)
        except PrivFaceError as error:
            # The others are none the worse for one that can't be kept.
            if error.code not in _OF_ONE_VISIT:
                raise
        self._settle(item)

    def _settle(self, item: KeptVisit | Stranger) -> None:
        """Forget that something waits. Not when cancelled: then it is written once more."""
        self._new.discard(item.id)
        if self._waiting.get(item.id) is item:
            del self._waiting[item.id]
