"""Files from outside: multipart forms and raw bodies, read in pieces and never past their limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

from aiohttp import BodyPartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.pictures import is_video
from privface_backend.pipeline.sources import MEGABYTE
from privface_backend.protocol import ErrorCode
from privface_backend.rest.operations import MULTIPART
from privface_backend.rest.services import SERVICES

CARD_HEADER: Final = "X-PrivFace-Frame-Card"
MOST_FILES: Final = 32
_MOST_PARTS: Final = 128
_FIELD_BYTES: Final = 64 * 1024
_CHUNK: Final = 64 * 1024
_SECONDS: Final = 120.0
_RAW: Final = ("image/", "video/", "application/octet-stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that was sent. ``name``: the last part of the name that it was given, which opens nothing;
    ``media_type``: what the sender says that it is; ``part``: what the form calls it."""

    data: bytes = field(repr=False)
    name: str | None = field(default=None, repr=False)
    media_type: str = "application/octet-stream"
    part: str = "file"

    @property
    def is_video(self) -> bool:
        """Whether to read it as a video: it doesn't start like a picture, and isn't called one."""
        return is_video(self.data, self.name or "", self.media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What came in: the files in their order, and the other fields with all their values; a card in the header counts
    as the field ``card``."""

    files: tuple[UploadedFile, ...]
    fields: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def one_file(self) -> UploadedFile:
        """The only file.

        Raises:
            PrivFaceError: ``bad_request``.
        """
        if len(self.files) != 1:
            raise PrivFaceError(ErrorCode.BAD_REQUEST, "One file is needed.", allowed="one part called file")
        return self.files[0]

    def value(self, name: str) -> str | None:
        """A field's only value.

        Raises:
            PrivFaceError: ``bad_request``: it came twice.
        """
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise PrivFaceError(ErrorCode.BAD_REQUEST, f"The field {name} came more than once.")
        return values[0] if values else None


async def read_upload(request: web.Request, camera: str | None = None) -> Upload:
    """The files of a request: parts called ``file`` of a form, or a raw body of type image/* or video/*. ``camera``:
    whose pictures they are said to be; None: nobody's.

    Raises:
        PrivFaceError: ``bad_request``, ``body_too_large``, ``timeout``; ``sealed``, before anything is read.
    """
    services = request.app[SERVICES]
    services.recognition.require_pictures(camera)
    limit = services.settings.server.body_megabytes * MEGABYTE
    _check_announced(request, limit)
    media_type = request.content_type
    try:
        async with asyncio.timeout(_SECONDS):
            if media_type == MULTIPART:
                return await _read_form(request, limit, _is_called_file)
            if media_type.startswith(_RAW) and request.body_exists:
                return await _read_raw(request, limit)
    except TimeoutError:
        raise PrivFaceError(ErrorCode.TIMEOUT, "The request's body took too long.") from None
    raise PrivFaceError(
        ErrorCode.BAD_REQUEST,
        "There is no file in the request.",
        allowed="multipart/form-data with a part called file, or a body of type image/* or video/*",
    )


async def read_form(request: web.Request, is_file: Callable[[BodyPartReader], bool]) -> Upload:
    """A form of either kind, multipart or URL-encoded; without a body, one without files and fields.

    ``is_file``: which parts of a multipart form are files.

    Raises:
        PrivFaceError: ``bad_request``, ``body_too_large``, ``timeout``.
    """
    if request.content_type == MULTIPART:
        limit = request.app[SERVICES].settings.server.body_megabytes * MEGABYTE
        _check_announced(request, limit)
        try:
            async with asyncio.timeout(_SECONDS):
                return await _read_form(request, limit, is_file)
        except TimeoutError:
            raise PrivFaceError(ErrorCode.TIMEOUT, "The request's body took too long.") from None
    try:
        text = (await read_limited(request, _FIELD_BYTES)).decode()
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_PARTS, errors="strict")
    except ValueError:
        raise _bad_form() from None
    return Upload(files=(), fields=fields)


async def read_limited(request: web.Request, limit: int) -> bytes:
    """A whole body.

    Raises:
        PrivFaceError: ``body_too_large``, before more than ``limit`` bytes are held; ``timeout``.
    """
    _check_announced(request, limit)
    try:
        async with asyncio.timeout(_SECONDS):
            return await _collect(request.content.iter_chunked(_CHUNK), limit)
    except TimeoutError:
        raise PrivFaceError(ErrorCode.TIMEOUT, "The request's body took too long.") from None


async def _read_raw(request: web.Request, limit: int) -> Upload:
    data = await _collect(request.content.iter_chunked(_CHUNK), limit)
    card = request.headers.get(CARD_HEADER)
    return Upload(
        files=(UploadedFile(data=data, media_type=request.content_type),),
        fields={} if card is None else {"card": [card]},
    )


def _is_called_file(part: BodyPartReader) -> bool:
    return part.name == "file"


async def _read_form(request: web.Request, limit: int, is_file: Callable[[BodyPartReader], bool]) -> Upload:
    files: list[UploadedFile] = []
    fields: dict[str, list[str]] = {}
    card = request.headers.get(CARD_HEADER)
    if card is not None:
        fields["card"] = [card]
    left = limit
    try:
        parts = await request.multipart()
        for _ in range(_MOST_PARTS):
            part = await parts.next()
            if part is None:
                return Upload(files=tuple(files), fields=fields)
            if not isinstance(part, BodyPartReader):
                raise _bad_form()
            holds_file = is_file(part)
            data = await _collect(_chunks(part), left if holds_file else min(left, _FIELD_BYTES))
            left -= len(data)
            if holds_file:
                files.append(_file(part, data))
            elif part.name:
                fields.setdefault(part.name, []).append(data.decode())
            if len(files) > MOST_FILES:
                break
    except (ValueError, KeyError, AssertionError, RuntimeError, HttpProcessingError):
        # What aiohttp's reader raises for forms that are cut off or malformed; the texts can quote the body.
        raise _bad_form() from None
    raise PrivFaceError(
        ErrorCode.BAD_REQUEST, "The form has too many parts.", allowed=f"{MOST_FILES} files, {_MOST_PARTS} parts"
    )


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK):
        yield bytes(chunk)


async def _collect(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        if len(data) + len(chunk) > limit:
            raise _too_large(limit)
        data += chunk
    return bytes(data)


def _file(part: BodyPartReader, data: bytes) -> UploadedFile:
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in name if letter.isprintable())[:255]
    media_type = part.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream").partition(";")[0].strip().lower()
    return UploadedFile(data=data, name=shown or None, media_type=media_type, part=part.name or "")


def _check_announced(request: web.Request, limit: int) -> None:
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> PrivFaceError:
    return PrivFaceError(ErrorCode.BODY_TOO_LARGE, "The request's body is too large.", allowed=f"at most {limit} bytes")


def _bad_form() -> PrivFaceError:
    return PrivFaceError(ErrorCode.BAD_REQUEST, "The form is cut off or malformed.", allowed="multipart/form-data")
