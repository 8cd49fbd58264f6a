"""What is known of Frigate and its objects, and what was shown of them; whichever way the pictures come."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from privface_backend.bridge.pictures import Picture
from privface_backend.frigate.clock import ForeignClock
from privface_backend.frigate.objects import Closing, Followed, LiveObject, Objects, Shown
from privface_backend.frigate.payloads import Availability, EventType, ObjectEvent
from privface_backend.protocol import FrameSource

_LOGGER: Final = logging.getLogger(__name__)

Offer = Callable[[Picture], None]
"""Takes a picture; must return at once."""
Ended = Callable[[str, str], None]
"""Is told that no more pictures come of a camera's event: our name of the camera, and the event's id."""


def nothing_ended(_camera: str, _event_id: str) -> None:
    """For those who needn't know."""


class Tracking:
    """Takes in what Frigate says, and hands pictures on. Never waits."""

    def __init__(
        self,
        followed: Followed,
        *,
        offer: Offer,
        ended: Ended = nothing_ended,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.followed: Final = followed
        self.objects: Final = Objects(followed)
        self.counters: Final[Counter[str]] = Counter()
        self.clock: Final = clock
        self.monotonic: Final = monotonic
        self._offer: Final = offer
        self._ended: Final = ended
        self._their_clock: Final = ForeignClock()
        self._gone_since: float | None = None

    def take(self, event: ObjectEvent) -> None:
        """Take in what Frigate says of an object; that it says something shows that it is there."""
        self._gone_since = None
        frame_time = event.object.frame_time
        if frame_time is not None and event.type is not EventType.END:
            self._their_clock.learn(frame_time, self.clock())
        crowded_out = self.objects.take(event, self.monotonic())
        if crowded_out is not None:
            self._tell_closed(crowded_out, Closing.CROWDED_OUT)

    def take_availability(self, availability: Availability) -> None:
        """Take in whether Frigate is there. One that went will not say what has become of its objects."""
        if availability.online:
            if self._gone_since is not None:
                _LOGGER.info("Frigate is back")
            self._gone_since = None
        elif self._gone_since is None:
            _LOGGER.log(logging.WARNING if len(self.objects) else logging.INFO, "Frigate says that it stops")
            self._gone_since = self.monotonic()

    def close_what_is_over(self, finished: Iterable[LiveObject], busy: AbstractSet[str] = frozenset()) -> None:
        """Follow no more what is ``finished``, was given up or is silent, but for those of ``busy`` cameras."""
        now = self.monotonic()
        gone = self._gone_since is not None and now >= self._gone_since + self.followed.patience
        over = {live.id: (live, Closing.SILENT) for live in self.objects.silent(now)}
        over |= {
            live.id: (live, Closing.GIVEN_UP) for live in (self.objects.all() if gone else self.objects.given_up(now))
        }
        over |= {live.id: (live, Closing.ENDED) for live in finished}
        for live, why in over.values():
            if live.newest.camera not in busy:
                self.close(live, why)

    def next_closing(self) -> float:
        """When all will be given up because Frigate went; infinity while it is there."""
        if self._gone_since is None or not len(self.objects):
            return float("inf")
        return self._gone_since + self.followed.patience

    def close(self, live: LiveObject, why: Closing) -> None:
        """Follow an object no more: what was shown of it has to do."""
        self.objects.close(live)
        self._tell_closed(live, why)

    def moment(self, frame_time: float | None) -> datetime:
        """The moment of a frame by our clock; now, if it isn't known."""
        now = self.clock()
        return now if frame_time is None else self._their_clock.to_ours(frame_time, now)

    def show(self, live: LiveObject, data: bytes, captured_at: datetime, *, last: bool) -> None:
        """Hand a picture of an object on, unless it is what was shown before; ``last``: no other follows."""
        shown = self.hand_on(
            live.shown,
            Picture(
                camera=self.name_of(live),
                data=data,
                captured_at=captured_at,
                source=FrameSource.FRIGATE,
                source_event_id=live.id,
                trigger=live.newest.label,
                more=not last,
            ),
        )
        live.pictures += shown
        if last and shown:
            # The picture itself says that it is the last.
            self.objects.close(live)
            self.counters[f"closed_{Closing.ENDED}"] += 1
        elif last:
            self.close(live, Closing.ENDED)

    def hand_on(self, shown: Shown, picture: Picture) -> bool:
        """Hand a picture on, unless it is the one that was ``shown``; whether it was handed on."""
        digest = hashlib.sha256(picture.data).digest()
        if digest == shown.digest:
            self.counters["repeated"] += 1
            return False
        shown.digest = digest
        self.counters["pictures"] += 1
        self._offer(picture)
        return True

    def name_of(self, live: LiveObject) -> str:
        """Our name of an object's camera."""
        return self.followed.name_of(live.newest.camera) or live.newest.camera

    def status(self) -> Mapping[str, int]:
        """What was counted so far, by name, and how many objects are followed now."""
        return {**self.counters, "objects": len(self.objects)}

    def _tell_closed(self, live: LiveObject, why: Closing) -> None:
        self.counters[f"closed_{why}"] += 1
        if live.pictures:
            self._ended(self.name_of(live), live.id)
