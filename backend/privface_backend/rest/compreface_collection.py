"""CompreFace's routes about whom it knows: subjects, which are our people, and their examples, which are our faces."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.domain.people import EnrolledFace
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.compreface_wire import (
    BASE,
    CompreFaceError,
    read_images,
    read_parameter,
    route,
    write_error,
)
from privface_backend.rest.documents import read_number, read_object
from privface_backend.rest.dropin import check_new_name, enroll_pictures, find_named, read_share
from privface_backend.rest.middleware import ErrorShape, shape_errors
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import UploadedFile

_SUBJECTS: Final = f"{BASE}/recognition/subjects"
_FACES: Final = f"{BASE}/recognition/faces"
_FILE: Final = "file"
_PAGE_SIZE: Final = 20
_LARGEST_PAGE: Final = 2000
_LAST_PAGE: Final = 1_000_000
_GONE: Final = (11, 410)


def collection_routes() -> tuple[web.RouteDef, ...]:
    """The routes; all need a token that may enroll."""
    return (
        route("GET", _SUBJECTS, Scope.ENROLL, _list_subjects),
        route("POST", _SUBJECTS, Scope.ENROLL, _add_subject),
        route("DELETE", _SUBJECTS, Scope.ENROLL, _delete_subjects),
        route("PUT", f"{_SUBJECTS}/{{subject}}", Scope.ENROLL, _rename_subject),
        route("DELETE", f"{_SUBJECTS}/{{subject}}", Scope.ENROLL, _delete_subject),
        route("GET", _FACES, Scope.ENROLL, _list_examples),
        route("POST", _FACES, Scope.ENROLL, _add_example),
        route("DELETE", _FACES, Scope.ENROLL, _delete_examples),
        route("DELETE", f"{_FACES}/{{image_id}}", Scope.ENROLL, _delete_example),
        route("GET", f"{_FACES}/{{image_id}}/img", Scope.ENROLL, _show_picture),
        # The key stands in the address here; as there is nothing to see, it is not looked at.
        web.get(f"{BASE}/static/{{key}}/images/{{image_id}}", shape_errors(ErrorShape(write_error), _show_picture)),
    )


async def _list_subjects(request: web.Request) -> web.Response:
    people = await request.app[SERVICES].gallery.people()
    return web.json_response({"subjects": list(dict.fromkeys(person.name for person in people))})


async def _add_subject(request: web.Request) -> web.Response:
    name = check_new_name(await _read_subject(request))
    person = await request.app[SERVICES].gallery.create_person(name)
    return web.json_response({"subject": person.name}, status=201)


async def _rename_subject(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    person = await find_named(services, request.match_info["subject"])
    await services.gallery.rename(person.id, check_new_name(await _read_subject(request)))
    return web.json_response({"updated": True})


async def _delete_subject(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    person = await find_named(services, request.match_info["subject"])
    await services.gallery.forget(person.id)
    return web.json_response({"subject": person.name})


async def _delete_subjects(request: web.Request) -> web.Response:
    gallery = request.app[SERVICES].gallery
    people = await gallery.people()
    for person in people:
        await gallery.forget(person.id)
    return web.json_response({"deleted": len(people)})


async def _list_examples(request: web.Request) -> web.Response:
    services, subject = request.app[SERVICES], request.query.get("subject")
    page = read_number(request.query, "page", least=0, most=_LAST_PAGE) or 0
    size = read_number(request.query, "size", least=1, most=_LARGEST_PAGE) or _PAGE_SIZE
    faces = await _faces_of(services, subject)
    names = services.index.snapshot.names
    shown = faces[page * size : (page + 1) * size]
    return web.json_response(
        {
            "faces": [{"image_id": face.id, "subject": names.get(face.person_id, "")} for face in shown],
            "page_number": page,
            "page_size": size,
            "total_pages": -(-len(faces) // size),
            "total_elements": len(faces),
        }
    )


async def _add_example(request: web.Request) -> web.Response:
    services, subject = request.app[SERVICES], read_parameter(request, "subject")
    # Enrolling has a bar of its own.
    read_share(request.query.get("det_prob_threshold"), "det_prob_threshold", 0.0)
    images = await read_images(request, _FILE)
    person, faces = await enroll_pictures(services, subject, [UploadedFile(data=images[_FILE])])
    return web.json_response({"image_id": faces[0].id, "subject": person.name}, status=201)


async def _delete_examples(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    faces = await _faces_of(services, request.query.get("subject"))
    for face in faces:
        await services.gallery.remove_face(face.id)
    return web.json_response({"deleted": len(faces)})


async def _delete_example(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    face = await find_face(services, request.match_info["image_id"])
    subject = services.index.snapshot.names.get(face.person_id, "")
    await services.gallery.remove_face(face.id)
    return web.json_response({"image_id": face.id, "subject": subject})


async def _show_picture(_: web.Request) -> web.Response:
    raise CompreFaceError(_GONE, "PrivFace keeps no pictures: there is none to show.", ErrorCode.FACE_NOT_FOUND)


async def find_face(services: Services, face_id: str) -> EnrolledFace:
    """The face of that id.

    Raises:
        PrivFaceError: ``face_not_found``.
    """
    await services.gallery.people()
    for face in services.index.snapshot.faces:
        if face.id == face_id:
            return face
    raise PrivFaceError(ErrorCode.FACE_NOT_FOUND, "There is no example of that id.")


async def _faces_of(services: Services, subject: str | None) -> tuple[EnrolledFace, ...]:
    """Everybody's faces, or those of one subject: none of one who isn't there."""
    await services.gallery.people()
    if subject is None:
        return services.index.snapshot.faces
    try:
        person = await find_named(services, subject)
    except PrivFaceError as error:
        if error.code is not ErrorCode.PERSON_NOT_FOUND:
            raise
        return ()
    return await services.gallery.faces(person.id)


async def _read_subject(request: web.Request) -> str:
    subject = (await read_object(request)).get("subject")
    if not isinstance(subject, str):
        raise PrivFaceError(ErrorCode.BAD_NAME, "A subject is needed.", allowed='{"subject": "…"}')
    return subject
