"""What surrounds every handler: a request id, errors as JSON, the access log, safe headers."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Final
from uuid import uuid4

from aiohttp import WSCloseCode, hdrs, web

from privface_backend.errors import PrivFaceError, http_status
from privface_backend.protocol import ErrorCode
from privface_backend.rest.operations import Handler

_LOGGER: Final = logging.getLogger(__name__)

REQUEST_ID: Final = "X-Request-Id"
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ID_KEY: Final = web.RequestKey("request_id", str)
_BEGUN_KEY: Final = web.RequestKey("begun", web.StreamResponse)


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How the errors of a route are written whose shapes are not ours."""

    write: Callable[[PrivFaceError], web.Response]


_SHAPE_KEY: Final = web.RequestKey("error shape", ErrorShape)

_RETRY_SECONDS: Final = 1
_SPELLING: Final = re.compile(r"\{(?:end|prefix)\}")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_HTTP_CODES: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.BODY_TOO_LARGE,
}
_HTTP_MESSAGES: Final = {
    ErrorCode.NOT_FOUND: "There is nothing at this address.",
    ErrorCode.METHOD_NOT_ALLOWED: "This address doesn't take that method.",
    ErrorCode.BODY_TOO_LARGE: "The request's body is too large.",
    ErrorCode.BAD_REQUEST: "The request can't be understood.",
}


def request_id(request: web.Request) -> str:
    """The request's id: the sender's own, where it is a plain word, or a new one."""
    found = request.get(_ID_KEY)
    if found is None:
        given = request.headers.get(REQUEST_ID, "")
        found = request[_ID_KEY] = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
    return found


def begin(request: web.Request, response: web.StreamResponse) -> None:
    """Say that ``response``, of lines or a websocket, is on its way: an error from now on becomes its last line, or
    closes the websocket."""
    request[_BEGUN_KEY] = response


def shape_errors(shape: ErrorShape, handler: Handler) -> Handler:
    """The handler, with its errors in that shape, whatever they are."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        request[_SHAPE_KEY] = shape
        return await handler(request)

    return handle


def error_document(error: PrivFaceError, request: web.Request) -> dict[str, object]:
    """An error as it goes out."""
    return {"error": error.to_dict(), "request_id": request_id(request)}


def error_headers(error: PrivFaceError) -> dict[str, str]:
    """The headers that go with an error's status."""
    if error.code is ErrorCode.UNAUTHENTICATED:
        return {hdrs.WWW_AUTHENTICATE: 'Bearer realm="PrivFace"'}
    if error.code is ErrorCode.TOO_MANY_ATTEMPTS:
        return {hdrs.RETRY_AFTER: str(error.details.get("retry_after", _RETRY_SECONDS))}
    if error.code is ErrorCode.OVERLOADED:
        return {hdrs.RETRY_AFTER: str(_RETRY_SECONDS)}
    return {}


@web.middleware
async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line a request: the route's pattern, never the path or query, which can hold names."""
    started = time.perf_counter()
    status: int | str = "ended early"
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        _LOGGER.log(
            logging.DEBUG if status == 200 else logging.INFO,
            "%s %s %s %s %.0f ms",
            request_id(request),
            request.method,
            "-" if resource is None else _readable(resource.canonical),
            status,
            (time.perf_counter() - started) * 1000,
        )


def _readable(pattern: str) -> str:
    """A route's pattern without the parts that only stand for other spellings of an address."""
    return _SPELLING.sub("", pattern)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer."""
    try:
        return await handler(request)
    except PrivFaceError as error:
        return await _answer(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return await _answer(request, _translated(error), _kept_headers(error))
    except ConnectionError:
        # The client has gone: nobody reads an answer.
        raise
    except web.RequestPayloadError:
        return await _answer(request, PrivFaceError(ErrorCode.BAD_REQUEST, "The request's body is incomplete."))
    except Exception as error:  # noqa: BLE001  # the last resort: the caller gets a code, the log the place
        _log_unexpected(request, error)
        return await _answer(request, PrivFaceError(ErrorCode.INTERNAL, "Something went wrong inside PrivFace."))


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers that every answer carries; a handler's own win."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "PrivFace"
    response.headers[REQUEST_ID] = request_id(request)


def http_code(error: web.HTTPException) -> ErrorCode:
    """The code that one of aiohttp's errors goes out with."""
    return _HTTP_CODES.get(error.status, ErrorCode.BAD_REQUEST if error.status < 500 else ErrorCode.INTERNAL)


async def _answer(
    request: web.Request, error: PrivFaceError, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    shape: ErrorShape | None = request.get(_SHAPE_KEY)
    if shape is not None:
        return shape.write(error)
    document = error_document(error, request)
    begun: web.StreamResponse | None = request.get(_BEGUN_KEY)
    if isinstance(begun, web.WebSocketResponse):
        await begun.close(code=WSCloseCode.INTERNAL_ERROR, message=error.code.value.encode())
        return begun
    if begun is not None:
        await begun.write(json.dumps(document).encode() + b"\n")
        await begun.write_eof()
        return begun
    return web.json_response(document, status=http_status(error.code), headers=error_headers(error) | (headers or {}))


def _translated(error: web.HTTPException) -> PrivFaceError:
    code = http_code(error)
    return PrivFaceError(code, _HTTP_MESSAGES.get(code, "Something went wrong inside PrivFace."))


def _kept_headers(error: web.HTTPException) -> dict[str, str]:
    return {hdrs.ALLOW: error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}


def _log_unexpected(request: web.Request, error: BaseException) -> None:
    """Log where it happened and of what type it is; an exception's own text can quote what was sent."""
    parts = []
    cause: BaseException | None = error
    while cause is not None:
        parts.append("".join(traceback.format_tb(cause.__traceback__)) + type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    _LOGGER.error("%s failed unexpectedly:\n%s", request_id(request), "\ncaused by\n".join(parts))
