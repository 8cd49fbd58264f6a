"""Sealed frames and enrollments: what a user side saw, without a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from privface_backend.domain.consent import check_consent
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, FrameCard, Scope, WireError
from privface_backend.rest.documents import check_camera_name, parse_object, read_card
from privface_backend.rest.faces import describe_faces
from privface_backend.rest.identifications import event_ids, visit_ids
from privface_backend.rest.middleware import request_id
from privface_backend.rest.operations import API, JSON, Body, Operation, Parameter, answer_json, component
from privface_backend.rest.people import PERSON, STORAGE_ERRORS, find_person
from privface_backend.rest.services import SERVICES
from privface_backend.rest.uploads import read_limited
from privface_backend.sealed.enrollments import SealedEnrollment
from privface_backend.sealed.frames import SealedFrame
from privface_backend.sealed.wire import MOST_BYTES

T = TypeVar("T")

_CAMERA: Final = Parameter(name="camera", place="path", description="The camera's name.")
_UPLOAD: Final = "upload"


async def take_sealed_frame(request: web.Request) -> web.Response:
    services, name = request.app[SERVICES], check_camera_name(request.match_info["camera"])
    frame, card = await _read_message(request, name)
    if card.camera != name:
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD, "The frame card names another camera than the address.", allowed=f"camera: {name}"
        )
    seen = await services.sealed_intake.camera_frame(frame, card)
    found = seen.timed.judgement.to_identification(None, 0, seen.timed.latency_ms)
    return web.json_response(found.to_dict() | {"events": event_ids(seen.events), "visits": visit_ids(seen.updates)})


async def identify_sealed(request: web.Request) -> web.Response:
    frame, card = await _read_message(request, _UPLOAD)
    timed = await request.app[SERVICES].sealed_intake.identify(frame, card)
    return web.json_response(timed.judgement.to_identification(None, 0, timed.latency_ms).to_dict())


async def enroll_sealed(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    check_consent(person.consent, required=services.gallery.rules.require_consent)
    enrollment = _read(SealedEnrollment.from_dict, await _read_document(request))
    face = await services.sealed_intake.enroll(person.id, enrollment)
    answer = {
        "person": (await services.gallery.person(person.id)).to_dict(),
        "faces": describe_faces(services, [face]),
        "refused": [],
    }
    return web.json_response(answer, status=201)


async def _read_message(request: web.Request, camera: str) -> tuple[SealedFrame, FrameCard]:
    document = await _read_document(request)
    given = document.get("card")
    card = read_card(
        None if given is None else json.dumps(given),
        camera=camera,
        now=request.app[SERVICES].clock(),
        request_id=request_id(request),
    )
    frame = document.get("frame")
    return _read(SealedFrame.from_dict, frame if isinstance(frame, Mapping) else {}), card


async def _read_document(request: web.Request) -> dict[str, Any]:
    return parse_object(await read_limited(request, MOST_BYTES), "The request's body")


def _read(make: Callable[[Mapping[str, Any]], T], document: Mapping[str, Any]) -> T:
    try:
        return make(document)
    except WireError as error:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "What was sent isn't sealed as it must be.",
            allowed=f"{error.key}: {error.expected}",
        ) from None


_FRAME: Final = Body(content={JSON: component("SealedMessage")})
_ERRORS: Final = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.BAD_FRAME_CARD,
    ErrorCode.BODY_TOO_LARGE,
    ErrorCode.TIMEOUT,
    ErrorCode.CONTRACT_MISMATCH,
    ErrorCode.OVERLOADED,
    *STORAGE_ERRORS,
)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{API}/cameras/{{camera}}/sealed",
        handler=take_sealed_frame,
        tag="Recognition",
        summary="A sealed frame of a camera: what is found goes out as events",
        description="As with a picture, but that a user side found and represented the faces, and no picture is sent. "
        "Only a sealed camera's is taken. The first frame or enrollment sets the contract; what was sealed with "
        "another key is refused, and so is a frame of a camera that isn't sealed.",
        scope=Scope.IDENTIFY,
        parameters=(_CAMERA,),
        body=_FRAME,
        answers={200: answer_json(component("CameraIdentification"), "What was found, and the events that went out.")},
        errors=(*_ERRORS, ErrorCode.SUPERSEDED, ErrorCode.CAMERA_DISABLED),
    ),
    Operation(
        method="POST",
        path=f"{API}/identify/sealed",
        handler=identify_sealed,
        tag="Recognition",
        summary="Who is in a sealed frame",
        description="Nothing is published. Only a backend that is sealed, or has a sealed camera, takes it.",
        scope=Scope.IDENTIFY,
        body=_FRAME,
        answers={200: answer_json(component("Identification"), "What was found.")},
        errors=_ERRORS,
    ),
    Operation(
        method="POST",
        path=f"{API}/people/{{person}}/sealed",
        handler=enroll_sealed,
        tag="People",
        summary="Enroll a person's face from sealed templates",
        description="Only a backend that is sealed, or has a sealed camera, takes it. Where nobody has a "
        "sealed face, it sets the contract anew.",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        body=Body(content={JSON: component("SealedEnrollment")}),
        answers={201: answer_json(component("Enrollment"), "What was enrolled.")},
        errors=(
            ErrorCode.PERSON_NOT_FOUND,
            ErrorCode.CONSENT_MISSING,
            ErrorCode.BAD_REQUEST,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.TIMEOUT,
            ErrorCode.CONTRACT_MISMATCH,
            ErrorCode.CONFLICT,
            ErrorCode.ENGINE_FAILED,
            *STORAGE_ERRORS,
        ),
    ),
)
