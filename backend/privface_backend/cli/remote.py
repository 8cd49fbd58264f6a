"""A backend's REST interface, as a command asks it: one that is named, or the running service of a data directory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import typer
from yarl import URL

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60.0, connect=10.0)
_LONGEST_ANSWER: Final = 4 * 1024 * 1024


class Remote:
    """Asks the backend at ``url``."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session: Final = session
        self._url: Final = f"{url.rstrip('/')}/api/v1"
        self._headers: Final = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON object.

        Raises:
            PrivFaceError: the backend's own; ``timeout``: it can't be reached, or what answers is none.
        """
        try:
            async with self._session.request(
                method, self._url + path, json=document, headers=self._headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                body, status = await _read_body(response), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Its text may hold the address.
            raise PrivFaceError(ErrorCode.TIMEOUT, f"The backend can't be reached ({type(error).__name__}).") from None
        answer = _read_object(body)
        if answer is None:
            raise PrivFaceError(ErrorCode.TIMEOUT, f"What answers is no PrivFace backend (status {status}).")
        if status >= 400:
            raise _read_error(answer, status)
        return answer


@contextlib.asynccontextmanager
async def open_remote(data_dir: Path, url: str | None, token: str | None) -> AsyncIterator[Remote]:
    """The backend at ``url``, or without one the running service of ``data_dir``.

    Raises:
        PrivFaceError: ``timeout``: no service runs there.
        typer.BadParameter: the address is none.
    """
    if url is None:
        url, own = _find_service(data_dir)
        token = token or own
    # A proxy of the environment is not for the home's own network.
    async with aiohttp.ClientSession(trust_env=False) as session:
        yield Remote(session, _checked(url), token or "")


def _checked(url: str) -> str:
    try:
        address = URL(url)
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise typer.BadParameter("expected http://HOST:PORT", param_hint="--url")
    return url


def _find_service(data_dir: Path) -> tuple[str, str]:
    from privface_backend.cli.runfile import read_run  # noqa: PLC0415  # not where the bridge alone is installed

    run = read_run(data_dir)
    if run is None:
        raise PrivFaceError(
            ErrorCode.TIMEOUT,
            "No service runs on this data directory. Start it with `privface serve`, or name another with --url.",
        )
    return run.url, run.token


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """The answer's body; what is too long for one is cut off, and so no JSON."""
    data = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > _LONGEST_ANSWER:
            response.close()
            break
    return bytes(data)


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _read_error(answer: Mapping[str, Any], status: int) -> PrivFaceError:
    error = answer.get("error")
    if not isinstance(error, Mapping):
        return PrivFaceError(ErrorCode.UNKNOWN, f"The backend refused (status {status}).")
    allowed = error.get("allowed")
    return PrivFaceError(
        ErrorCode(str(error.get("code", ""))),
        str(error.get("message", "")),
        allowed=None if allowed is None else str(allowed),
    )
