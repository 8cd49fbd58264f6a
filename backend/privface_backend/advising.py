"""Keeps what cameras are advised from one run to the next, and tells everybody when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from privface_backend.bridge.settings import CameraFeed
from privface_backend.errors import PrivFaceError
from privface_backend.events import Bus, Message
from privface_backend.pipeline.advice import Advisor
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.keeping import CAMERAS_META
from privface_backend.protocol import Advice, StreamMessage
from privface_backend.settings import Settings
from privface_backend.storage.database import Database, StorageThread

_LOGGER: Final = logging.getLogger(__name__)
_META: Final = "face_sizes"
_LOOK_SECONDS: Final = 2.0
_KEEP_LOOKS: Final = 15
_NEWS: Final = 0.1
"""By which share a width must have changed to be told of, where the kernel hasn't."""


class Shown(Protocol):
    """Shows a camera's advice on the broker."""

    def show_advice(self, camera: str, advice: Advice | None) -> None: ...


class Advising:
    """The advice of all cameras. ``run`` is its whole life."""

    def __init__(self, settings: Settings, cameras: Cameras, shown: Shown, bus: Bus) -> None:
        self._default: Final = settings.privacy.target
        self._feeds: Final[Mapping[str, CameraFeed]] = settings.cameras
        self._cameras: Final = cameras
        self._shown: Final = shown
        self._bus: Final = bus
        self._told: Final[dict[str, Advice]] = {}
        self.advisor: Final = Advisor(self.target, settings.pipeline.working_size)

    def target(self, camera: str) -> float:
        """The r to keep before a camera: as set over REST, else in the settings for it, else for all. 0: none."""
        known = next((one.target for one in self._cameras.all() if one.name == camera), None)
        feed = self._feeds.get(camera)
        own = known if known is not None else None if feed is None else feed.target
        return self._default if own is None else own

    def kernel(self, camera: str) -> int | None:
        """The kernel that is advised."""
        advice = self.advisor.advice(camera)
        return None if advice is None else advice.kernel

    def forget(self, camera: str) -> None:
        """A camera was removed."""
        self.advisor.forget(camera)
        self._told.pop(camera, None)

    async def restore(self, storage: StorageThread, database: Database) -> None:
        """Take over what an earlier run has learned; what can't be read is learned anew."""
        kept = await storage.call(database.get_meta, _META)
        if kept is None:
            return
        try:
            self.advisor.restore(json.loads(kept))
        except (ValueError, TypeError, KeyError, AttributeError):
            _LOGGER.warning("The sizes of faces that were learned can't be read: they are learned anew")

    async def run(self, storage: StorageThread, database: Database) -> None:
        """Tell of changes within two seconds, and keep what was learned every half minute and at the end."""
        kept = json.dumps(self.advisor.keep())

        async def keep() -> None:
            nonlocal kept
            if (learned := json.dumps(self.advisor.keep())) != kept:
                await storage.call(database.set_meta, _META, learned, secret=True)
                kept = learned

        try:
            while True:
                for _ in range(_KEEP_LOOKS):
                    self.tell()
                    await asyncio.sleep(_LOOK_SECONDS)
                try:
                    await keep()
                except PrivFaceError as error:
                    _LOGGER.warning("The sizes of faces that were learned are not kept: %s", error.message)
        finally:
            with contextlib.suppress(PrivFaceError):
                await keep()

    def tell(self) -> None:
        """Tell of what has changed since this was last called."""
        known = {camera.name for camera in self._cameras.all()}
        for camera in self.advisor.cameras():
            advice, told = self.advisor.advice(camera), self._told.get(camera)
            if camera not in known or not _is_news(told, advice):
                continue
            if advice is None:
                self._told.pop(camera, None)
            else:
                self._told[camera] = advice
            self._shown.show_advice(camera, advice)
            self._bus.tell(Message(StreamMessage.ADVICE, describe(camera, advice), advice))


def describe(camera: str, advice: Advice | None) -> dict[str, Any]:
    """A camera's advice as it is told on streams and on the broker."""
    return {"camera": camera, "advice": None if advice is None else advice.to_dict()}


def _is_news(told: Advice | None, advice: Advice | None) -> bool:
    if told is None or advice is None:
        return told is not advice
    moved = any(abs(now - before) > _NEWS * before for now, before in zip(advice.widths, told.widths, strict=True))
    return moved or (advice.kernel, advice.target) != (told.kernel, told.target)


async def recall_advice(settings: Settings, camera: str, storage: StorageThread, database: Database) -> Advice | None:
    """What was advised for a camera when it was last kept; None: nothing."""
    cameras = Cameras()
    if kept := await storage.call(database.get_meta, CAMERAS_META):
        cameras.restore(json.loads(kept))
    advising = Advising(settings, cameras, _Nobody(), Bus())
    await advising.restore(storage, database)
    return advising.advisor.advice(camera)


class _Nobody:
    """Shows nothing."""

    def show_advice(self, camera: str, advice: Advice | None) -> None: ...
