"""The face routes of DeepStack, which are CodeProject.AI's too, and their answers.

A key is one of our tokens, in the form's ``api_key`` or ``admin_key``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import BodyPartReader, web

from privface_backend.errors import PrivFaceError, http_status
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.dropin import (
    UNKNOWN,
    SeenFace,
    Sight,
    compare,
    enroll_pictures,
    find_named,
    let_in,
    look_at,
    read_share,
    template_of,
)
from privface_backend.rest.middleware import ErrorShape, error_headers, shape_errors
from privface_backend.rest.operations import Handler
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import Upload, UploadedFile, read_form
from privface_backend.settings import Settings

# Some callers end the path with a slash.
_PATH: Final = "/v1/vision/face{end:/?}"
_COMMAND_PATH: Final = "/v1/vision/face/{command}{{end:/?}}"
_DETECTION: Final = 0.4
_NO_FACE: Final = "No face found in image"
_NO_FILE: Final = "No valid image file found"

# Statuses that its callers know; what else is wrong with a request is 400.
_KEPT: Final = frozenset({401, 403, 429, 500, 503, 504, 507})

_Answer = dict[str, object]
_Command = Callable[[Services, Upload], Awaitable[_Answer]]


def deepstack_routes(settings: Settings) -> tuple[web.RouteDef, ...]:
    """The routes, which look at keys themselves; none unless they are switched on."""
    if not settings.dropin.deepstack:
        return ()
    return (
        web.route("POST", _PATH, _serve(_detect, Scope.IDENTIFY)),
        *(
            web.route("POST", _COMMAND_PATH.format(command=name), _serve(command, scope))
            for name, command, scope in (
                ("recognize", _recognize, Scope.IDENTIFY),
                ("match", _match, Scope.IDENTIFY),
                ("register", _register, Scope.ENROLL),
                ("list", _list, Scope.ENROLL),
                ("delete", _delete, Scope.ENROLL),
            )
        ),
    )


def _serve(command: _Command, scope: Scope) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        upload = await read_form(request, _is_file)
        await let_in(request, scope, _key(upload, scope))
        answer = await command(request.app[SERVICES], upload)
        return _write(answer, started)

    return shape_errors(ErrorShape(_write_error), handle)


def _is_file(part: BodyPartReader) -> bool:
    return part.filename is not None or (part.name or "").startswith("image")


def _key(upload: Upload, scope: Scope) -> str | None:
    """The key that was sent; where both were, the one that was made for what is asked."""
    names = ("api_key", "admin_key") if scope is Scope.IDENTIFY else ("admin_key", "api_key")
    return next((key for name in names if (key := upload.value(name))), None)


async def _detect(services: Services, upload: Upload) -> _Answer:
    least = _least(upload, _DETECTION)
    sight = await look_at(services, _one_image(upload).data)
    found = [_corners(face) | {"confidence": face.detection} for face in sight.faces if face.detection >= least]
    message = f"Found {len(found)} face{'' if len(found) == 1 else 's'}" if found else _NO_FACE
    return {"success": True, "message": message, "predictions": found, "count": len(found)} | _inference(sight)


async def _recognize(services: Services, upload: Upload) -> _Answer:
    least = _least(upload, 0.0)
    sight = await look_at(services, _one_image(upload).data)
    found = [_corners(face) | _name(face, least) for face in sight.faces]
    known = any(one["userid"] != UNKNOWN for one in found)
    message = "A face was recognised" if known else "No known faces" if found else _NO_FACE
    return {"success": True, "message": message, "predictions": found, "count": len(found)} | _inference(sight)


async def _match(services: Services, upload: Upload) -> _Answer:
    if len(upload.files) != 2:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, f"{_NO_FILE}: two are needed." if upload.files else _NO_FILE, allowed="two images"
        )
    sights = [await look_at(services, file.data) for file in upload.files]
    if not all(sight.faces for sight in sights):
        raise PrivFaceError(ErrorCode.NO_FACE, "No face found in one or both images")
    first, second = (sight.faces[0] for sight in sights)
    milliseconds = sum(_inference_ms(sight) for sight in sights)
    return {"success": True, "similarity": compare(services, template_of(first), second), "inferenceMs": milliseconds}


async def _register(services: Services, upload: Upload) -> _Answer:
    name = _user_id(upload)
    if not upload.files:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, _NO_FILE)
    before = {person.id for person in await services.gallery.people()}
    person, _ = await enroll_pictures(services, name, upload.files)
    return {"success": True, "message": "face updated" if person.id in before else "face added"}


async def _list(services: Services, _: Upload) -> _Answer:
    names = dict.fromkeys(person.name for person in await services.gallery.people())
    return {"success": True, "faces": list(names)}


async def _delete(services: Services, upload: Upload) -> _Answer:
    try:
        person = await find_named(services, _user_id(upload))
        await services.gallery.forget(person.id)
    except PrivFaceError as error:
        # Nobody of that name is what was asked for.
        if error.code is not ErrorCode.PERSON_NOT_FOUND:
            raise
    return {"success": True}


def _one_image(upload: Upload) -> UploadedFile:
    if len(upload.files) != 1:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, _NO_FILE, allowed="one file, called image")
    return upload.files[0]


def _user_id(upload: Upload) -> str:
    user_id = upload.value("userid")
    if not user_id:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "userid not specified")
    return user_id


def _least(upload: Upload, default: float) -> float:
    return read_share(upload.value("min_confidence"), "min_confidence", default)


def _corners(face: SeenFace) -> _Answer:
    left, top, right, bottom = face.box
    return {"x_min": left, "y_min": top, "x_max": right, "y_max": bottom}


def _name(face: SeenFace, least: float) -> _Answer:
    likeness = face.likeness
    if likeness.name == UNKNOWN or likeness.confidence < least:
        return {"userid": UNKNOWN, "confidence": 0.0}
    return {"userid": likeness.name, "confidence": round(likeness.confidence, 4)}


def _inference(sight: Sight) -> _Answer:
    return {"inferenceMs": _inference_ms(sight)}


def _inference_ms(sight: Sight) -> int:
    return round(sum(sight.latency_ms.get(stage, 0.0) for stage in ("detect", "represent", "verify")))


def _write(answer: _Answer, started: float) -> web.Response:
    """With what both engines add: DeepStack ``duration`` in seconds, CodeProject.AI ``processMs`` and ``code``."""
    seconds = time.perf_counter() - started
    return web.json_response(answer | {"processMs": round(seconds * 1000), "duration": round(seconds, 4), "code": 200})


def _write_error(error: PrivFaceError) -> web.Response:
    status = 403 if error.code is ErrorCode.NOT_ANONYMIZED else http_status(error.code)
    status = status if status in _KEPT else 400
    document = {"success": False, "error": error.explanation, "code": status, "duration": 0}
    return web.Response(
        text=json.dumps(document), status=status, content_type="application/json", headers=error_headers(error)
    )
