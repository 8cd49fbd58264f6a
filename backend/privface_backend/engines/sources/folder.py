"""A folder that a camera uploads its pictures into, as over FTP: each new one that is complete becomes a frame.

The newest frame each time. Pictures that were there before are none. Links are not followed, inside the folder or out
of it: what is opened is a file of the folder itself. Names can tell things: they are in no log line or error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import watchfiles

from privface_backend.domain.backoff import Backoff
from privface_backend.domain.frames import Frame
from privface_backend.engines.sources.connection import (
    Connection,
    OnState,
    connect_for_ever,
    connect_once,
    ignore_state,
)
from privface_backend.engines.sources.options import take_clock, take_limit, take_on_state, take_option, utc_now
from privface_backend.engines.sources.uploads import Upload, Uploads
from privface_backend.errors import PrivFaceError
from privface_backend.plugins.ports import EngineContext
from privface_backend.protocol import ErrorCode, FrameCard

_LOGGER = logging.getLogger(__name__)

# How often, in milliseconds, it is looked whether what is being written has become complete.
_TICK: Final = 200
_OLDEST: Final = timedelta(hours=1)
_AHEAD: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A folder's new pictures. ``captured_at``: when the file was last written, where that is plausible. ``remove``:
    delete each that was taken or skipped. ``seconds``: None: no end."""

    path: Path = field(repr=False)
    card: FrameCard = field(repr=False)
    seconds: float | None = None
    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 25_000_000
    remove: bool = False
    clock: Callable[[], datetime] = utc_now
    on_state: OnState = field(default=ignore_state, repr=False)
    backoff: Backoff = field(default_factory=Backoff, repr=False)

    @property
    def name(self) -> str:
        return "folder"

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Each newest picture as it becomes complete, until ``seconds`` are over; without an end, until this is closed:
        a folder that is gone is waited for.

        Raises:
            PrivFaceError: ``link_unreachable``: there is no such folder that can be read.
        """
        connection = Connection(f"The folder of {self.card.camera}", self.on_state)
        deadline = None if self.seconds is None else asyncio.get_running_loop().time() + self.seconds
        connect = partial(self._watch, connection, deadline)
        if deadline is None:
            stream = connect_for_ever(connect, connection, self.backoff)
        else:
            stream = connect_once(connect, connection)
        count = 0
        async with aclosing(stream):
            async for upload in stream:
                if upload is not None:
                    card = replace(self.card, captured_at=self._captured_at(upload))
                    yield Frame(pixels=upload.pixels, card=card, index=count)
                    count += 1

    async def _watch(self, connection: Connection, deadline: float | None) -> AsyncGenerator[Upload | None, None]:
        """The uploads; first, as a sign that it is watched, None."""
        loop = asyncio.get_running_loop()
        folder = self.path.absolute()
        uploads = Uploads(folder, self.max_bytes, self.max_pixels, connection.skips, remove=self.remove)
        await asyncio.to_thread(uploads.open)
        try:
            watching = watchfiles.awatch(
                self.path,
                debounce=50,
                step=20,
                rust_timeout=_TICK,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
            async with aclosing(watching) as changes:
                first = True
                async for change in changes:
                    upload = await asyncio.to_thread(uploads.take, [(kind, Path(path)) for kind, path in change])
                    if upload is not None or first:
                        first = False
                        yield upload
                    if deadline is not None and loop.time() >= deadline:
                        return
        except (OSError, RuntimeError) as error:
            _LOGGER.debug("A camera's folder can't be watched: %s", type(error).__name__)
        finally:
            uploads.close()
        raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera's folder can't be watched.")

    def _captured_at(self, upload: Upload) -> datetime:
        now = self.clock()
        written = datetime.fromtimestamp(upload.written, UTC)
        return written if now - _OLDEST <= written <= now + _AHEAD else now


def create(context: EngineContext) -> FolderSource:
    """Make the source.

    Options: ``path`` (Path), ``card`` (FrameCard), ``seconds`` (number: when to end; None, the default: when it is
    closed), ``max_bytes`` (of a picture's file), ``max_pixels`` (of a picture), ``remove`` (whether to delete each
    picture after use), ``clock`` (gives aware times), ``on_state`` (takes a SourceState).
    """
    return FolderSource(
        path=take_option(context, "path", Path),
        card=take_option(context, "card", FrameCard),
        seconds=take_limit(context, "seconds", None),
        max_bytes=take_option(context, "max_bytes", int, 20 * 1024 * 1024),
        max_pixels=take_option(context, "max_pixels", int, 25_000_000),
        remove=take_option(context, "remove", bool, False),
        clock=take_clock(context),
        on_state=take_on_state(context),
    )
