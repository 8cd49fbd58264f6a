"""People's faces: enroll, list, remove."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from privface_backend.domain.consent import check_consent
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.pipeline.enrollment import FaceChoice
from privface_backend.protocol import ErrorCode, Privacy, Scope, to_wire_time
from privface_backend.rest.documents import read_card, read_flag
from privface_backend.rest.middleware import request_id
from privface_backend.rest.operations import (
    API,
    JSON,
    MULTIPART,
    Answer,
    Body,
    Operation,
    Parameter,
    answer_json,
    component,
)
from privface_backend.rest.people import PERSON, STORAGE_ERRORS, find_person
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import Upload, UploadedFile, read_upload

_CAMERA: Final = "enrollment"
_FACE: Final = Parameter(name="face", place="path", description="The face's id.")


async def list_faces(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    faces = await services.gallery.faces(person.id)
    return web.json_response({"faces": describe_faces(services, faces)})


async def remove_face(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    wanted = request.match_info["face"]
    if all(face.id != wanted for face in await services.gallery.faces(person.id)):
        raise PrivFaceError(ErrorCode.FACE_NOT_FOUND, "The person has no such face.")
    await services.gallery.remove_face(wanted)
    return web.Response(status=204)


async def enroll(request: web.Request) -> web.Response:
    services, person = request.app[SERVICES], await find_person(request)
    check_consent(person.consent, required=services.gallery.rules.require_consent)
    order = _Order.read(request, await read_upload(request), services.clock())
    enrolled, refused = await (_enroll_versions if order.versions else _enroll_each)(services, person, order)
    answer = {
        "person": (await services.gallery.person(person.id)).to_dict(),
        "faces": describe_faces(services, enrolled),
        "refused": [
            {"file": place, "name": order.files[place].name, "error": error.to_dict()} for place, error in refused
        ],
    }
    if not enrolled:
        raise _refusal(refused)
    return web.json_response(answer, status=201)


async def _enroll_each(services: Services, person: Person, order: _Order) -> _Done:
    """Each file makes a face."""
    enrolled: list[EnrolledFace] = []
    refused: list[tuple[int, PrivFaceError]] = []
    for place, file in enumerate(order.files):
        try:
            face = await services.recognition.represent(file.data, claimed=order.claims[place], choice=order.choice)
            enrolled.append(await _add(services, person, face, file))
        except PrivFaceError as error:
            if error.code not in OF_ONE_FILE:
                raise
            refused.append((place, error))
    return enrolled, refused


async def _enroll_versions(services: Services, person: Person, order: _Order) -> _Done:
    """All files make one face."""
    represented = await services.recognition.represent_versions(
        [file.data for file in order.files], claims=order.claims, choice=order.choice
    )
    first = next(place for place in range(len(order.files)) if place not in represented.refused)
    return [await _add(services, person, represented.face, order.files[first])], list(represented.refused.items())


# What is wrong with one file says nothing about the next.
OF_ONE_FILE: Final = frozenset(
    {
        ErrorCode.PICTURE_UNREADABLE,
        ErrorCode.PICTURE_TRUNCATED,
        ErrorCode.PICTURE_TOO_LARGE,
        ErrorCode.PICTURE_FORMAT,
        ErrorCode.NO_FACE,
        ErrorCode.SEVERAL_FACES,
        ErrorCode.FACE_TOO_SMALL,
        ErrorCode.FACE_TOO_BLURRY,
        ErrorCode.NOT_ANONYMIZED,
        ErrorCode.BAD_PRIVACY_PARAMETER,
        ErrorCode.CONFLICT,
    }
)


_Done = tuple[list[EnrolledFace], list[tuple[int, PrivFaceError]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What to enroll. ``claims``: what each file's card says of its anonymization; ``versions``: the files show one
    picture at several strengths."""

    files: tuple[UploadedFile, ...]
    claims: tuple[Privacy | None, ...]
    choice: FaceChoice
    versions: bool

    @classmethod
    def read(cls, request: web.Request, upload: Upload, now: datetime) -> _Order:
        if not upload.files:
            raise PrivFaceError(ErrorCode.BAD_REQUEST, "There is no file in the request.", allowed="parts called file")
        cards = [
            read_card(text, camera=_CAMERA, now=now, request_id=request_id(request)) for text in _read_cards(upload)
        ]
        for card in cards:
            request.app[SERVICES].recognition.require_pictures(card.camera)
        return cls(
            files=upload.files,
            claims=tuple(card.privacy for card in cards),
            choice=_read_choice(upload),
            versions=read_flag({"versions": upload.value("versions") or "0"}, "versions"),
        )


