"""People: list, create, rename, forget."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from privface_backend.domain.people import Person
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_object
from privface_backend.rest.operations import (
    API,
    JSON,
    Body,
    Operation,
    Parameter,
    answer_json,
    component,
)
from privface_backend.rest.services import SERVICES

_BROKER_SECONDS: Final = 3.0
PERSON: Final = Parameter(name="person", place="path", description="The person's id.")


async def list_people(request: web.Request) -> web.Response:
    people = await request.app[SERVICES].gallery.people()
    return web.json_response({"people": [person.to_dict() for person in people]})


async def create_person(request: web.Request) -> web.Response:
    name, allow_duplicate = await _read_name(request)
    person = await request.app[SERVICES].gallery.create_person(name, allow_duplicate=allow_duplicate)
    return web.json_response(person.to_dict(), status=201, headers={"Location": f"{API}/people/{person.id}"})


async def show_person(request: web.Request) -> web.Response:
    return web.json_response((await find_person(request)).to_dict())


async def rename_person(request: web.Request) -> web.Response:
    person = await find_person(request)
    name, allow_duplicate = await _read_name(request)
    renamed = await request.app[SERVICES].gallery.rename(person.id, name, allow_duplicate=allow_duplicate)
    return web.json_response(renamed.to_dict())


async def forget_person(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    forgotten = await services.gallery.forget(person.id)
    # The broker's answer takes a moment; where it can't be reached, the receipt says that this is still to come.
    receipt = await services.forgotten(person.id, _BROKER_SECONDS)
    return web.json_response((receipt or forgotten).to_dict())


async def find_person(request: web.Request) -> Person:
    """The person in the path, by id: a name there would end up in logs."""
    wanted = request.match_info["person"]
    for person in await request.app[SERVICES].gallery.people():
        if person.id == wanted:
            return person
    raise PrivFaceError(ErrorCode.PERSON_NOT_FOUND, "There is no such person.")


async def _read_name(request: web.Request) -> tuple[str, bool]:
    document: dict[str, Any] = await read_object(request)
    name, allow_duplicate = document.get("name"), document.get("allow_duplicate", False)
    if not isinstance(name, str):
        raise PrivFaceError(ErrorCode.BAD_NAME, "A name is needed.", allowed='{"name": "…"}')
    if not isinstance(allow_duplicate, bool):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "allow_duplicate can't be used.", allowed="true or false")
    return name, allow_duplicate


STORAGE_ERRORS: Final = (ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_FAILED)
_NAME: Final = Body(content={JSON: component("PersonName")})
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/people",
        handler=list_people,
        tag="People",
        summary="Everybody who is enrolled",
        scope=Scope.ENROLL,
        answers={200: answer_json(component("People"), "The people, oldest first.")},
    ),
    Operation(
        method="POST",
        path=f"{API}/people",
        handler=create_person,
        tag="People",
        summary="Add a person",
        scope=Scope.ENROLL,
        body=_NAME,
        answers={201: answer_json(component("Person"), "The new person, without faces.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BAD_NAME,
            ErrorCode.PERSON_EXISTS,
            ErrorCode.BODY_TOO_LARGE,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="GET",
        path=f"{API}/people/{{person}}",
        handler=show_person,
        tag="People",
        summary="One person",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("Person"), "The person.")},
        errors=(ErrorCode.PERSON_NOT_FOUND,),
    ),
    Operation(
        method="PATCH",
        path=f"{API}/people/{{person}}",
        handler=rename_person,
        tag="People",
        summary="Rename a person",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        body=_NAME,
        answers={200: answer_json(component("Person"), "The person as it is now.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BAD_NAME,
            ErrorCode.PERSON_NOT_FOUND,
            ErrorCode.PERSON_EXISTS,
            ErrorCode.BODY_TOO_LARGE,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/people/{{person}}",
        handler=forget_person,
        tag="People",
        summary="Forget a person: their faces, templates and every event that names them",
        description="The answer waits some seconds for the broker. Where its receipt is not complete yet, "
        "GET /api/v1/receipts/{person} tells when it is.",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("Receipt"), "What was removed.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, *STORAGE_ERRORS),
    ),
)
