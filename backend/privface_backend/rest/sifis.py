"""The routes of SIFIS-Home's "Privacy-Aware Face Recognition", and its answers.

What a request names is never opened: ``file_name`` and the form's ``path`` are words, a camera link must be on the
list of allowed links. The blur with the request's privacy parameter comes before everything else.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from privface_backend.pipeline.links import LinkPolicy
from privface_backend.protocol import FrameSource, Scope
from privface_backend.resolver import resolve_host
from privface_backend.rest.authentication import authorize, may_lack_token
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

_LOOK_SECONDS: Final = 0.1


def ancestor_routes(settings: Settings) -> tuple[web.RouteDef, ...]:
    """The routes, which look at tokens themselves; none where they are switched off.

    Raises:
        SettingsError: ``links.allow`` can't be used.
    """
    if not settings.sifis.enabled:
        return ()
    camera = partial(cam_face_recognition, LinkPolicy(settings.links, resolve_host))
    return (
        web.route("POST", CHECK_DIRECTORY, check_directory),
        web.route("POST", CAMERA, camera),
        web.route("GET", CAMERA, camera),
    )


async def check_directory(request: web.Request) -> web.Response:
    """Who is in an uploaded picture or video."""
    services = await _enter(request)
    name = check_file_name(request.match_info["file_name"])
    question, detailed = _question(request, services)
    file = (await read_upload(request)).one_file()
    card = question.card(camera_name(name), FrameSource.UPLOAD, services.clock())
    frames = look_at_file(services, file.data, video=file.is_video, card=card, question=question)
    return await _answer(request, services, question, begin_sightings(services, name, detailed=detailed), frames)


async def cam_face_recognition(policy: LinkPolicy, request: web.Request) -> web.Response:
    """Who is before a camera, for as long as ``links.seconds`` says or the client stays."""
    services = await _enter(request)
    question, detailed = _question(request, services)
    name, frames = await open_link(services, policy, request.match_info["cam_link"], question)
    return await _answer(
        request, services, question, begin_sightings(services, name, detailed=detailed), frames, live=True
    )


async def _enter(request: web.Request) -> Services:
    """Let in who has a token, and who may come without one."""
    services = request.app[SERVICES]
    if hdrs.AUTHORIZATION in request.headers or not may_lack_token(request, services.settings.sifis.without_token):
        await authorize(request, Scope.IDENTIFY)
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
    live: bool = False,
) -> web.Response:
    """Look at all frames while the client is there. ``live``: they show what is before a camera now."""
    connected = asyncio.timeout(None)
    try:
        async with connected:
            watch = asyncio.create_task(_expire_when_gone(request, connected), name="client watch")
            try:
                await look(services, frames, sightings, live=live)
            finally:
                watch.cancel()
    except TimeoutError:
        # The client has gone: the answer goes nowhere.
        if not connected.expired():
            raise
    if sightings.detailed:
        return web.json_response(
            sightings.detail(request_id=question.request_id, requestor=question.requestor, privacy=question.privacy)
        )
    return web.json_response(sightings.labels())


async def _expire_when_gone(request: web.Request, connected: asyncio.Timeout) -> None:
    """End ``connected`` when the client hangs up; aiohttp tells a handler by the missing transport alone."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110  # aiohttp has no event for it
        await asyncio.sleep(_LOOK_SECONDS)
    connected.reschedule(asyncio.get_running_loop().time())
