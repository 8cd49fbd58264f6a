"""The audit log over REST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from privface_backend.audit.entries import Act, By
from privface_backend.audit.reading import Wanted, read_page
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.documents import read_choice, read_moment, read_number
from privface_backend.rest.operations import API, Operation, Parameter, Schema, answer_json, component
from privface_backend.rest.schemas import list_of, record
from privface_backend.rest.services import SERVICES

_USUAL: Final = 50
_MOST: Final = 500
_LAST: Final = 2**53
_TEXT: Final[Schema] = {"type": "string"}
_ACT: Final[Schema] = {"type": "string", "enum": [act.value for act in Act]}
_MAC: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}

AUDIT_COMPONENTS: Final[Mapping[str, Schema]] = {
    "AuditLine": record(
        {
            "seq": {"type": "integer", "minimum": 1},
            "time": {"type": "string", "format": "date-time"},
            "act": _ACT,
            "operation": {**_TEXT, "description": "Which of the act's kinds it was."},
            "by": {"type": "string", "enum": [by.value for by in By]},
            "outcome": {**_TEXT, "description": "ok, known, unknown, unusable, no_face, or an error's code."},
            "previous": {**_MAC, "description": "The mac of the line before."},
            "mac": _MAC,
            "token": {**_TEXT, "description": "The token's id."},
            "requestor_id": _TEXT,
            "requestor_type": _TEXT,
            "request_id": _TEXT,
            "camera": _TEXT,
            "subjects": {**list_of(_TEXT), "description": "Whom it was about: ids of people; of key, of tokens."},
            "count": {**_COUNT, "description": "Faces, frames, or lines that were dropped."},
            "settings": {**_TEXT, "description": "A digest of the settings at a start."},
            "anchor": record({"seq": _COUNT, "mac": _MAC}),
            "key": {**_TEXT, "description": "Which key the line is sealed with."},
        },
        optional=(
            "token",
            "requestor_id",
            "requestor_type",
            "request_id",
            "camera",
            "subjects",
            "count",
            "settings",
            "anchor",
            "key",
        ),
    ),
    "AuditPage": record(
        {
            "lines": list_of(component("AuditLine")),
            "before": {"type": ["integer", "null"], "description": "The cursor of the next, older page."},
        }
    ),
}


async def list_audit(request: web.Request) -> web.Response:
    services, query = request.app[SERVICES], request.query
    wanted = Wanted(
        limit=read_number(query, "limit", least=1, most=_MOST) or _USUAL,
        before=read_number(query, "before", least=1, most=_LAST),
        since=read_moment(query, "since"),
        act=read_choice(query, "act", Act),
        subject=query.get("person_id"),
    )
    page = await asyncio.to_thread(read_page, services.audit.log, wanted)
    return web.json_response({"lines": [dict(line.data) for line in page.lines], "before": page.before})


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/audit",
        handler=list_audit,
        tag="Service",
        summary="The audit log, newest first",
        description="Reading it is an act of its own, and so in it. A page may have fewer lines than asked for, and "
        "still another one before it. Whether the log is whole says `privface audit verify`.",
        scope=Scope.ADMIN,
        parameters=(
            Parameter(
                name="limit",
                description="How many at most.",
                schema={"type": "integer", "minimum": 1, "maximum": _MOST, "default": _USUAL},
            ),
            Parameter(
                name="before",
                description="Older than the line of this number: the cursor that the newer page gave.",
                schema={"type": "integer", "minimum": 1},
            ),
            Parameter(
                name="since",
                description="From this time on: ISO 8601 with an offset.",
                schema={"type": "string", "format": "date-time"},
            ),
            Parameter(name="act", description="Of this act only.", schema=_ACT),
            Parameter(name="person_id", description="About this person only."),
        ),
        answers={200: answer_json(component("AuditPage"), "One page.")},
        errors=(ErrorCode.BAD_REQUEST, ErrorCode.AUDIT_FAILED),
    ),
)