def _read_cards(upload: Upload) -> list[str | None]:
    """A card's text for each file: from the list ``cards`` or the fields ``card``, in the files' order."""
    cards: list[str | None] = list(upload.fields.get("card", ()))
    listed = upload.value("cards")
    if listed is not None and not cards:
        try:
            items = json.loads(listed)
        except (ValueError, RecursionError):
            items = None
        if not isinstance(items, list):
            raise PrivFaceError(ErrorCode.BAD_FRAME_CARD, "cards can't be read.", allowed="a JSON list of frame cards")
        cards = [None if item is None else json.dumps(item) for item in items]
    if cards and len(cards) != len(upload.files):
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD, "There are not as many frame cards as files.", allowed="one each, or none"
        )
    return cards or [None] * len(upload.files)


def _read_choice(upload: Upload) -> FaceChoice:
    choose, box = upload.value("choose"), upload.value("box")
    if choose not in {None, "", "largest"}:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "choose can't be used.", allowed="largest")
    return FaceChoice(largest=choose == "largest", box=None if not box else _read_box(box))


def _read_box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(side) for side in text.strip("[] ").split(","))
    except ValueError:
        x = y = width = height = -1.0
    # Written so that not-a-number fails, too.
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "box can't be used.", allowed="x,y,width,height as fractions of the picture, 0 to 1"
        )
    return x, y, width, height


async def _add(services: Services, person: Person, face: RepresentedFace, file: UploadedFile) -> EnrolledFace:
    digest = hashlib.sha256(file.data).hexdigest()
    return await services.gallery.add_face(person.id, face, picture_digest=digest)


def _refusal(refused: list[tuple[int, PrivFaceError]]) -> PrivFaceError:
    """The first file's error; those of all where there were several."""
    _, first = refused[0]
    if len(refused) == 1:
        return first
    details = {**first.details, "refused": [{"file": place, "error": error.to_dict()} for place, error in refused]}
    return PrivFaceError(first.code, first.message, allowed=first.allowed, details=details)


def describe_faces(services: Services, faces: Iterable[EnrolledFace]) -> list[dict[str, object]]:
    """Faces as they go out; ``sealed``: of a user side's templates."""
    sealed = services.gallery.sealed_faces
    return [
        {
            "id": face.id,
            "person_id": face.person_id,
            "created_at": to_wire_time(face.created_at),
            "sealed": face.id in sealed,
        }
        for face in faces
    ]


_ENROLLMENT: Final = Body(
    content={
        MULTIPART: {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {
                    "type": "array",
                    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                    "description": "One or several pictures.",
                },
                "card": {
                    "type": "array",
                    "items": {"type": "string", "contentMediaType": JSON, "contentSchema": component("FrameCard")},
                    "description": "A frame card for each file, in the same order.",
                },
                "cards": {
                    "type": "string",
                    "contentMediaType": JSON,
                    "contentSchema": {"type": "array", "items": component("FrameCard")},
                    "description": "The same as one JSON list.",
                },
                "choose": {"type": "string", "enum": ["largest"], "description": "Which of several faces."},
                "box": {"type": "string", "description": "Which of several faces: x,y,width,height as fractions."},
                "versions": {
                    "type": "string",
                    "enum": ["0", "1"],
                    "description": "1: the files are one picture, which the sender anonymized at several strengths. "
                    "They make one face, which is looked for in the sharpest of them.",
                },
            },
        },
        "image/*": {},
    }
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/people/{{person}}/faces",
        handler=list_faces,
        tag="People",
        summary="A person's enrolled faces",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        answers={200: answer_json(component("Faces"), "The faces, oldest first.")},
        errors=(ErrorCode.PERSON_NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path=f"{API}/people/{{person}}/faces",
        handler=enroll,
        tag="People",
        summary="Enroll a person's face from pictures",
        description="Each file makes a face. Files that are refused are named in the answer; where all are, the "
        "answer is the first one's error, and details.refused has the others'. With versions=1 the files make one "
        "face, and where the sharpest is refused, its error is the answer.",
        scope=Scope.ENROLL,
        parameters=(PERSON,),
        body=_ENROLLMENT,
        answers={201: answer_json(component("Enrollment"), "What was enrolled.")},
        errors=(
            ErrorCode.PERSON_NOT_FOUND,
            ErrorCode.BAD_REQUEST,
            ErrorCode.BAD_FRAME_CARD,
            ErrorCode.SEALED,
            ErrorCode.BODY_TOO_LARGE,
            *sorted(OF_ONE_FILE),
            ErrorCode.CONTRACT_MISMATCH,
            ErrorCode.CONSENT_MISSING,
            ErrorCode.WEIGHTS_MISSING,
            ErrorCode.OVERLOADED,
            ErrorCode.TIMEOUT,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/people/{{person}}/faces/{{face}}",
        handler=remove_face,
        tag="People",
        summary="Remove a face and its templates",
        scope=Scope.ENROLL,
        parameters=(PERSON, _FACE),
        answers={204: Answer(description="It is gone.")},
        errors=(ErrorCode.PERSON_NOT_FOUND, ErrorCode.FACE_NOT_FOUND, *STORAGE_ERRORS),
    ),
)
