"""The refusal of a privacy parameter, the same for every anonymizer."""

from __future__ import annotations

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


def refuse(method: str, allowed: str) -> PrivFaceError:
    """The error for a parameter that ``method`` doesn't take. A parameter is never fixed silently."""
    return PrivFaceError(
        ErrorCode.BAD_PRIVACY_PARAMETER,
        f"The privacy parameter doesn't fit the method {method}.",
        allowed=allowed,
    )


def is_whole(parameter: object) -> bool:
    """Whether it is an int, and not a bool that passes for one."""
    return isinstance(parameter, int) and not isinstance(parameter, bool)
