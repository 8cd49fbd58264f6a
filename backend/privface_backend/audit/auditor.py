"""The audit log as the rest of PrivFace tells it of acts: from the event loop, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from privface_backend.audit.acts import Doing, going_on
from privface_backend.audit.entries import BEGUN, ENDED_EARLY, LASTING, Entry
from privface_backend.audit.files import DIRECTORY
from privface_backend.audit.log import AuditLog, HeadStore, Rotation
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.settings_sections import AuditSettings

_LOGGER: Final = logging.getLogger(__name__)
_WAITING: Final = 10_000
_AT_ONCE: Final = 64
_SETTLE_SECONDS: Final = 1.0
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Told:
    entry: Entry
    done: Future[None]


@dataclass(slots=True)
class AuditCounters:
    """Lines that were written, and acts that have none."""

    written: int = 0
    failed: int = 0


def open_audit(
    data_dir: Path,
    head: HeadStore,
    settings: AuditSettings,
    clock: Callable[[], datetime],
    *,
    key: bytes | None = None,
    former: Sequence[bytes] = (),
) -> Auditor:
    """The audit log of a data directory; ``key``: what its lines are sealed with, see ``lines.Sealer``."""
    rotation = Rotation(bytes=settings.megabytes * 1024 * 1024, days=settings.days, files=settings.files)
    log = AuditLog(data_dir / DIRECTORY, head=head, clock=clock, key=key, former=former, rotation=rotation)
    return Auditor(log, required=settings.required)


class Auditor:
    """Takes entries in order. ``required``: an act whose line can't be written isn't begun.

    At most ``waiting`` entries wait; one more, or one that can't be written, is counted in ``counters`` and warned of
    once. The thread begins with the first entry.
    """

    def __init__(self, log: AuditLog, *, required: bool = False, waiting: int = _WAITING) -> None:
        self.log: Final = log
        self.required: Final = required
        self.counters: Final = AuditCounters()
        self._queue: Final[queue.Queue[_Told | None]] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._starting: Final = threading.Lock()
        self._closed = False
        self._failing = False

    def tell(self, entry: Entry) -> Future[None]:
        """Take an entry in, without waiting, on any thread. What is returned fails where it can't be written."""
        told = _Told(entry, Future())
        if self._closed:
            self._fail(PrivFaceError(ErrorCode.AUDIT_FAILED, "The audit log is closed."), (told,))
            return told.done
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._fail(PrivFaceError(ErrorCode.AUDIT_FAILED, "More acts come than the audit log takes."), (told,))
            return told.done
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="privface-audit", daemon=True)
                self._thread.start()
        return told.done

    async def record(self, entry: Entry) -> bool:
        """Write an entry; whether that could be done, within some seconds. It never raises: the act is over."""
        try:
            await self._written(entry)
        except PrivFaceError:
            return False
        return True

    async def admit(self, doing: Doing) -> None:
        """Let an act begin. Where a line is required, one goes before it.

        Raises:
            PrivFaceError: ``audit_failed``.
        """
        if self.required:
            await self._written(doing.entry(BEGUN))

    def check(self) -> None:
        """Refuse what is only told of later, such as a camera's frames, while lines are required and can't be written.

        Raises:
            PrivFaceError: ``audit_failed``.
        """
        if self.required and self._failing:
            raise PrivFaceError(ErrorCode.AUDIT_FAILED, "The audit log can't be written.")

    @contextlib.asynccontextmanager
    async def act(self, doing: Doing) -> AsyncIterator[Doing]:
        """An act for the length of the block: told of when it is over, with an error's code where one ended it.

        Raises:
            PrivFaceError: ``audit_failed``, before it begins; or what the block raises.
        """
        await self.admit(doing)
        with going_on(doing):
            try:
                yield doing
            except PrivFaceError as error:
                await self.record(doing.entry(error.code.value))
                raise
            except Exception:
                self.tell(doing.entry(doing.failure or ErrorCode.INTERNAL.value))
                raise
            except BaseException:
                self.tell(doing.entry(ENDED_EARLY))
                raise
        await self.record(doing.entry())

    async def aclose(self) -> None:
        """Write what waits, and let go of the files."""
        self._closed = True
        if (thread := self._thread) is not None:
            await asyncio.to_thread(self._queue.put, None)
            await asyncio.to_thread(thread.join)

    async def _written(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.shield(asyncio.wrap_future(self.tell(entry)))
        except TimeoutError:
            self._failing = True
            raise PrivFaceError(ErrorCode.AUDIT_FAILED, "The audit log takes too long.") from None

    def _run(self) -> None:
        since = 0.0
        while True:
            told, ended = self._next(since)
            if told:
                self._append(told)
            if self.log.unsettled:
                since = since or time.monotonic()
                if ended or time.monotonic() - since >= _SETTLE_SECONDS:
                    self._settle()
                    since = 0.0
            else:
                since = 0.0
            if ended:
                self.log.close()
                return

    def _next(self, since: float) -> tuple[list[_Told], bool]:
        """What waits, and whether it was the last; nothing where it is time to settle."""
        told: list[_Told] = []
        try:
            wait = None if not since else max(0.0, since + _SETTLE_SECONDS - time.monotonic())
            first = self._queue.get(timeout=wait)
            while first is not None:
                told.append(first)
                if len(told) == _AT_ONCE:
                    return told, False
                first = self._queue.get_nowait()
        except queue.Empty:
            return told, False
        return told, True

    def _append(self, told: Sequence[_Told]) -> None:
        lasting = any(one.entry.act in LASTING for one in told)
        try:
            self.log.append([one.entry for one in told], lasting=lasting)
        except PrivFaceError as error:
            self._fail(error, told)
        except Exception as error:  # noqa: BLE001  # the thread must go on; its text could quote anything
            _LOGGER.error("The audit log failed: %s", type(error).__name__)  # noqa: TRY400  # as above
            self._fail(PrivFaceError(ErrorCode.AUDIT_FAILED, "The audit log failed."), told)
        else:
            self.counters.written += len(told)
            if self._failing:
                _LOGGER.info("The audit log is written again")
            self._failing = False
            for one in told:
                one.done.set_result(None)

    def _fail(self, error: PrivFaceError, told: Sequence[_Told]) -> None:
        self.counters.failed += len(told)
        _LOGGER.log(
            logging.DEBUG if self._failing else logging.WARNING, "Acts have no line in the audit log: %s", error.message
        )
        self._failing = True
        for one in told:
            one.done.set_exception(error)

    def _settle(self) -> None:
        try:
            self.log.settle()
        except PrivFaceError as error:
            _LOGGER.debug("The audit log is not flushed: %s", error.message)
