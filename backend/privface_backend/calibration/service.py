"""Calibrating a running household: one at a time, beside the event loop and the lane; the last curve is kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Protocol

from privface_backend.calibration.curve import Calibration, Enrolled
from privface_backend.calibration.measuring import Household, describe_enrolled, measure
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.index import GalleryIndex
from privface_backend.pipeline.recognition import Recognition
from privface_backend.protocol import ErrorCode, WireError
from privface_backend.storage.database import StorageThread

_LOGGER: Final = logging.getLogger(__name__)
_KEPT: Final = "calibration"
_SECONDS: Final = 300.0
LEAST_FLOOR: Final = 0.5


class MetaStore(Protocol):
    """Keeps single values. Called on the storage's thread."""

    def get_meta(self, key: str) -> str | None: ...

    def set_meta(self, key: str, value: str) -> None: ...


class Parts(Protocol):
    """What a calibrator works with, of a core."""

    @property
    def recognition(self) -> Recognition: ...

    @property
    def index(self) -> GalleryIndex: ...

    @property
    def storage(self) -> StorageThread: ...

    @property
    def database(self) -> MetaStore: ...

    @property
    def clock(self) -> Callable[[], datetime]: ...


class Calibrator:
    """Measures the gallery of a core's index, for its engines and rules.

    ``seconds``: how long a measurement may take.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        seconds: float = _SECONDS,
    ) -> None:
        self._recognition: Final = parts.recognition
        self._index: Final = parts.index
        self._storage: Final = parts.storage
        self._database: Final = parts.database
        self._clock: Final = parts.clock
        self._seconds: Final = seconds
        self._running = False
        self._described: tuple[object, Enrolled] | None = None

    def enrolled(self) -> Enrolled:
        """What there is to calibrate with now.

        Raises:
            PrivFaceError: ``weights_missing``: the engines could not be made yet.
        """
        snapshot, known = self._index.snapshot, self._described
        if known is None or known[0] is not snapshot:
            known = self._described = (snapshot, describe_enrolled(self._household()))
        return known[1]

    async def last(self) -> Calibration | None:
        """The last calibration, whoever made it; None: there is none that can be read."""
        kept = await self._storage.call(self._database.get_meta, _KEPT)
        if kept is None:
            return None
        try:
            return Calibration.from_dict(json.loads(kept))
        except (ValueError, WireError):
            # Of another version, perhaps: it is made anew in seconds.
            _LOGGER.warning("The last calibration can't be read")
            return None

    async def current(self) -> Calibration | None:
        """The last calibration if it is of the gallery, the engines and the rules of now."""
        last = await self.last()
        return last if last is not None and last.enrolled.gallery == self.enrolled().gallery else None

    async def calibrate(self, floor: float) -> Calibration:
        """Measure now, and keep what comes of it. ``floor``: the share of faces that should still be known.

        Raises:
            PrivFaceError: ``bad_request``: the floor; ``too_few_faces``; ``overloaded``: one is being made;
                ``weights_missing``; ``timeout``; ``storage_full``, ``storage_failed``.
        """
        check_floor(floor)
        household = self._household()
        with self._alone():
            stop, deadline = threading.Event(), time.monotonic() + self._seconds

            def proceed() -> None:
                if stop.is_set() or time.monotonic() > deadline:
                    raise PrivFaceError(ErrorCode.TIMEOUT, "The calibration took too long.")

            try:
                method, sampled, levels = await asyncio.to_thread(measure, household, proceed)
            finally:
                stop.set()
            made = Calibration(
                made_at=self._clock(),
                enrolled=describe_enrolled(household),
                method=method,
                floor=floor,
                sampled=sampled,
                levels=levels,
            )
            await self._storage.call(self._database.set_meta, _KEPT, json.dumps(made.to_dict()))
        return made

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._running:
            raise PrivFaceError(ErrorCode.OVERLOADED, "A calibration is being made.", allowed="one at a time")
        self._running = True
        try:
            yield
        finally:
            self._running = False

    def _household(self) -> Household:
        recognition, snapshot = self._recognition, self._index.snapshot
        contract = self._index.contract
        return Household(
            templates=snapshot.templates,
            model=recognition.matcher.model,
            rules=recognition.rules.decision,
            ladder=recognition.rules.ladder,
            strongest=recognition.process.bar.strongest,
            examples=snapshot.negatives,
            ignored=snapshot.ignored,
            revision=snapshot.revision,
            contract="" if contract is None else contract.key,
        )


def check_floor(floor: float) -> None:
    """Raises:
    PrivFaceError: ``bad_request``: it is none that could be kept.
    """
    if not LEAST_FLOOR <= floor <= 1:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "That floor can't be used.", allowed=f"a share from {LEAST_FLOOR:g} to 1"
        )
