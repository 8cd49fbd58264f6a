"""The log of events."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend.domain.explanations import with_names
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Outcome, Scope
from privface_backend.rest.documents import read_choice, read_moment, read_number
from privface_backend.rest.operations import API, Operation, Parameter, answer_json, component
from privface_backend.rest.services import SERVICES

EVENT: Final = Parameter(name="event", place="path", description="The event's id.")
_USUAL: Final = 50
_MOST: Final = 500


async def list_events(request: web.Request) -> web.Response:
    services, query = request.app[SERVICES], request.query
    limit = read_number(query, "limit", least=1, most=_MOST) or _USUAL
    outcome = read_choice(query, "outcome", Outcome)
    since = read_moment(query, "since")
    # One more than asked for says whether there is an older page.
    found = await services.storage.call(
        services.events.list,
        limit=limit + 1,
        before=query.get("before"),
        camera=query.get("camera"),
        person_id=query.get("person_id"),
        outcome=outcome,
        since=since,
    )
    events = found[:limit]
    return web.json_response(
        {
            "events": [event.to_dict() for event in events],
            "before": events[-1].event_id if len(found) > limit else None,
        }
    )


async def show_event(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    event = await services.storage.call(services.events.get, request.match_info["event"])
    if event is None:
        raise PrivFaceError(ErrorCode.EVENT_NOT_FOUND, "There is no such event, or no longer.")
    explanation = await services.storage.call(services.events.explanation, event.event_id)
    names = services.gallery.snapshot.names
    return web.json_response(
        event.to_dict() | {"explanation": None if explanation is None else with_names(explanation, names)}
    )


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/events",
        handler=list_events,
        tag="Events",
        summary="Events, newest first",
        scope=Scope.IDENTIFY,
        parameters=(
            Parameter(
                name="limit",
                description="How many at most.",
                schema={"type": "integer", "minimum": 1, "maximum": _MOST, "default": _USUAL},
            ),
            Parameter(name="before", description="Older than this event: the cursor that the newer page gave."),
            Parameter(name="camera", description="Of this camera only."),
            Parameter(name="person_id", description="Of this person only."),
            Parameter(
                name="outcome",
                description="Of this outcome only.",
                schema={"type": "string", "enum": [outcome.value for outcome in Outcome]},
            ),
            Parameter(
                name="since",
                description="From this time on: ISO 8601 with an offset.",
                schema={"type": "string", "format": "date-time"},
            ),
        ),
        answers={200: answer_json(component("EventPage"), "One page.")},
        errors=(ErrorCode.BAD_REQUEST, ErrorCode.EVENT_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=f"{API}/events/{{event}}",
        handler=show_event,
        tag="Events",
        summary="One event, and why it came out as it did",
        scope=Scope.IDENTIFY,
        parameters=(EVENT,),
        answers={200: answer_json(component("EventDetail"), "The event; its explanation is null where none is kept.")},
        errors=(ErrorCode.EVENT_NOT_FOUND,),
    ),
)
