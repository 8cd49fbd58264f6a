"""What outlives a run: how cameras are set, and where everybody was last seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.household import Household
from privface_backend.storage.database import Database, StorageThread
from privface_backend.storage.erasures import SIGHTINGS
from privface_backend.tasks import poll

_LOGGER: Final = logging.getLogger(__name__)
_KEEP_SECONDS: Final = 5.0
CAMERAS_META: Final = "cameras"
"""Under which name of the database's single values the cameras' settings are kept."""


class StateKeeper:
    """Keeps the states of ``cameras`` and ``household`` in the database. ``note_cameras``: a camera was set."""

    def __init__(self, storage: StorageThread, database: Database, cameras: Cameras, household: Household) -> None:
        self._storage: Final = storage
        self._database: Final = database
        self._cameras: Final = cameras
        self._household: Final = household
        self._camera_set: Final = asyncio.Event()

    def note_cameras(self) -> None:
        self._camera_set.set()

    async def restore(self, take_people: Callable[[], None]) -> None:
        """Take over what an earlier run kept. ``take_people`` is called between cameras and people's sightings, which
        only hold for those who are enrolled."""
        if kept := await self._storage.call(self._database.get_meta, CAMERAS_META):
            self._cameras.restore(json.loads(kept))
        take_people()
        if kept := await self._storage.call(self._database.get_meta, SIGHTINGS):
            self._household.restore(json.loads(kept))

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """The background loops by name."""
        yield "cameras", self._keep_cameras()
        yield "sightings", self._keep_sightings()

    async def _keep_cameras(self) -> None:
        """Keep which cameras there are and how they are set, so that one that was switched off stays off."""
        kept = self._cameras.settings()

        async def keep() -> None:
            nonlocal kept
            self._camera_set.clear()
            if (settings := self._cameras.settings()) != kept:
                try:
                    await self._storage.call(self._database.set_meta, CAMERAS_META, json.dumps(settings), secret=True)
                except PrivFaceError as error:
                    _LOGGER.warning("The cameras' settings are not kept: %s", error.message)
                kept = settings

        try:
            while True:
                await self._camera_set.wait()
                await keep()
        finally:
            await keep()

    async def _keep_sightings(self) -> None:
        """Keep where everybody was last seen, so that a restart changes nobody's presence."""
        kept = ""

        async def keep() -> None:
            nonlocal kept
            if (sightings := json.dumps(self._household.keep())) != kept:
                await self._storage.call(self._database.set_meta, SIGHTINGS, sightings, secret=True)
                kept = sightings

        try:
            await poll(keep, _KEEP_SECONDS, "Keeping who is where")
        finally:
            with contextlib.suppress(PrivFaceError):
                await keep()
