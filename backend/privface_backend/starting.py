"""How the engines of a running backend come about, though their weights may be hard to get."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from privface_backend.core import Core, weights_to_serve
from privface_backend.errors import PrivFaceError
from privface_backend.tasks import fetch_weights, keep_starting

_LOGGER: Final = logging.getLogger(__name__)


class EngineStart:
    """Makes the engines, and tries again where they can't be made: first after ``retry_seconds``. ``done`` is set when
    they are there; ``trouble``: why they are not."""

    def __init__(self, core: Core, retry_seconds: float) -> None:
        self._core: Final = core
        self._retry_seconds: Final = retry_seconds
        self.done: Final = asyncio.Event()
        self.trouble: PrivFaceError | None = None

    def weights(self) -> Mapping[str, str]:
        """How the weights that are needed stand, by name."""
        return {name: str(self._core.weights.status(name)) for name in self._needed()}

    async def run(self) -> None:
        """Until they are made."""
        await keep_starting(self._start, self._note, first_retry=self._retry_seconds)
        self.trouble = None
        self.done.set()
        _LOGGER.info("Ready")

    def _needed(self) -> tuple[str, ...]:
        return weights_to_serve(self._core.settings, self._core.registry)

    async def _start(self) -> None:
        # What user sides send needs no engines.
        await self._core.sealed.restore()
        await fetch_weights(self._core.weights, self._needed())
        await self._core.start_engines()

    def _note(self, error: PrivFaceError) -> None:
        self.trouble = error
