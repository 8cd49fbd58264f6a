"""What a person may ask for: their data, their consent, and the receipt of having been forgotten."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.domain.consent import clean_note, read_day
from privface_backend.domain.people import Person
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_flag, read_object
from privface_backend.rest.operations import API, JSON, Body, Operation, Parameter, Schema, answer_json, component
from privface_backend.rest.people import PERSON, STORAGE_ERRORS, find_person
from privface_backend.rest.services import SERVICES

_SWITCH: Final[Schema] = {"type": "string", "enum": ["0", "1"]}
_CONSENT: Final = f"{API}/people/{{person}}/consent"


async def export_person(request: web.Request) -> web.Response:
    person = await find_person(request)
    document = await request.app[SERVICES].records.export(person.id, vectors=read_flag(request.query, "templates"))
    return web.json_response(document, headers={"Cache-Control": "no-store"})


async def show_consent(request: web.Request) -> web.Response:
    return _answer(await find_person(request))


async def give_consent(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    document = await read_object(request)
    day = read_day(document.get("date"), services.gallery.today())
    return _answer(await services.records.set_consent(person.id, day, clean_note(document.get("note", ""))))


async def withdraw_consent(request: web.Request) -> web.Response:
    person = await find_person(request)
    return _answer(await request.app[SERVICES].records.withdraw_consent(person.id))


async def list_receipts(request: web.Request) -> web.Response:
    receipts = await request.app[SERVICES].records.receipts()
    return web.json_response({"receipts": [receipt.to_dict() for receipt in receipts]})


async def show_receipt(request: web.Request) -> web.Response:
    receipt = await request.app[SERVICES].records.receipt(request.match_info["person"])
    if receipt is None:
        raise PrivFaceError(ErrorCode.PERSON_NOT_FOUND, "Nobody of that id was forgotten.")
    return web.json_response(receipt.to_dict())


def _answer(person: Person) -> web.Response:
    return web.json_response({"consent": None if person.consent is None else person.consent.to_dict()})


_FORGOTTEN: Final = Parameter(name="person", place="path", description="The id of somebody who was forgotten.")
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/people/{{person}}/export",
        handler=export_person,
        tag="People",
        summary="All that is kept of a person",
        description="For the person: a copy of their data in a form that programs can read. No pictures are among it, "
        "since none are kept. With templates=1 the numbers of the templates come too: they are biometric data, and "
        "of use to nobody but a program that compares faces.",
        scope=Scope.ADMIN,
        parameters=(PERSON, Parameter(name="templates", description="With the templates' numbers.", schema=_SWITCH)),
        answers={200: answer_json(component("PersonExport"), "The person's data.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, ErrorCode.BAD_REQUEST, *STORAGE_ERRORS),
    ),
    Operation(
        method="GET",
        path=_CONSENT,
        handler=show_consent,
        tag="People",
        summary="A person's consent",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("ConsentAnswer"), "What is on record; null: nothing.")},
        errors=(ErrorCode.PERSON_NOT_FOUND,),
    ),
    Operation(
        method="PUT",
        path=_CONSENT,
        handler=give_consent,
        tag="People",
        summary="Put a person's consent on record",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        body=Body(content={JSON: component("NewConsent")}),
        answers={200: answer_json(component("ConsentAnswer"), "What is on record now.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, ErrorCode.BAD_REQUEST, ErrorCode.BODY_TOO_LARGE, *STORAGE_ERRORS),
    ),
    Operation(
        method="DELETE",
        path=_CONSENT,
        handler=withdraw_consent,
        tag="People",
        summary="A person takes their consent back",
        description="No face of theirs is enrolled from then on, whatever the settings. What is enrolled stays, and "
        "is recognized, until the person is forgotten.",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("ConsentAnswer"), "What is on record now.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, ErrorCode.CONSENT_MISSING, *STORAGE_ERRORS),
    ),
    Operation(
        method="GET",
        path=f"{API}/receipts",
        handler=list_receipts,
        tag="People",
        summary="The receipts of everybody who was forgotten",
        scope=Scope.ENROLL,
        answers={200: answer_json(component("Receipts"), "Oldest first.")},
    ),
    Operation(
        method="GET",
        path=f"{API}/receipts/{{person}}",
        handler=show_receipt,
        tag="People",
        summary="Whether somebody is forgotten everywhere by now",
        scope=Scope.ENROLL,
        parameters=(_FORGOTTEN,),
        answers={200: answer_json(component("Receipt"), "Their receipt.")},
        errors=(ErrorCode.PERSON_NOT_FOUND,),
    ),
)
