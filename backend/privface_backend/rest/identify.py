"""Who is in a picture or a video: the answer to one caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.intake import Seen
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.sources import make_video
from privface_backend.protocol import ErrorCode, Event, FrameCard, Privacy, Scope
from privface_backend.rest.documents import read_card, read_flag
from privface_backend.rest.middleware import begin, request_id
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
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import CARD_HEADER, UploadedFile, read_upload

_CAMERA: Final = "upload"
# Seconds that a caller has to read a line.
_PATIENCE: Final = 60.0

CARD_PARAMETER: Final = Parameter(
    name=CARD_HEADER,
    place="header",
    description="The frame card as JSON, where the body is the file itself. See FrameCard.",
)
FRAME_ERRORS: Final = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.BAD_FRAME_CARD,
    ErrorCode.BAD_PRIVACY_PARAMETER,
    ErrorCode.NOT_ANONYMIZED,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the query asks for. ``privacy``: how to anonymize what came clear; None: not said."""

    privacy: Privacy | None
    detail: bool
    publish: bool

    @classmethod
    def read(cls, request: web.Request) -> _Wish:
        query = request.query
        return cls(
            privacy=read_privacy(request.app[SERVICES].recognition, query.get("method"), query.get("privacy")),
            detail=read_flag(query, "detail"),
            publish=read_flag(query, "publish"),
        )


def read_privacy(recognition: Recognition, method: str | None, parameter: str | None) -> Privacy | None:
    """How to anonymize, from the texts of a request. A method alone gets the strength of the default; None: neither.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``, saying what is allowed.
    """
    if method is None and parameter is None:
        return None
    default, engines = recognition.rules.default_privacy, recognition.process.engines
    anonymizer = engines.anonymizer(default.method if method is None else method)
    if parameter is None:
        sigma = engines.anonymizer(default.method).sigma(default.parameter)
        return Privacy(method=anonymizer.name, parameter=anonymizer.parameter_for(sigma))
    try:
        number = int(parameter)
    except ValueError:
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER,
            "The privacy parameter is no whole number.",
            allowed=anonymizer.allowed,
        ) from None
    anonymizer.validate(number)
    return Privacy(method=anonymizer.name, parameter=number)


async def identify(request: web.Request) -> web.StreamResponse:
    services, wish = request.app[SERVICES], _Wish.read(request)
    upload = await read_upload(request)
    file = upload.one_file()
    card = read_card(upload.value("card"), camera=_CAMERA, now=services.clock(), request_id=request_id(request))
    if card.privacy is not None and wish.privacy is not None:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "The anonymization was given twice.",
            allowed="method and privacy in the query, or privacy in the frame card",
        )
    if file.is_video:
        return await _identify_video(request, file, card, wish)
    timed = await services.recognition.identify(file.data, claimed=card.privacy, default=wish.privacy)
    document = _document(services, timed, wish, file=file.name)
    if wish.publish:
        seen = services.intake.record().take(Seen(timed=timed, card=replace(card, more=False)))
        document["events"] = event_ids(seen.events)
    return web.json_response(document)


async def _identify_video(request: web.Request, file: UploadedFile, card: FrameCard, wish: _Wish) -> web.StreamResponse:
    services = request.app[SERVICES]
    default = wish.privacy or services.recognition.rules.default_privacy
    source = make_video(services.registry, services.settings.pipeline, file.data, card)
    recording = services.intake.record() if wish.publish else None
    lines = _Lines(request)
    last: Seen | None = None
    async with contextlib.aclosing(services.intake.stream(source, claimed=card.privacy, default=default)) as frames:
        async for seen in frames:
            last = seen if recording is None else recording.take(seen)
            if last.timed.judgement.faces or last.events:
                await lines.write(_frame_document(services, last, wish, file.name))
            elif lines.abandoned:
                break
    if last is not None and recording is not None:
        _, events = recording.end()
        last = replace(last, events=events)
    if last is not None and (not lines.begun or (recording is not None and last.events)):
        await lines.write(_frame_document(services, last, wish, file.name))
    return await lines.end()


def _frame_document(services: Services, seen: Seen, wish: _Wish, file: str | None) -> dict[str, object]:
    document = _document(services, seen.timed, wish, file=file, frame=seen.frame)
    if wish.publish:
        document["events"] = event_ids(seen.events)
    return document


class _Lines:
    """An answer of one JSON object a line. It begins with its first line: what fails before has a status of its own."""

    def __init__(self, request: web.Request) -> None:
        self._request: Final = request
        self._response: Final = web.StreamResponse(headers={"Content-Type": NDJSON})

    @property
    def begun(self) -> bool:
        return self._response.prepared

    @property
    def abandoned(self) -> bool:
        """Whether the caller hung up."""
        return self._request.transport is None or self._request.transport.is_closing()

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


def _document(services: Services, timed: Timed, wish: _Wish, *, file: str | None, frame: int = 0) -> dict[str, object]:
    document: dict[str, object] = timed.judgement.to_identification(file, frame, timed.latency_ms).to_dict()
    if wish.detail:
        document["detail"] = timed.judgement.detail(services.index.snapshot.names)
    return document


def event_ids(events: tuple[Event, ...]) -> list[str]:
    return [event.event_id for event in events]


def visit_ids(updates: tuple[VisitUpdate, ...]) -> list[str]:
    return [update.visit_id for update in updates]


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
            "reading breaks off after the first line, the last line is an Error. Nothing is published unless "
            "publish=1: then what is decided about a visit becomes an event: of a picture, about each of its faces; of "
            "a video, about each person in it, those that are decided at its end with the last line."
        ),
        scope=Scope.IDENTIFY,
        parameters=(
            Parameter(
                name="method", description="How to anonymize a file that came clear; see /info for those allowed."
            ),
            Parameter(
                name="privacy",
                description="The privacy parameter of the method; gaussian: an odd kernel size in pixels.",
                schema={"type": "integer"},
            ),
            Parameter(name="detail", description="1: boxes in pixels and the nearest people, too."),
            Parameter(name="publish", description="1: what is found goes out as events."),
            CARD_PARAMETER,
        ),
        body=upload_body("image/*", "video/*"),
        answers={
            200: Answer(
                description="What was found.",
                content={JSON: component("Identification"), NDJSON: component("Identification")},
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
