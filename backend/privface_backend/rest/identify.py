"""Who is in a picture or a video: the answer to one caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Final

from aiohttp import web

from privface_backend.pipeline.recording import Seen
from privface_backend.protocol import ErrorCode, FrameCard, Scope
from privface_backend.rest.disconnects import until_gone
from privface_backend.rest.identifications import (
    VideoProgress,
    Wish,
    check_announced_camera,
    describe,
    event_ids,
    look_through,
    read_wanted_card,
)
from privface_backend.rest.middleware import begin
from privface_backend.rest.operations import (
    API,
    JSON,
    MULTIPART,
    NDJSON,
    Answer,
    Body,
    Operation,
    Parameter,
    Schema,
    component,
)
from privface_backend.rest.services import SERVICES
from privface_backend.rest.uploads import CARD_HEADER, UploadedFile, read_upload

# Seconds that a caller has to read a line.
_PATIENCE: Final = 60.0
# How often progress is told.
_PROGRESS_SECONDS: Final = 1.0

CARD_PARAMETER: Final = Parameter(
    name=CARD_HEADER,
    place="header",
    description="The frame card as JSON, where the body is the file itself. See FrameCard.",
)
WISH_PARAMETERS: Final = (
    Parameter(name="method", description="How to anonymize a file that came clear; see /info for those allowed."),
    Parameter(
        name="privacy",
        description="The privacy parameter of the method; gaussian: an odd kernel size in pixels.",
        schema={"type": "integer"},
    ),
    Parameter(name="detail", description="1: boxes in pixels and the nearest people, too."),
    Parameter(name="publish", description="1: what is found goes out as events."),
)
FRAME_ERRORS: Final = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.BAD_FRAME_CARD,
    ErrorCode.BAD_PRIVACY_PARAMETER,
    ErrorCode.NOT_ANONYMIZED,
    ErrorCode.SEALED,
    ErrorCode.ANONYMIZER_FAILED,
    ErrorCode.PICTURE_UNREADABLE,
    ErrorCode.PICTURE_TRUNCATED,
    ErrorCode.PICTURE_TOO_LARGE,
    ErrorCode.PICTURE_FORMAT,
    ErrorCode.BODY_TOO_LARGE,
    ErrorCode.WEIGHTS_MISSING,
    ErrorCode.OVERLOADED,
    ErrorCode.TIMEOUT,
)


def upload_body(*raw: str) -> Body:
    """A form with ``file`` and ``card``, or the file itself."""
    form: Schema = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "contentMediaType": "application/octet-stream"},
            "card": {"type": "string", "contentMediaType": JSON, "contentSchema": component("FrameCard")},
        },
    }
    return Body(content={MULTIPART: form} | {media_type: {} for media_type in raw})


async def identify(request: web.Request) -> web.StreamResponse:
    services, wish = request.app[SERVICES], Wish.read(request)
    check_announced_camera(request)
    upload = await read_upload(request)
    file = upload.one_file()
    card = read_wanted_card(request, upload, wish)
    if file.is_video:
        return await _identify_video(request, file, card, wish)
    timed = await services.recognition.identify(
        file.data, claimed=card.privacy, default=wish.privacy, camera=card.camera
    )
    document = describe(services, timed, wish, file=file.name)
    if wish.publish:
        seen = services.intake.record().take(Seen(timed=timed, card=replace(card, more=False)))
        document["events"] = event_ids(seen.events)
    return web.json_response(document)


async def _identify_video(request: web.Request, file: UploadedFile, card: FrameCard, wish: Wish) -> web.StreamResponse:
    services, progress = request.app[SERVICES], VideoProgress()
    lines, loop = Lines(request), asyncio.get_running_loop()
    due = loop.time()
    looks = look_through(services, file, card, wish, progress)
    async with until_gone(request) as connected, contextlib.aclosing(looks):
        async for document in looks:
            if document is not None:
                await lines.write(document)
            if wish.progress and loop.time() >= due:
                due = loop.time() + _PROGRESS_SECONDS
                await lines.write({"progress": progress.to_dict()})
        if wish.progress:
            await lines.write({"progress": progress.to_dict()})
    if connected.expired():
        raise ConnectionResetError("the caller hung up")
    return await lines.end()


class Lines:
    """An answer of one JSON object a line. It begins with its first line: what fails before has a status of its own."""

    def __init__(self, request: web.Request) -> None:
        self._request: Final = request
        self._response: Final = web.StreamResponse(headers={"Content-Type": NDJSON})

    @property
    def begun(self) -> bool:
        return self._response.prepared

    async def write(self, document: dict[str, object]) -> None:
        if not self.begun:
            await self._response.prepare(self._request)
            begin(self._request, self._response)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._response.write(json.dumps(document).encode() + b"\n")
        except TimeoutError:
            raise ConnectionResetError("the caller doesn't read") from None

    async def end(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{API}/identify",
        handler=identify,
        tag="Recognition",
        summary="Who is in a picture or a video",
        description=(
            "A picture is answered with one object. A video is answered with a line for each frame with a face, as it "
            "is found; a video without any face with one line, that of its last frame, whose reason is no_face. If "
            "reading breaks off after the first line, the last line is an Error. It stops when the caller hangs up; "
            "for a video that nobody waits for see /videos. Nothing is published unless "
            "publish=1: then what is decided about a visit becomes an event: of a picture, about each of its faces; of "
            "a video, about each person in it, those that are decided at its end with the last line."
        ),
        scope=Scope.IDENTIFY,
        parameters=(
            *WISH_PARAMETERS,
            Parameter(
                name="progress",
                description="1: of a video, at most once a second and at its end, a line that says how far it is.",
            ),
            CARD_PARAMETER,
        ),
        body=upload_body("image/*", "video/*"),
        answers={
            200: Answer(
                description="What was found.",
                content={
                    JSON: component("Identification"),
                    NDJSON: {"anyOf": [component("Identification"), component("VideoProgressLine")]},
                },
            )
        },
        errors=(
            *FRAME_ERRORS,
            ErrorCode.VIDEO_UNREADABLE,
            ErrorCode.VIDEO_WITHOUT_FRAMES,
            ErrorCode.ENGINE_MISSING,
        ),
    ),
)
