"""Exit codes, the same for every command."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from privface_backend.protocol import ErrorCode


class Exit(IntEnum):
    """What the process ends with."""

    OK = 0
    UNFINISHED = 1
    USAGE = 2
    ENGINES = 3
    STORAGE = 4
    NETWORK = 5
    INTERNAL = 70
    INTERRUPTED = 130


EXPLAINED: Final = """\
Exit codes: 0 done; 1 done, but something was refused or found wrong; 2 wrong usage or settings;
3 an engine or its weights are missing; 4 the data directory can't be used; 5 a server or broker
can't be reached; 70 an internal error; 130 interrupted."""

_USAGE: Final = frozenset(
    {
        ErrorCode.SETTINGS_INVALID,
        ErrorCode.BAD_REQUEST,
        ErrorCode.BAD_PRIVACY_PARAMETER,
        ErrorCode.BAD_NAME,
        ErrorCode.ENGINE_UNKNOWN,
        ErrorCode.PERSON_NOT_FOUND,
        ErrorCode.FACE_NOT_FOUND,
        ErrorCode.EVENT_NOT_FOUND,
        ErrorCode.STRANGER_NOT_FOUND,
        ErrorCode.NOT_FOUND,
        ErrorCode.PERSON_EXISTS,
        ErrorCode.PATH_NOT_ALLOWED,
    }
)
_ENGINES: Final = frozenset(
    {
        ErrorCode.ENGINE_MISSING,
        ErrorCode.ENGINE_FAILED,
        ErrorCode.WEIGHTS_MISSING,
        ErrorCode.WEIGHTS_MISMATCH,
        ErrorCode.WEIGHTS_UNREACHABLE,
    }
)
_STORAGE: Final = frozenset(
    {
        ErrorCode.STORAGE_FULL,
        ErrorCode.STORAGE_FAILED,
        ErrorCode.AUDIT_FAILED,
        ErrorCode.GALLERY_CORRUPT,
        ErrorCode.GALLERY_TOO_NEW,
        ErrorCode.KEY_MISSING,
        ErrorCode.LOCKED,
    }
)
_NETWORK: Final = frozenset(
    {
        ErrorCode.PORT_IN_USE,
        ErrorCode.BROKER_REFUSED,
        ErrorCode.BROKER_UNREACHABLE,
        ErrorCode.LINK_UNREACHABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.UNAUTHENTICATED,
        ErrorCode.FORBIDDEN,
    }
)


def exit_for(code: ErrorCode) -> Exit:
    """The exit code that an error ends a command with."""
    for codes, ending in ((_USAGE, Exit.USAGE), (_ENGINES, Exit.ENGINES), (_STORAGE, Exit.STORAGE)):
        if code in codes:
            return ending
    if code is ErrorCode.INTERNAL:
        return Exit.INTERNAL
    return Exit.NETWORK if code in _NETWORK else Exit.UNFINISHED
