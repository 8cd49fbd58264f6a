"""Strangers who may come back: list, make people of them, ignore, forget."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_object
from privface_backend.rest.operations import API, JSON, Answer, Body, Operation, Parameter, answer_json, component
from privface_backend.rest.people import STORAGE_ERRORS
from privface_backend.rest.services import SERVICES

_STRANGER: Final = Parameter(name="stranger", place="path", description="The stranger's id or number.")


async def list_strangers(request: web.Request) -> web.Response:
    strangers = await request.app[SERVICES].memory.strangers()
    return web.json_response({"strangers": [stranger.to_dict() for stranger in strangers]})


async def forget_stranger(request: web.Request) -> web.Response:
    await request.app[SERVICES].memory.forget_stranger(request.match_info["stranger"])
    return web.Response(status=204)


async def name_stranger(request: web.Request) -> web.Response:
    document = await read_object(request)
    given = {key: document[key] for key in ("name", "person_id") if document.get(key) is not None}
    if len(given) != 1 or not all(isinstance(value, str) for value in given.values()):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "Say who the stranger is.", allowed='{"name": "…"} or {"person_id": "…"}'
        )
    person = await request.app[SERVICES].memory.name_stranger(request.match_info["stranger"], **given)
    return web.json_response(person.to_dict())


async def ignore_stranger(request: web.Request) -> web.Response:
    person = await request.app[SERVICES].memory.ignore_stranger(request.match_info["stranger"])
    return web.json_response(person.to_dict())


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/strangers",
        handler=list_strangers,
        tag="Strangers",
        summary="The strangers who are remembered",
        scope=Scope.IDENTIFY,
        answers={200: answer_json(component("Strangers"), "The strangers, the lowest number first.")},
        errors=(ErrorCode.STORAGE_FAILED,),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/strangers/{{stranger}}",
        handler=forget_stranger,
        tag="Strangers",
        summary="Forget a stranger: their templates, and those of their visits",
        scope=Scope.ENROLL,
        parameters=(_STRANGER,),
        answers={204: Answer(description="They are forgotten; their number is given to nobody else.")},
        errors=(ErrorCode.STRANGER_NOT_FOUND, *STORAGE_ERRORS),
    ),
    Operation(
        method="POST",
        path=f"{API}/strangers/{{stranger}}/person",
        handler=name_stranger,
        tag="Strangers",
        summary="Say who a stranger is: a new person, or one who is enrolled",
        scope=Scope.ENROLL,
        parameters=(_STRANGER,),
        body=Body(content={JSON: component("StrangerName")}),
        answers={200: answer_json(component("Person"), "The person, who has the stranger's faces now.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BAD_NAME,
            ErrorCode.STRANGER_NOT_FOUND,
            ErrorCode.PERSON_NOT_FOUND,
            ErrorCode.PERSON_EXISTS,
            ErrorCode.CONTRACT_MISMATCH,
            ErrorCode.CONSENT_MISSING,
            ErrorCode.BODY_TOO_LARGE,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="POST",
        path=f"{API}/strangers/{{stranger}}/ignore",
        handler=ignore_stranger,
        tag="Strangers",
        summary="Ignore a stranger: a person of a made-up name, whom nobody is told of",
        scope=Scope.ENROLL,
        parameters=(_STRANGER,),
        answers={200: answer_json(component("Person"), "The ignored person.")},
        errors=(
            ErrorCode.STRANGER_NOT_FOUND,
            ErrorCode.CONTRACT_MISMATCH,
            ErrorCode.CONSENT_MISSING,
            *STORAGE_ERRORS,
        ),
    ),
)
