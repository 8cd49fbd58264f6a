"""The routes of SIFIS-Home's "Privacy-Aware Face Recognition", and its answers.

What a request names is never opened: ``file_name`` and the form's ``path`` are words, a camera link must be on the
list of allowed links. The blur with the request's privacy parameter comes before everything else.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.intake import Seen
from privface_backend.pipeline.links import AddressLink, LinkPolicy, WebcamLink
from privface_backend.plugins.ports import Source
from privface_backend.protocol import AppliedBy, ErrorCode, FrameCard, FrameSource, Privacy, Requestor, Scope
from privface_backend.rest.authentication import authorize, may_lack_token
from privface_backend.rest.disconnects import until_gone
from privface_backend.rest.documents import LONGEST_CAMERA_NAME, read_flag
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.sifis_labels import Sightings
from privface_backend.rest.sources import MEGABYTE, MEGAPIXEL, make_source, make_video
from privface_backend.rest.uploads import UploadedFile, read_upload
from privface_backend.settings import Settings

METHOD: Final = "gaussian"

_TAIL: Final = "/{privacy_parameter}/{requestor_id}/{requestor_type}/{request_id}"
# A file name with slashes is taken in, to be refused with a reason.
CHECK_DIRECTORY: Final = "/check_directory/{file_name:.+}" + _TAIL
# A link may come percent-encoded or as it is; its service stood below different prefixes.
CAMERA: Final = "/{prefix:(?:[^/]+/)*}cam_face_recognition/{cam_link:.+}" + _TAIL

_LONGEST_NUMBER: Final = 6
_LONGEST: Final = {"file_name": 255, "requestor_id": 256, "requestor_type": 64, "request_id": 256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a request of these routes asks for, beside the frames."""

    privacy: Privacy
    requestor: Requestor
    request_id: str
    detailed: bool

    def card(self, services: Services, camera: str, source: FrameSource) -> FrameCard:
        return FrameCard(
            camera=camera,
            captured_at=services.clock(),
            source=source,
            requestor=self.requestor,
            request_id=self.request_id,
        )


def ancestor_routes(settings: Settings) -> tuple[web.RouteDef, ...]:
    """The routes, which look at tokens themselves; none where they are switched off.

    Raises:
        SettingsError: ``links.allow`` can't be used.
    """
    if not settings.sifis.enabled:
        return ()
    looking = Looking()
    camera = partial(cam_face_recognition, LinkPolicy(settings.links, resolve_host), looking)
    return (
        web.route("POST", CHECK_DIRECTORY, check_directory),
        web.route("POST", CAMERA, camera),
        web.route("GET", CAMERA, camera),
        web.route("DELETE", CAMERA, partial(stop_cam_face_recognition, looking)),
    )


class Looking:
    """The requests that look at a camera now, by what their address says but for the privacy parameter."""

    def __init__(self) -> None:
        self._blocks: Final[defaultdict[tuple[str, ...], set[asyncio.Timeout]]] = defaultdict(set)

    @contextmanager
    def noted(self, request: web.Request, block: asyncio.Timeout) -> Iterator[None]:
        """``block`` can be ended by another request, as long as this lasts."""
        key = self._key(request)
        self._blocks[key].add(block)
        try:
            yield
        finally:
            self._blocks[key].discard(block)
            if not self._blocks[key]:
                del self._blocks[key]

    def stop(self, request: web.Request) -> int:
        """End those of the address; how many."""
        blocks = self._blocks.get(self._key(request), set())
        for block in blocks:
            block.reschedule(asyncio.get_running_loop().time())
        return len(blocks)

    @staticmethod
    def _key(request: web.Request) -> tuple[str, ...]:
        return tuple(request.match_info[name] for name in ("cam_link", "requestor_id", "requestor_type", "request_id"))


async def check_directory(request: web.Request) -> web.Response:
    """Who is in an uploaded picture or video."""
    services = await _enter(request)
    name = _file_name(request)
    question = _question(request, services)
    file = (await read_upload(request)).one_file()
    card = question.card(services, name[:LONGEST_CAMERA_NAME].strip(), FrameSource.UPLOAD)
    return await _answer(request, services, question, name, _look_at(services, question, file, card))


async def cam_face_recognition(policy: LinkPolicy, looking: Looking, request: web.Request) -> web.Response:
    """Who is before a camera, for as long as ``links.seconds`` says, the client stays, and nobody stops it."""
    services = await _enter(request)
    question = _question(request, services)
    link = await policy.check(request.match_info["cam_link"])
    if not services.cameras.get(link.name).enabled:
        raise PrivFaceError(ErrorCode.CAMERA_DISABLED, "Recognition is switched off for this camera.")
    source = _open_link(services, link, question.card(services, link.name, FrameSource.LINK))
    stream = services.intake.stream(source, claimed=None, default=question.privacy)
    return await _answer(request, services, question, link.name, stream, live=looking)


