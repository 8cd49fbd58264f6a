"""The master key, handed over by whoever keeps it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protection.master import MasterKey
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_object
from privface_backend.rest.operations import API, JSON, Body, Operation, answer_json, component
from privface_backend.rest.services import SERVICES


async def read_key(request: web.Request) -> MasterKey:
    """The key in the body of a request.

    Raises:
        PrivFaceError: ``bad_request``, ``body_too_large``.
    """
    text = (await read_object(request)).get("key")
    try:
        if isinstance(text, str):
            return MasterKey.from_text(text)
    except ValueError:
        pass
    # Not even a part of what was sent is told: it may be a key with one letter missing.
    raise PrivFaceError(
        ErrorCode.BAD_REQUEST, "key is no master key, or was copied wrong.", allowed="what `privface key new` prints"
    )


async def take_key(request: web.Request) -> web.Response:
    """A backend that is open already says whether this is the key that opened it."""
    key = await read_key(request)
    if key.id != request.app[SERVICES].key_id():
        raise PrivFaceError(ErrorCode.CONFLICT, "The backend is open, with another master key.")
    return web.json_response({"key": key.id})


OPERATIONS: Final = (
    Operation(
        method="PUT",
        path=f"{API}/key",
        handler=take_key,
        tag="Service",
        summary="Hand over the master key",
        description="A backend with protection.handover waits for it when it starts: until then every other route "
        "answers locked. Whoever keeps the key hands it over each time.",
        scope=Scope.ENROLL,
        body=Body(content={JSON: component("MasterKey")}),
        answers={200: answer_json(component("KeyId"), "It is the key, and the backend is open or opens now.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.KEY_MISSING,
            ErrorCode.CONFLICT,
        ),
    ),
)
