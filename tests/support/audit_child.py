"""A process of its own that writes an audit log, to be killed or to meet another one."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from privface_backend.audit.auditor import open_audit
from privface_backend.audit.log import AuditLog, Rotation
from privface_backend.errors import PrivFaceError
from privface_backend.settings_sections import AuditSettings
from privface_backend.storage.database import Database
from support.auditing import KEY, entry
from support.keys import KEYS


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def open_log(directory: Path, rotation: Rotation | None = None) -> AuditLog:
    return AuditLog(
        directory / "audit",
        head=Database(directory / "privface.db", KEYS),
        clock=lambda: datetime.now(UTC),
        key=KEY,
        rotation=rotation,
    )


def write_forever(directory: Path) -> None:
    """Append batches of lines, some of them lasting, rotating often; print how many there are."""
    log = open_log(directory, Rotation(bytes=4096))
    for number in itertools.count(1):
        log.append([entry(number) for _ in range(5)], lasting=number % 3 == 0)
        say(str(number * 5))


def write_half(directory: Path) -> None:
    """Append a line, then be killed when half of the next one is on the disk."""
    log = open_log(directory)
    log.append([entry(1)], lasting=True)
    whole = os.write

    def half(handle: int, data: bytes) -> int:
        whole(handle, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.write = half  # type: ignore[assignment]  # of all that may be written, bytes are
    log.append([entry(2)])


def write_some(directory: Path, name: str, count: int) -> None:
    """Append so many lines, one at a time, as the service does."""

    async def work() -> None:
        auditor = open_audit(
            directory, Database(directory / "privface.db", KEYS), AuditSettings(), lambda: datetime.now(UTC), key=KEY
        )
        for number in range(count):
            assert await auditor.record(entry(number, request_id=f"{name}-{number}"))
        await auditor.aclose()

    asyncio.run(work())


def write_until_full(directory: Path, limit: int) -> None:
    """Append under a limit on the size of files until no more is taken; print the code of what came."""
    log = open_log(directory)
    log.append([entry(0)], lasting=True)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for number in itertools.count(1):
        try:
            log.append([entry(number)])
        except PrivFaceError as error:
            say(f"{number} {error.code.value}")
            return


if __name__ == "__main__":
    task, where, *more = sys.argv[1:]
    if task == "forever":
        write_forever(Path(where))
    elif task == "half":
        write_half(Path(where))
    elif task == "some":
        write_some(Path(where), more[0], int(more[1]))
    else:
        write_until_full(Path(where), int(more[0]))