async def stop_cam_face_recognition(looking: Looking, request: web.Request) -> web.Response:
    """Stop looking at a camera: the request that began it is answered with what was seen until now."""
    services = await _enter(request)
    _question(request, services)
    stopped = looking.stop(request)
    if not stopped:
        raise PrivFaceError(ErrorCode.NOT_FOUND, "No such request looks at a camera now.")
    return web.json_response({"stopped": stopped})


async def _enter(request: web.Request) -> Services:
    """Let in who has a token, and who may come without one."""
    services = request.app[SERVICES]
    if hdrs.AUTHORIZATION in request.headers or not may_lack_token(request, services.settings.sifis.without_token):
        await authorize(request, Scope.IDENTIFY)
    return services


def _question(request: web.Request, services: Services) -> Question:
    privacy = Privacy(method=METHOD, parameter=_parameter(request, services), applied_by=AppliedBy.BACKEND)
    return Question(
        privacy=privacy,
        requestor=Requestor(id=_word(request, "requestor_id"), type=_word(request, "requestor_type")),
        request_id=_word(request, "request_id"),
        detailed=read_flag(request.query, "detail"),
    )


def _parameter(request: web.Request, services: Services) -> int:
    """The privacy parameter: the blur's odd kernel size."""
    anonymizer = services.recognition.process.engines.anonymizer(METHOD)
    text = request.match_info["privacy_parameter"]
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER, "That privacy parameter can't be used.", allowed=anonymizer.allowed
        )
    anonymizer.validate(int(text))
    return int(text)


def _word(request: web.Request, name: str) -> str:
    text, longest = request.match_info[name], _LONGEST[name]
    if not text.isprintable() or len(text) > longest:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, f"{name} can't be used.", allowed=f"at most {longest} printable characters"
        )
    return text


def _file_name(request: web.Request) -> str:
    name = request.match_info["file_name"]
    if ".." in name or "/" in name or "\\" in name or not name.strip(". "):
        raise PrivFaceError(
            ErrorCode.PATH_NOT_ALLOWED,
            "file_name is no path: it is only shown, and the file comes in the form's part called file.",
            allowed="a file's name without slashes and without ..",
        )
    return _word(request, "file_name")


def _open_link(services: Services, link: WebcamLink | AddressLink, card: FrameCard) -> Source:
    settings = services.settings
    until = {"card": card, "seconds": settings.links.seconds, "clock": services.clock}
    if isinstance(link, WebcamLink):
        return make_source(services, "webcam", index=link.index, **until)
    return make_source(
        services,
        "link",
        address=link.address,
        peer=link.peer,
        max_bytes=settings.pipeline.picture_megabytes * MEGABYTE,
        max_pixels=settings.pipeline.picture_megapixels * MEGAPIXEL,
        **until,
    )


async def _look_at(
    services: Services, question: Question, file: UploadedFile, card: FrameCard
) -> AsyncGenerator[Seen, None]:
    """Every frame of a video, or the one picture."""
    if not file.is_video:
        timed = await services.recognition.identify(file.data, default=question.privacy)
        yield Seen(timed=timed, card=replace(card, more=False))
        return
    video = make_video(services, file.data, card)
    async with aclosing(services.intake.stream(video, claimed=None, default=question.privacy)) as frames:
        async for seen in frames:
            yield seen


async def _answer(
    request: web.Request,
    services: Services,
    question: Question,
    file: str,
    frames: AsyncGenerator[Seen, None],
    *,
    live: Looking | None = None,
) -> web.Response:
    """Look at all frames while the client is there. ``live``: they show what is before a camera now, until that is told
    to stop."""
    sightings = Sightings(
        file=file,
        database_path=services.settings.sifis.database_path,
        detailed=question.detailed,
        snapshot=services.index.snapshot,
    )
    recording = services.intake.record(live=live is not None)
    async with until_gone(request) as block, aclosing(frames):
        with nullcontext() if live is None else live.noted(request, block):
            try:
                async for seen in frames:
                    sightings.take(recording.take(seen))
            finally:
                sightings.follow(recording.end()[0])
    if question.detailed:
        return web.json_response(
            sightings.detail(request_id=question.request_id, requestor=question.requestor, privacy=question.privacy)
        )
    return web.json_response(sightings.labels())


async def resolve_host(host: str) -> Sequence[str]:
    """The IP addresses of a host's name, as this computer finds them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
