"""Asking the running service of this data directory, over REST."""

from __future__ import annotations

from typing import Any, Final

import aiohttp

from privface_backend.cli.runfile import Run
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_SECONDS: Final = 30.0


async def ask_service(run: Run, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The JSON object that the service answers with. ``body``: JSON to send.

    Raises:
        PrivFaceError: what the service refuses with; ``timeout``: it can't be reached.
    """
    headers, timeout = {"Authorization": f"Bearer {run.token}"}, aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(method, f"{run.url}{path}", json=body) as answer,
        ):
            document = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        raise PrivFaceError(ErrorCode.TIMEOUT, f"The service at {run.url} can't be reached.") from None
    if not isinstance(document, dict):
        raise PrivFaceError(ErrorCode.TIMEOUT, f"What answers at {run.url} is no PrivFace.")
    if answer.status < 400:  # HTTP's own line
        return document
    error = document.get("error") or {}
    allowed = error.get("allowed")
    raise PrivFaceError(
        ErrorCode(error.get("code", "unknown")),
        str(error.get("message", f"The service answered {answer.status}.")),
        allowed=None if allowed is None else str(allowed),
    )
