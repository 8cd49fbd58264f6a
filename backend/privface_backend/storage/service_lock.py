"""One service a data directory: a lock that goes with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

LOCK_FILE: Final = "serve.lock"


@contextlib.contextmanager
def only_service(data_dir: Path) -> Iterator[None]:
    """Keep the data directory from a second service for the length of the block.

    Raises:
        PrivFaceError: ``storage_failed``: a service has it.
    """
    with _held(data_dir) as held:
        if not held:
            raise PrivFaceError(
                ErrorCode.STORAGE_FAILED,
                "Another PrivFace serves from this data directory.",
                allowed="another directory: privface --data-dir DIR serve",
            )
        yield


@contextlib.contextmanager
def no_service(data_dir: Path) -> Iterator[None]:
    """For what is done while no service runs on the data directory: none starts for the length of the block.

    Raises:
        PrivFaceError: ``conflict``: one runs.
    """
    with _held(data_dir) as held:
        if not held:
            message = "PrivFace serves from this data directory. Stop it first."
            raise PrivFaceError(ErrorCode.CONFLICT, message, allowed="this command while no service runs")
        yield


@contextlib.contextmanager
def _held(data_dir: Path) -> Iterator[bool]:
    """Whether the lock could be had; it is held meanwhile."""
    lock = FileLock(data_dir / LOCK_FILE, timeout=0, mode=0o600)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout:
        held = False
    except OSError:
        # Where nothing can be written the database says so, with its reason.
        held = True
    else:
        held = True
    try:
        yield held
    finally:
        lock.release()
