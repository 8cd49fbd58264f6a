"""What somebody says of decisions: who it was, who it wasn't, and whom not to tell of."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_object
from privface_backend.rest.event_log import EVENT
from privface_backend.rest.operations import API, JSON, Body, Operation, answer_json, component
from privface_backend.rest.people import PERSON, STORAGE_ERRORS, find_person
from privface_backend.rest.services import SERVICES

_NOBODY: Final = ""


async def correct_event(request: web.Request) -> web.Response:
    document = await read_object(request)
    person_id = document.get("person_id", _NOBODY)
    if person_id == _NOBODY or not isinstance(person_id, str | None):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "Say who it was.", allowed='{"person_id": "…"}, or null: only not who was named'
        )
    correction = await request.app[SERVICES].memory.correct_event(request.match_info["event"], person_id)
    return web.json_response(correction.to_dict())


async def ignore_person(request: web.Request) -> web.Response:
    person = await find_person(request)
    return web.json_response((await request.app[SERVICES].memory.set_ignored(person.id, True)).to_dict())


async def unignore_person(request: web.Request) -> web.Response:
    person = await find_person(request)
    return web.json_response((await request.app[SERVICES].memory.set_ignored(person.id, False)).to_dict())


async def forget_negatives(request: web.Request) -> web.Response:
    person = await find_person(request)
    removed = await request.app[SERVICES].memory.forget_negatives(person.id)
    return web.json_response({"person_id": person.id, "negatives": removed})


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{API}/events/{{event}}/correction",
        handler=correct_event,
        tag="Events",
        summary="Say who an event's visit really was, or that it was not who was named",
        description="Its faces become a negative example of who was named, and a face of who it was, from now on. "
        "Said again, it takes the place of what was said before. Possible for as long as the visit's templates are "
        "kept (memory.hours).",
        scope=Scope.ENROLL,
        parameters=(EVENT,),
        body=Body(content={JSON: component("CorrectionOrder")}),
        answers={200: answer_json(component("Correction"), "What became of the visit.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.EVENT_NOT_FOUND,
            ErrorCode.VISIT_NOT_FOUND,
            ErrorCode.PERSON_NOT_FOUND,
            ErrorCode.CONTRACT_MISMATCH,
            ErrorCode.CONSENT_MISSING,
            ErrorCode.BODY_TOO_LARGE,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="POST",
        path=f"{API}/people/{{person}}/ignore",
        handler=ignore_person,
        tag="People",
        summary="Tell nobody of a person",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("Person"), "The person as they are now.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, *STORAGE_ERRORS),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/people/{{person}}/ignore",
        handler=unignore_person,
        tag="People",
        summary="Tell of a person again",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("Person"), "The person as they are now.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, *STORAGE_ERRORS),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/people/{{person}}/negatives",
        handler=forget_negatives,
        tag="People",
        summary="Forget all that was said not to be a person",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("ForgottenNegatives"), "How many negative examples were removed.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, *STORAGE_ERRORS),
    ),
)
