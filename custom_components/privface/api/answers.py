"""From what a server answers, or how it fails to, to documents and errors."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from .errors import (
    AddressError,
    ApiVersionError,
    AuthenticationError,
    ClientError,
    ForbiddenError,
    NotPrivFaceError,
    RefusedError,
    UnavailableError,
)
from .protocol import ErrorCode, WireError

LARGEST_ANSWER: Final = 8 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_LONGEST_TEXT: Final = 500
_LONGEST_WAIT: Final = 3600


async def read_answer(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The object that a request was answered with.

    Raises:
        ClientError: it was answered with an error, or not as a backend answers.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise NotPrivFaceError("The answer is too large.")
    try:
        document = parse_object(bytes(body))
    except WireError:
        document = {}
    if response.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        if not document:
            raise NotPrivFaceError
        return document
    raise _told_error(document.get("error")) or make_error(response.status, response.headers)


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        WireError: it is something else.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("message", "JSON") from None
    if not isinstance(value, dict):
        raise WireError("message", "an object")
    return value


def _told_error(error: object) -> ClientError | None:
    """The error that a backend tells of; None: these are not the words of one."""
    if not isinstance(error, Mapping):
        return None
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        return None
    known, allowed, details = ErrorCode(code), error.get("allowed"), error.get("details")
    match known:
        case ErrorCode.API_VERSION:
            return ApiVersionError(too_old=False)
        case ErrorCode.TIMEOUT:
            return UnavailableError("The backend gave up waiting.", code=known)
        case ErrorCode.UNAUTHENTICATED:
            kind: type[ClientError] = AuthenticationError
        case ErrorCode.FORBIDDEN:
            kind = ForbiddenError
        case _:
            kind = RefusedError
    return kind(
        known,
        # The backend's own words stay out of logs: those of whoever else answers could repeat what was sent.
        f"The backend refused: {known}.",
        allowed=allowed[:_LONGEST_TEXT] if isinstance(allowed, str) else None,
        details=details if isinstance(details, Mapping) else None,
    )


_REFUSALS: Final[Mapping[int, tuple[type[ClientError], ErrorCode, str]]] = {
    401: (AuthenticationError, ErrorCode.UNAUTHENTICATED, "The token was refused."),
    403: (ForbiddenError, ErrorCode.FORBIDDEN, "Access was refused."),
    413: (RefusedError, ErrorCode.BODY_TOO_LARGE, "The request was too large."),
    429: (RefusedError, ErrorCode.TOO_MANY_ATTEMPTS, "There were too many requests."),
}


def make_error(status: int, headers: Mapping[str, str]) -> ClientError:
    """The error for an answer that is known by its status only: a proxy's, or the refusal of a websocket."""
    if status in _REFUSALS:
        kind, code, message = _REFUSALS[status]
        return kind(code, message, details=_read_retry_after(headers))
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT}:
        return UnavailableError("The backend took too long.", code=ErrorCode.TIMEOUT)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(f"The backend can't be reached: the answer was {status}.")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return NotPrivFaceError("The address only points to another one, which must be given itself.")
    return NotPrivFaceError()


def _read_retry_after(headers: Mapping[str, str]) -> dict[str, object]:
    text = headers.get("Retry-After", "")
    return {"retry_after": min(int(text), _LONGEST_WAIT)} if text.isascii() and text.isdecimal() else {}


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what the network makes a request raise into a ``ClientError``; its own text can quote the request."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        raise _translate(error) from None


def _translate(error: aiohttp.ClientError | OSError) -> ClientError:
    match error:
        case TimeoutError():
            return UnavailableError("The backend took too long.", code=ErrorCode.TIMEOUT)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch() | ssl.SSLError():
            return UnavailableError("The backend's certificate or encryption can't be accepted.", tls=True)
        case aiohttp.ClientConnectorError():
            return UnavailableError("The backend can't be reached.")
        case aiohttp.ClientResponseError():
            return make_error(error.status, error.headers or {})
        case aiohttp.InvalidURL():
            return AddressError()
    return UnavailableError("The connection to the backend was lost.")
