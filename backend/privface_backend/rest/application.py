"""The web application: the route table, and what surrounds it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import wraps
from itertools import chain
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from privface_backend.audit.repeats import Repeats
from privface_backend.rest import (
    audit_log,
    calibration,
    cameras,
    corrections,
    docs_page,
    event_log,
    event_stream,
    faces,
    health,
    identify,
    info,
    key,
    metrics,
    people,
    records,
    sealed,
    strangers,
    stream,
    videos,
)
from privface_backend.rest.auditing import REPEATS, audit_acts, tell_repeats
from privface_backend.rest.authentication import ATTEMPTS, AttemptLimit, authorize
from privface_backend.rest.middleware import answer_errors, log_access, set_headers
from privface_backend.rest.openapi import describe
from privface_backend.rest.operations import Handler, Operation
from privface_backend.rest.services import SERVICES, Services

OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    chain(
        identify.OPERATIONS,
        videos.OPERATIONS,
        cameras.OPERATIONS,
        calibration.OPERATIONS,
        people.OPERATIONS,
        faces.OPERATIONS,
        sealed.OPERATIONS,
        records.OPERATIONS,
        strangers.OPERATIONS,
        event_stream.OPERATIONS,
        event_log.OPERATIONS,
        corrections.OPERATIONS,
        audit_log.OPERATIONS,
        stream.OPERATIONS,
        info.OPERATIONS,
        health.OPERATIONS,
        key.OPERATIONS,
        metrics.OPERATIONS,
        docs_page.OPERATIONS,
    )
)


def create_application(
    services: Services,
    *,
    more_routes: Iterable[web.AbstractRouteDef] = (),
    registry: CollectorRegistry | None = None,
    stream_rules: stream.StreamRules | None = None,
    event_stream_rules: event_stream.EventStreamRules | None = None,
    video_rules: videos.VideoRules | None = None,
) -> web.Application:
    """The application. ``more_routes`` look at tokens themselves (``authentication.authorize``); ``registry`` takes
    the metrics, one application a registry."""
    app = web.Application(
        middlewares=(log_access, answer_errors, audit_acts),
        client_max_size=services.settings.server.body_megabytes * 1024 * 1024,
    )
    app[SERVICES] = services
    app[REPEATS] = Repeats()
    app[ATTEMPTS] = AttemptLimit(time.monotonic)
    app[info.INSTALLED] = info.describe_installed(services.registry)
    app[docs_page.DESCRIPTION] = describe(OPERATIONS)
    app[stream.STREAMS] = stream.Streams(stream_rules or stream.StreamRules())
    app[event_stream.EVENT_STREAMS] = event_stream.EventStreams(
        event_stream_rules or event_stream.EventStreamRules(), services.bus, lambda: services.index.snapshot.names
    )
    app[videos.VIDEOS] = videos.Videos(video_rules)
    app[metrics.METRICS] = CollectorRegistry() if registry is None else registry
    metrics.register_metrics(app[metrics.METRICS], services)
    app.on_response_prepare.append(set_headers)
    app.on_shutdown.append(app[stream.STREAMS].close)
    app.on_shutdown.append(app[event_stream.EVENT_STREAMS].close)
    app.on_shutdown.append(app[videos.VIDEOS].close)
    app.on_shutdown.append(tell_repeats)
    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, _guarded(operation))
    app.router.add_routes(more_routes)
    return app


def _guarded(operation: Operation) -> Handler:
    """The operation's handler, behind its scope."""
    scope = operation.scope
    if scope is None or operation.authenticates_itself:
        return operation.handler

    @wraps(operation.handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        await authorize(request, scope)
        return await operation.handler(request)

    return handle
