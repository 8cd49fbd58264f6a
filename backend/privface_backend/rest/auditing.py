"""Which requests are acts that the audit log tells of, and how they get there.

A request is told of once it was let in, or came with a token that allows less: what a stranger knocks at is in the
log of the service, not in this one, so that nobody without a token can fill it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web

from privface_backend.audit.acts import Doing, begin, going_on
from privface_backend.audit.auditor import Auditor
from privface_backend.audit.entries import ENDED_EARLY, Act, By, as_id
from privface_backend.audit.repeats import Repeats
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.rest.middleware import http_code, request_id
from privface_backend.rest.operations import API, Handler
from privface_backend.rest.services import SERVICES

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAct:
    """The act that a route is. ``lasts``: it goes on for as long as the caller stays, and is told of when it begins;
    ``repeated``: what in the address one caller asks about again and again: told of at first, then every ten
    minutes."""

    act: Act
    operation: str
    lasts: bool = False
    repeated: str | None = None


def _act(act: Act, operation: str, *, lasts: bool = False, repeated: str | None = None) -> RouteAct:
    return RouteAct(act=act, operation=operation, lasts=lasts, repeated=repeated)


_CAMERA_LINK: Final = "/{prefix}cam_face_recognition/{cam_link}"
_ASKER: Final = "/{privacy_parameter}/{requestor_id}/{requestor_type}/{request_id}"
_DEEPSTACK: Final = "/v1/vision/face"
_SUBJECTS: Final = f"{API}/recognition/subjects"
_FACES: Final = f"{API}/recognition/faces"

ACTS: Final[Mapping[str, RouteAct]] = {
    f"POST {API}/identify": _act(Act.IDENTIFY, "identify"),
    f"POST {API}/videos": _act(Act.IDENTIFY, "begin_video"),
    f"GET {API}/videos/{{video}}": _act(Act.IDENTIFY, "get_video", repeated="video"),
    f"POST {API}/cameras/{{camera}}/frames": _act(Act.IDENTIFY, "take_frame", repeated="camera"),
    f"POST {API}/cameras/{{camera}}/sealed": _act(Act.IDENTIFY, "take_sealed_frame", repeated="camera"),
    f"POST {API}/identify/sealed": _act(Act.IDENTIFY, "identify_sealed"),
    f"GET {API}/cameras": _act(Act.LIST, "list_cameras"),
    f"GET {API}/cameras/{{camera}}": _act(Act.LIST, "show_camera"),
    f"PATCH {API}/cameras/{{camera}}": _act(Act.CONFIGURATION, "change_camera"),
    f"DELETE {API}/cameras/{{camera}}": _act(Act.CONFIGURATION, "remove_camera"),
    f"GET {API}/calibration": _act(Act.LIST, "show_calibration"),
    f"POST {API}/calibration": _act(Act.IDENTIFY, "calibrate"),
    f"PUT {API}/calibration/apply": _act(Act.CONFIGURATION, "apply_calibration"),
    f"PUT {API}/key": _act(Act.KEY, "take_key"),
    f"GET {API}/people": _act(Act.LIST, "list_people"),
    f"POST {API}/people": _act(Act.ENROLL, "create_person"),
    f"GET {API}/people/{{person}}": _act(Act.LIST, "show_person"),
    f"PATCH {API}/people/{{person}}": _act(Act.ENROLL, "rename_person"),
    f"DELETE {API}/people/{{person}}": _act(Act.FORGET, "forget_person"),
    f"GET {API}/people/{{person}}/export": _act(Act.EXPORT, "export_person"),
    f"GET {API}/people/{{person}}/consent": _act(Act.LIST, "show_consent"),
    f"PUT {API}/people/{{person}}/consent": _act(Act.ENROLL, "set_consent"),
    f"DELETE {API}/people/{{person}}/consent": _act(Act.ENROLL, "withdraw_consent"),
    f"GET {API}/receipts": _act(Act.LIST, "list_receipts"),
    f"GET {API}/receipts/{{person}}": _act(Act.LIST, "show_receipt"),
    f"GET {API}/people/{{person}}/faces": _act(Act.LIST, "list_faces"),
    f"POST {API}/people/{{person}}/faces": _act(Act.ENROLL, "enroll"),
    f"POST {API}/people/{{person}}/sealed": _act(Act.ENROLL, "enroll_sealed"),
    f"DELETE {API}/people/{{person}}/faces/{{face}}": _act(Act.FORGET, "remove_face"),
    f"POST {API}/people/{{person}}/ignore": _act(Act.CONFIGURATION, "ignore_person"),
    f"DELETE {API}/people/{{person}}/ignore": _act(Act.CONFIGURATION, "unignore_person"),
    f"DELETE {API}/people/{{person}}/negatives": _act(Act.FORGET, "forget_negatives"),
    f"GET {API}/strangers": _act(Act.LIST, "list_strangers"),
    f"DELETE {API}/strangers/{{stranger}}": _act(Act.FORGET, "forget_stranger"),
    f"POST {API}/strangers/{{stranger}}/person": _act(Act.ENROLL, "name_stranger"),
    f"POST {API}/strangers/{{stranger}}/ignore": _act(Act.ENROLL, "ignore_stranger"),
    f"GET {API}/events": _act(Act.LIST, "list_events"),
    f"GET {API}/events/stream": _act(Act.LIST, "stream_events", lasts=True),
    f"GET {API}/events/{{event}}": _act(Act.LIST, "show_event"),
    f"POST {API}/events/{{event}}/correction": _act(Act.ENROLL, "correct_event"),
    f"GET {API}/stream": _act(Act.LIST, "stream", lasts=True),
    f"GET {API}/audit": _act(Act.LIST, "list_audit"),
    # SIFIS-Home's.
    f"POST /check_directory/{{file_name}}{_ASKER}": _act(Act.IDENTIFY, "check_directory"),
    f"POST {_CAMERA_LINK}{_ASKER}": _act(Act.IDENTIFY, "cam_face_recognition"),
    f"GET {_CAMERA_LINK}{_ASKER}": _act(Act.IDENTIFY, "cam_face_recognition"),
    # DeepStack's and CodeProject.AI's.
    f"POST {_DEEPSTACK}{{end}}": _act(Act.IDENTIFY, "deepstack detect"),
    f"POST {_DEEPSTACK}/recognize{{end}}": _act(Act.IDENTIFY, "deepstack recognize"),
    f"POST {_DEEPSTACK}/match{{end}}": _act(Act.IDENTIFY, "deepstack match"),
    f"POST {_DEEPSTACK}/register{{end}}": _act(Act.ENROLL, "deepstack register"),
    f"POST {_DEEPSTACK}/list{{end}}": _act(Act.LIST, "deepstack list"),
    f"POST {_DEEPSTACK}/delete{{end}}": _act(Act.FORGET, "deepstack delete"),
    # CompreFace's.
    f"POST {API}/recognition/recognize{{end}}": _act(Act.IDENTIFY, "compreface recognize"),
    f"POST {API}/detection/detect{{end}}": _act(Act.IDENTIFY, "compreface detect"),
    f"POST {API}/verification/verify{{end}}": _act(Act.IDENTIFY, "compreface verify"),
    f"POST {_FACES}/{{image_id}}/verify{{end}}": _act(Act.IDENTIFY, "compreface verify"),
    f"GET {_SUBJECTS}{{end}}": _act(Act.LIST, "compreface subjects"),
    f"POST {_SUBJECTS}{{end}}": _act(Act.ENROLL, "compreface subjects"),
    f"DELETE {_SUBJECTS}{{end}}": _act(Act.FORGET, "compreface subjects"),
    f"PUT {_SUBJECTS}/{{subject}}{{end}}": _act(Act.ENROLL, "compreface subject"),
    f"DELETE {_SUBJECTS}/{{subject}}{{end}}": _act(Act.FORGET, "compreface subject"),
    f"GET {_FACES}{{end}}": _act(Act.LIST, "compreface faces"),
    f"POST {_FACES}{{end}}": _act(Act.ENROLL, "compreface faces"),
    f"DELETE {_FACES}{{end}}": _act(Act.FORGET, "compreface faces"),
    f"DELETE {_FACES}/{{image_id}}{{end}}": _act(Act.FORGET, "compreface face"),
}
"""By method and path as the router has them."""

NO_ACTS: Final = frozenset(
    {
        f"DELETE {API}/videos/{{video}}",
        f"GET {API}/info",
        f"GET {API}/openapi.json",
        f"GET {API}/docs",
        f"GET {API}/docs/{{file}}",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        f"DELETE {_CAMERA_LINK}{_ASKER}",
        # They have nothing to show: no pictures are kept.
        f"GET {_FACES}/{{image_id}}/img{{end}}",
        f"GET {API}/static/{{key}}/images/{{image_id}}",
    }
)
"""The routes that say and change nothing about anybody."""


REPEATS: Final = web.AppKey("repeated acts", Repeats)


@dataclass(slots=True)
class _Acting:
    """A request's act. ``allowed``: there is something to tell: it was let in, or its token is known."""

    kind: RouteAct
    doing: Doing
    allowed: bool = False
    told: bool = False


