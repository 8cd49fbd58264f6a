"""The routes of SIFIS-Home's "Privacy-Aware Face Recognition", and its answers.

What a request names is never opened: ``file_name`` and the form's ``path`` are words, a camera link must be on the
list of allowed links. The blur with the request's privacy parameter comes before everything else.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, nullcontext
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.links import LinkPolicy
from privface_backend.protocol import ErrorCode, FrameSource, Scope
from privface_backend.resolver import resolve_host
from privface_backend.rest.auditing import admit
from privface_backend.rest.authentication import authorize, may_lack_token
from privface_backend.rest.disconnects import until_gone
from privface_backend.rest.documents import read_flag
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import read_upload
from privface_backend.settings import Settings
from privface_backend.sifis.looking import Frames, anonymizer_of, begin_sightings, look, look_at_file, open_link
from privface_backend.sifis.questions import Question, camera_name, check_file_name, read_question
from privface_backend.sifis.sightings import Sightings

_TAIL: Final = "/{privacy_parameter}/{requestor_id}/{requestor_type}/{request_id}"
# A file name with slashes is taken in, to be refused with a reason.
CHECK_DIRECTORY: Final = "/check_directory/{file_name:.+}" + _TAIL
# A link may come percent-encoded or as it is; its service stood below different prefixes.
CAMERA: Final = "/{prefix:(?:[^/]+/)*}cam_face_recognition/{cam_link:.+}" + _TAIL


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
    name = check_file_name(request.match_info["file_name"])
    question, detailed = _question(request, services)
    camera = camera_name(name)
    file = (await read_upload(request, camera)).one_file()
    card = question.card(camera, FrameSource.UPLOAD, services.clock())
    frames = look_at_file(services, file.data, video=file.is_video, card=card, question=question)
    return await _answer(request, services, question, begin_sightings(services, name, detailed=detailed), frames)


async def cam_face_recognition(policy: LinkPolicy, looking: Looking, request: web.Request) -> web.Response:
    """Who is before a camera, for as long as ``links.seconds`` says, the client stays, and nobody stops it."""
    services = await _enter(request)
    question, detailed = _question(request, services)
    name, frames = await open_link(services, policy, request.match_info["cam_link"], question)
    return await _answer(
        request, services, question, begin_sightings(services, name, detailed=detailed), frames, live=looking
    )


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
    else:
        await admit(request)
    return services


def _question(request: web.Request, services: Services) -> tuple[Question, bool]:
    """What is asked, and whether in detail."""
    words = ("privacy_parameter", "requestor_id", "requestor_type", "request_id")
    question = read_question(anonymizer_of(services), **{word: request.match_info[word] for word in words})
    return question, read_flag(request.query, "detail")


async def _answer(
    request: web.Request,
    services: Services,
    question: Question,
    sightings: Sightings,
    frames: Frames,
    *,
    live: Looking | None = None,
) -> web.Response:
    """Look at all frames while the client is there. ``live``: they show what is before a camera now, until that is told
    to stop."""
    async with until_gone(request) as block, aclosing(frames):
        with nullcontext() if live is None else live.noted(request, block):
            await look(services, frames, sightings, live=live is not None)
    if sightings.detailed:
        return web.json_response(
            sightings.detail(request_id=question.request_id, requestor=question.requestor, privacy=question.privacy)
        )
    return web.json_response(sightings.labels())
