"""What all of CompreFace's routes share: keys, pictures in forms and in JSON, errors with its numbers."""

from __future__ import annotations

import base64
import json
from functools import wraps
from typing import Final

from aiohttp import BodyPartReader, hdrs, web

from privface_backend.errors import PrivFaceError, http_status
from privface_backend.pipeline.sources import MEGABYTE
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import parse_object
from privface_backend.rest.dropin import let_in
from privface_backend.rest.middleware import ErrorShape, error_headers, shape_errors
from privface_backend.rest.operations import API, JSON, Handler
from privface_backend.rest.services import SERVICES
from privface_backend.rest.uploads import read_form, read_limited

BASE: Final = API
_KEY: Final = "x-api-key"

# CompreFace's number for each of our codes, and the status that it sends with it.
_CODES: Final = {
    ErrorCode.UNAUTHENTICATED: (10, 401),
    ErrorCode.FACE_NOT_FOUND: (11, 404),
    ErrorCode.PICTURE_UNREADABLE: (21, 400),
    ErrorCode.PICTURE_TRUNCATED: (21, 400),
    ErrorCode.PICTURE_TOO_LARGE: (21, 400),
    ErrorCode.PICTURE_FORMAT: (21, 400),
    ErrorCode.BAD_REQUEST: (26, 400),
    ErrorCode.BAD_NAME: (26, 400),
    ErrorCode.NO_FACE: (28, 400),
    ErrorCode.SEVERAL_FACES: (31, 400),
    ErrorCode.FACE_TOO_SMALL: (28, 400),
    ErrorCode.FACE_TOO_BLURRY: (28, 400),
    ErrorCode.NOT_ANONYMIZED: (0, 403),
    ErrorCode.ENGINE_FAILED: (41, 500),
    ErrorCode.ANONYMIZER_FAILED: (41, 500),
    ErrorCode.WEIGHTS_MISSING: (41, 503),
    ErrorCode.OVERLOADED: (41, 503),
    ErrorCode.PERSON_NOT_FOUND: (42, 404),
    ErrorCode.PERSON_EXISTS: (43, 400),
}
_NO_HEADER: Final = (20, 400)
_NO_PARAMETER: Final = (33, 400)
_NO_PART: Final = (34, 400)


class CompreFaceError(PrivFaceError):
    """An error with a number that none of our codes has: ``wire`` is that and the status."""

    def __init__(self, wire: tuple[int, int], message: str, code: ErrorCode = ErrorCode.BAD_REQUEST) -> None:
        super().__init__(code, message)
        self.wire = wire


def route(method: str, path: str, scope: Scope, handler: Handler) -> web.RouteDef:
    """A route of CompreFace's, behind its key; with or without a slash at its end."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        key = request.headers.get(_KEY)
        try:
            await let_in(request, scope, key)
        except PrivFaceError as error:
            if key is None and hdrs.AUTHORIZATION not in request.headers and error.code is ErrorCode.UNAUTHENTICATED:
                raise CompreFaceError(_NO_HEADER, f"Missing header: {_KEY}. It holds a token of PrivFace.") from None
            raise
        return await handler(request)

    return web.route(method, f"{path}{{end:/?}}", shape_errors(ErrorShape(write_error), handle))


def write_error(error: PrivFaceError) -> web.Response:
    """An error as CompreFace writes them: ``{"message", "code"}``."""
    if isinstance(error, CompreFaceError):
        number, status = error.wire
    else:
        number, status = _CODES.get(error.code, (0, http_status(error.code)))
    return web.Response(
        text=json.dumps({"message": error.explanation, "code": number}),
        status=status,
        content_type=JSON,
        headers=error_headers(error),
    )


def read_parameter(request: web.Request, name: str) -> str:
    """A text that the query must have.

    Raises:
        CompreFaceError: it is missing or empty.
    """
    text = request.query.get(name, "")
    if not text.strip():
        raise CompreFaceError(_NO_PARAMETER, f"The parameter {name} is missing.")
    return text


async def read_images(request: web.Request, *names: str) -> dict[str, bytes]:
    """The picture of each name: parts of a form, or base64 in a JSON object.

    Raises:
        CompreFaceError: one is missing. PrivFaceError: ``bad_request``, ``body_too_large``, ``timeout``.
    """

    def is_file(part: BodyPartReader) -> bool:
        return part.name in names or part.filename is not None

    if request.content_type == JSON:
        found = await _read_base64(request, names)
    else:
        found = {file.part: file.data for file in (await read_form(request, is_file)).files}
    for name in names:
        if name not in found:
            raise CompreFaceError(_NO_PART, f"The part {name} is missing: it holds the picture.")
    return found


async def _read_base64(request: web.Request, names: tuple[str, ...]) -> dict[str, bytes]:
    limit = request.app[SERVICES].settings.server.body_megabytes * MEGABYTE
    document = parse_object(await read_limited(request, limit), "The request's body")
    return {name: _decode(document[name], name) for name in names if document.get(name) is not None}


def _decode(value: object, name: str) -> bytes:
    # A page's "data:image/jpeg;base64," may stand before it; what is no text is no base64 either.
    text = value.rpartition(",")[2] if isinstance(value, str) else "-"
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{name} can't be read.", allowed="a picture in base64") from None