_ACTING: Final = web.RequestKey("acting", _Acting)


def route_key(request: web.Request) -> str | None:
    """The request's route as ``ACTS`` and ``NO_ACTS`` have it; None: there is none."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return None if resource is None else f"{method} {resource.canonical}"


@web.middleware
async def audit_acts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell of a request when it is over. The innermost, so that it sees errors as they are."""
    kind = ACTS.get(route_key(request) or "")
    if kind is None:
        return await handler(request)
    acting = request[_ACTING] = _Acting(kind, _doing(request, kind))
    with going_on(acting.doing):
        try:
            response = await handler(request)
        except PrivFaceError as error:
            await _tell(request, acting, error.code.value)
            raise
        except web.HTTPException as error:
            await _tell(request, acting, http_code(error).value)
            raise
        except (ConnectionError, asyncio.CancelledError):
            await _tell(request, acting, ENDED_EARLY, wait=False)
            raise
        except Exception:
            await _tell(request, acting, ErrorCode.INTERNAL.value, wait=False)
            raise
    await _tell(request, acting, None)
    return response


def note_token(request: web.Request, token_id: str) -> None:
    """Note the token that a request came with, a right one, whatever it allows."""
    acting = request.get(_ACTING)
    if acting is not None:
        acting.doing.token, acting.allowed = token_id, True


