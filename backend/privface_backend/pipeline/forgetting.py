"""What a running service does when it, or another process, has forgotten somebody: its queues, and the broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from privface_backend.domain.people import Person
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.gallery.records import Records
from privface_backend.pipeline.household import CameraState, PersonState
from privface_backend.plugins.ports import Forgets
from privface_backend.protocol import Event, StreamMessage
from privface_backend.storage.erasures import Receipt

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 10.0
_HEARING_SECONDS: Final = 30.0


class RetainingLink(Protocol):
    """The part of ``MqttLink`` that is needed here."""

    @property
    def cleared(self) -> int: ...

    async def settled(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Counts:
    retained: int = 0
    waiting: int = 0


class LiveForgetting:
    """Notices who is gone, drops what waits and names them, and notes in their receipts when the broker knows, too.

    ``links``: the connections to it; ``heard``: waits until it has shown what earlier runs left there; ``shown``: waits
    until the links have been handed what there is to show; ``left_over``: told of people who were forgotten while no
    service ran.
    ``run`` is its whole life.
    """

    def __init__(
        self,
        *,
        records: Records,
        bus: Bus,
        queues: Sequence[Forgets],
        links: Sequence[RetainingLink],
        heard: Callable[[], Awaitable[object]],
        shown: Callable[[], Awaitable[object]],
        left_over: Callable[[str], None],
    ) -> None:
        self._records: Final = records
        self._bus: Final = bus
        self._queues: Final = tuple(queues)
        self._links: Final = tuple(links)
        self._heard: Final = heard
        self._shown: Final = shown
        self._left_over: Final = left_over
        self._names: Mapping[str, str] = {}
        self._counts: Final[dict[str, _Counts]] = {}
        self._wake: Final = asyncio.Event()
        self._changed = asyncio.Event()

    def take_people(self, people: Sequence[Person], show: Callable[[], None]) -> None:
        """Take over who is enrolled; ``show`` does so with what the broker shows."""
        before, now = self._names, {person.id: person.name for person in people}
        self._names = now
        cleared = self._cleared()
        show()
        gone = {person_id: name for person_id, name in before.items() if person_id not in now}
        for person_id in gone:
            waiting = sum(queue.forget({person_id}) for queue in self._queues)
            self._counts[person_id] = _Counts((self._cleared() - cleared) // len(gone), waiting)
        if gone:
            self._drop_messages(gone)
        self._wake.set()

    def _drop_messages(self, gone: Mapping[str, str]) -> None:
        # Another one of that name may still be there.
        names = set(gone.values()) - set(self._names.values())
        self._bus.drop(lambda message: _is_about(message, gone.keys(), names))

    async def wait(self, person_id: str, seconds: float) -> Receipt | None:
        """Somebody's receipt, when the broker knows, or as it is after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    changed = self._changed
                    receipt = await self._records.receipt(person_id)
                    if receipt is None or receipt.cleared_at is not None:
                        return receipt
                    await changed.wait()
        return await self._records.receipt(person_id)

    async def run(self) -> None:
        """Note what is done, until cancelled."""
        before = self._cleared()
        await self._settle()
        with contextlib.suppress(TimeoutError):
            # A broker that doesn't let us listen shows nothing.
            async with asyncio.timeout(_HEARING_SECONDS):
                await self._heard()
        left_over = self._cleared() - before
        while True:
            self._wake.clear()
            await self._settle()
            try:
                await self._note(left_over)
            except PrivFaceError as error:
                _LOGGER.warning("That somebody was taken off the broker can't be noted: %s", error.message)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            left_over = 0
            await self._wake.wait()

    async def _settle(self) -> None:
        await self._shown()
        for link in self._links:
            await link.settled()

    async def _note(self, left_over: int) -> None:
        for person_id in await self._records.uncleared():
            # One who is still in the list was forgotten by another process, and is gone at the next look.
            if person_id not in self._names:
                if person_id not in self._counts:
                    self._left_over(person_id)
                counts = self._counts.get(person_id, _Counts(retained=left_over))
                await self._records.clear(person_id, retained=counts.retained, waiting=counts.waiting)
                self._counts.pop(person_id, None)
        self._changed.set()
        self._changed = asyncio.Event()

    def _cleared(self) -> int:
        return sum(link.cleared for link in self._links)


async def nothing_heard() -> None:
    """What ``heard`` is where there is no broker."""


def _is_about(message: Message, person_ids: Collection[str], names: Collection[str]) -> bool:
    """Whether a message names somebody; newer ones of states and people follow."""
    match message.subject:
        case Event(person_id=person_id) | PersonState(person_id=person_id):
            return person_id in person_ids
        case CameraState(persons=persons):
            return not set(persons).isdisjoint(names)
    if message.kind == StreamMessage.PEOPLE:
        people = message.payload.get("people")
        return isinstance(people, list) and any(person.get("id") in person_ids for person in people)
    return False
