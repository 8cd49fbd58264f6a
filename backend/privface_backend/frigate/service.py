"""Frigate as the application runs it: what to subscribe to, what comes in, and the loops behind it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Container, Coroutine, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from privface_backend.domain.backoff import Backoff
from privface_backend.frigate.client import ClientLimits, open_client
from privface_backend.frigate.follow import Follower
from privface_backend.frigate.objects import Followed
from privface_backend.frigate.payloads import (
    Availability,
    FaceUpdate,
    Ignored,
    ObjectEvent,
    ObjectSnapshot,
    read_message,
)
from privface_backend.frigate.settings import FrigateSettings, PictureWay
from privface_backend.frigate.snapshots import SnapshotFeed
from privface_backend.frigate.sub_labels import SubLabels
from privface_backend.frigate.tracking import Ended, Offer, Tracking, nothing_ended


class Frigate:
    """Everything about one Frigate.

    ``offer`` takes pictures, and ``ended`` is told of events that no more pictures come of; both return at once.
    ``cameras``: Frigate's names of cameras with ours, none for all under their own; ``sealed``: of ours, those that no
    picture is to come of. ``take`` never waits, and never
    raises for what came; ``run`` is its whole life. ``sub_labels`` is a sink of events, None where names aren't
    written back.
    """

    def __init__(
        self,
        settings: FrigateSettings,
        *,
        offer: Offer,
        clock: Callable[[], datetime],
        cameras: Mapping[str, str] = MappingProxyType({}),
        sealed: Container[str] = (),
        ended: Ended = nothing_ended,
        limits: ClientLimits | None = None,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        followed = Followed(
            labels=frozenset(settings.labels),
            zones=frozenset(settings.zones),
            cameras=dict(cameras),
            sealed=sealed,
            interval=settings.interval,
        )
        self._settings: Final = settings
        self._messages: Final[Counter[str]] = Counter()
        self._open_client: Final = partial(open_client, settings, limits)
        self._tracking: Final = Tracking(followed, offer=offer, ended=ended, clock=clock, monotonic=monotonic)
        self._feed: Final = SnapshotFeed(self._tracking) if settings.pictures is PictureWay.MQTT else None
        self._follower: Final = Follower(self._tracking, backoff)
        self.sub_labels: Final = SubLabels(self._open_client, backoff=backoff) if settings.sub_labels else None

    @property
    def filters(self) -> Mapping[str, int]:
        """By topic filter to subscribe to, the quality of service to ask for. A picture that is lost is followed by a
        newer one."""
        base = self._settings.topic
        pictures = self._settings.labels if self._feed is not None else ()
        return {
            f"{base}/available": 1,
            f"{base}/events": 1,
            f"{base}/tracked_object_update": 1,
            **{f"{base}/+/{label}/snapshot": 0 for label in pictures},
        }

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        return tuple(self.filters)

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take in a message on one of the ``topics``."""
        way = self._follower if self._feed is None else self._feed
        match read_message(self._settings.topic, topic, payload, retained=retained):
            case ObjectEvent() as event:
                self._messages["taken"] += 1
                way.take(event)
            case Availability() as availability:
                self._messages["taken"] += 1
                way.take_availability(availability)
            case ObjectSnapshot() as snapshot if self._feed is not None:
                self._messages["taken"] += 1
                self._feed.take_snapshot(snapshot)
            case FaceUpdate() if self.sub_labels is not None:
                self._messages["taken"] += 1
                self.sub_labels.note_their_recognition()
            case Ignored(reason=reason):
                self._messages[f"ignored_{reason}"] += 1

    async def run(self) -> None:
        """Look, hand on and write back until cancelled."""
        loops: list[tuple[str, Coroutine[Any, Any, None]]] = [("frigate-pictures", self._run_pictures())]
        if self.sub_labels is not None:
            loops.append(("frigate-sub-labels", self.sub_labels.run()))
        tasks = [asyncio.create_task(loop, name=name) for name, loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_pictures(self) -> None:
        if self._feed is not None:
            await self._feed.run()
            return
        async with self._open_client() as client:
            await self._follower.run(client)

    def status(self) -> Mapping[str, int]:
        """What was counted so far, by name."""
        written = Counter() if self.sub_labels is None else self.sub_labels.counters
        return {
            **{f"messages_{name}": count for name, count in self._messages.items()},
            **self._tracking.status(),
            **{f"sub_labels_{name}": count for name, count in written.items()},
        }