async def admit(request: web.Request) -> None:
    """Let a request's act begin: it may be done.

    Raises:
        PrivFaceError: ``audit_failed``: lines are required, and can't be written.
    """
    acting: _Acting | None = request.get(_ACTING)
    if acting is None or acting.told:
        return
    acting.allowed = True
    audit = _auditor(request)
    if acting.kind.repeated is not None:
        audit.check()
    elif acting.kind.lasts and audit.required:
        await audit.admit(acting.doing)
        acting.told = True
    elif acting.kind.lasts:
        acting.told = True
        await audit.record(acting.doing.entry())
    else:
        await audit.admit(acting.doing)


async def tell_repeats(app: web.Application) -> None:
    """Tell of what was repeated since it was last told of: the backend is stopping."""
    for entry in app[REPEATS].end_all():
        app[SERVICES].audit.tell(entry)


async def told_at_the_end(request: web.Request, looks: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """``looks``, which go on after the request is answered: told of as an act of the same caller when they are over."""
    acting: _Acting | None = request.get(_ACTING)
    if acting is None:
        return
    doing, audit = acting.doing.afresh(), _auditor(request)
    begin(doing)
    outcome: str | None = ENDED_EARLY
    try:
        async with aclosing(looks):
            async for look in looks:
                yield look
        outcome = None
    except PrivFaceError as error:
        outcome = error.code.value
        raise
    finally:
        audit.tell(doing.entry(outcome))


def _auditor(request: web.Request) -> Auditor:
    return request.app[SERVICES].audit


def _doing(request: web.Request, kind: RouteAct) -> Doing:
    given = request.match_info
    doing = Doing(
        act=kind.act,
        operation=kind.operation,
        by=By.REST,
        requestor_id=given.get("requestor_id"),
        requestor_type=given.get("requestor_type"),
        request_id=given.get("request_id") or request_id(request),
        camera=given.get("camera"),
        # An uploaded file is often called like the person in it.
        names_files="file_name" in given,
    )
    person = as_id(given.get("person") or request.query.get("person_id"))
    if person is not None:
        doing.subjects[person] = None
    return doing


async def _tell(request: web.Request, acting: _Acting, failure: str | None, *, wait: bool = True) -> None:
    if not acting.allowed or acting.told:
        return
    acting.told = True
    kind, doing, audit = acting.kind, acting.doing, _auditor(request)
    if kind.repeated is not None:
        key = (doing.token, kind.operation, request.match_info.get(kind.repeated, ""))
        for entry in request.app[REPEATS].take(key, doing, failure):
            audit.tell(entry)
    elif wait:
        await audit.record(doing.entry(failure))
    else:
        audit.tell(doing.entry(failure))
