"""Pictures over HTTP: looks at what Frigate follows when there is something new to be seen.

One request at a time a camera. Frigate may go and come back at any time: what was shown of an object then has to do.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from privface_backend.domain.backoff import Backoff
from privface_backend.frigate.client import FailureKind, FrigateClient, FrigateError
from privface_backend.frigate.objects import Closing, LiveObject, Look
from privface_backend.frigate.payloads import Availability, ObjectEvent, TrackedObject
from privface_backend.frigate.tracking import Tracking

_LOGGER: Final = logging.getLogger(__name__)
_LONGEST_NAP: Final = 60.0


class Follower:
    """Follows objects. ``take`` and ``take_availability`` never wait; ``run`` is its whole life."""

    def __init__(self, tracking: Tracking, backoff: Backoff | None = None) -> None:
        self._tracking: Final = tracking
        self._backoff: Final = backoff or Backoff(ceiling=30.0)
        self._wake: Final = asyncio.Event()
        self._looking: Final[dict[str, asyncio.Task[None]]] = {}
        self._not_before = float("-inf")
        self._failures = 0
        self._bad_answer_told = False

    def take(self, event: ObjectEvent) -> None:
        """Take in what Frigate says of an object."""
        self._tracking.take(event)
        self._wake.set()

    def take_availability(self, availability: Availability) -> None:
        """Take in whether Frigate is there; one that has come back is asked at once."""
        self._tracking.take_availability(availability)
        if availability.online:
            self._not_before = float("-inf")
        self._wake.set()

    async def run(self, client: FrigateClient) -> None:
        """Look until cancelled."""
        objects, busy = self._tracking.objects, self._looking.keys()
        try:
            while True:
                self._wake.clear()
                self._tracking.close_what_is_over(objects.finished(), busy)
                self._start_looks(client)
                await self._wait()
        finally:
            looking = tuple(self._looking.values())
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def _wait(self) -> None:
        """Wait until something came, or is due."""
        due = self._tracking.objects.next_change(self._looking.keys(), self._not_before)
        seconds = min(due, self._tracking.next_closing()) - self._tracking.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(seconds, _LONGEST_NAP))):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start_looks(self, client: FrigateClient) -> None:
        now = self._tracking.monotonic()
        if now < self._not_before:
            return
        for live in self._tracking.objects.due(now, self._looking.keys()):
            camera = live.newest.camera
            live.wanted, live.looked = False, now
            task = asyncio.create_task(self._look(client, live), name=f"frigate-look-{camera}")
            self._looking[camera] = task
            task.add_done_callback(partial(self._looked, camera))

    def _looked(self, camera: str, task: asyncio.Task[None]) -> None:
        del self._looking[camera]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its own text could quote anything.
            _LOGGER.error("A look at Frigate's pictures failed: %s", type(error).__name__)

    async def _look(self, client: FrigateClient, live: LiveObject) -> None:
        one = live.newest
        try:
            look, data = await self._fetch(client, live, one)
        except FrigateError as error:
            self._fail(live, error)
            return
        self._recover(live)
        last = live.over and live.newest is one
        if look is Look.SNAPSHOT:
            live.shown.snapshot_time = one.snapshot_time
        if data is not None:
            frame_time = one.snapshot_time or one.frame_time if look is Look.SNAPSHOT else None
            self._tracking.show(live, data, self._tracking.moment(frame_time), last=last)
        elif last:
            self._tracking.close(live, Closing.ENDED)

    async def _fetch(self, client: FrigateClient, live: LiveObject, one: TrackedObject) -> tuple[Look, bytes | None]:
        """The picture to show, and what it is of; None: there is no other than what was shown."""
        if live.next_look is Look.SNAPSHOT:
            try:
                return Look.SNAPSHOT, await client.snapshot(one.id)
            except FrigateError as error:
                if error.kind is not FailureKind.MISSING:
                    raise
                # Frigate doesn't keep it: not asked for again before there is another.
                live.shown.snapshot_time = one.snapshot_time
        if live.over and live.pictures:
            return Look.LATEST, None
        return Look.LATEST, await client.latest(one.camera)

    def _fail(self, live: LiveObject, error: FrigateError) -> None:
        now = self._tracking.monotonic()
        self._tracking.counters["failures"] += 1
        if error.kind is FailureKind.MISSING:
            # Neither the object's picture nor the camera's: this one can't be seen.
            if live.over:
                self._tracking.close(live, Closing.ENDED)
            return
        live.wanted = True
        live.failing = now if live.failing is None else live.failing
        if error.kind is FailureKind.BAD_ANSWER:
            self._tell(error, again=self._bad_answer_told)
            self._bad_answer_told = True
            return
        self._tell(error, again=self._failures > 0)
        self._failures += 1
        self._not_before = now + self._backoff.delay(self._failures)

    def _tell(self, error: FrigateError, *, again: bool) -> None:
        level = logging.DEBUG if again else logging.WARNING
        _LOGGER.log(level, "No picture from Frigate: %s; trying again", error.reason)

    def _recover(self, live: LiveObject) -> None:
        live.failing = None
        if self._failures:
            _LOGGER.info("Pictures come from Frigate again")
        self._failures, self._not_before = 0, float("-inf")
