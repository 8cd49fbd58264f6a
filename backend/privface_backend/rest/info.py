"""What this backend is, what it can do and how it stands."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from privface_backend import __version__
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.sources import MEGABYTE, MEGAPIXEL
from privface_backend.plugins.registry import Registry
from privface_backend.protocol import API_VERSION, MIN_API_VERSION, Scope, to_wire_time
from privface_backend.rest.operations import API, Operation, answer_json, component
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import MOST_FILES

INSTALLED: Final = web.AppKey("installed", list)


def describe_installed(registry: Registry) -> list[dict[str, object]]:
    """All engines that exist, and whether they can run here. Looks for modules on the disk; none is imported."""
    return [
        {
            "kind": spec.kind.value,
            "name": spec.name,
            "available": not (missing := registry.missing(spec)),
            "missing": list(missing),
            "extra": spec.extra,
            "weights": list(spec.weights),
            "summary": spec.summary,
            "options": dict(spec.arguments),
        }
        for spec in registry.all()
    ]


async def show_info(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    now, trouble = services.clock(), services.trouble()
    return web.json_response(
        {
            "version": __version__,
            "api_version": API_VERSION,
            "min_api_version": MIN_API_VERSION,
            "instance_id": services.instance_id,
            "time": to_wire_time(now),
            "started_at": to_wire_time(services.started_at),
            "uptime_seconds": max(0, int((now - services.started_at).total_seconds())),
            "ready": services.recognition.ready,
            "trouble": None if trouble is None else {"code": trouble.code.value, "message": trouble.message},
            "engines": _engines(services),
            "installed": request.app[INSTALLED],
            "privacy": _privacy(services),
            "limits": _limits(services),
            "lane": {"waiting": services.lane.waiting},
            "gallery": await _gallery(services),
            "broker": _broker(services),
            "weights": _weights(services),
        }
    )


def _engines(services: Services) -> dict[str, object]:
    wanted = services.settings.engines
    contract = services.index.contract.key if services.index.contract is not None else None
    sealed = _sealed_engines(services)
    if services.settings.privacy.sealed:
        detector, recognizer = ("", "") if sealed is None else (sealed["detector"], sealed["recognizer"])
        return {
            "detector": detector,
            "recognizer": recognizer,
            "aligner": "",
            "contract": contract,
            "sealed": sealed,
        }
    return {
        "detector": wanted.detector,
        "recognizer": wanted.recognizer,
        "aligner": wanted.aligner,
        "contract": contract,
        "sealed": sealed,
    }


def _sealed_engines(services: Services) -> dict[str, str] | None:
    """The user sides' engines, and the contract of what they send; None: none has sent anything yet."""
    terms = services.sealed.terms
    if terms is None:
        return None
    return {
        "detector": terms.engine.detector,
        "recognizer": terms.engine.recognizer,
        "contract": terms.contract.key,
    }


def _privacy(services: Services) -> dict[str, object]:
    default, process = services.recognition.rules.default_privacy, services.settings.privacy
    looks = services.recognition.ready and not process.sealed
    anonymizers = services.recognition.process.engines.anonymizers if looks else {}
    return {
        "method": default.method,
        "parameter": default.parameter,
        "require_client": process.require_client,
        "sealed": process.sealed,
        "sealed_cameras": list(services.settings.sealed_cameras.names),
        "working_size": services.settings.pipeline.working_size,
        "allowed": {method: anonymizer.allowed for method, anonymizer in anonymizers.items()},
    }


def _limits(services: Services) -> dict[str, int]:
    server, pipeline = services.settings.server, services.settings.pipeline
    return {
        "body_bytes": server.body_megabytes * MEGABYTE,
        "picture_bytes": pipeline.picture_megabytes * MEGABYTE,
        "picture_pixels": pipeline.picture_megapixels * MEGAPIXEL,
        "video_bytes": pipeline.video_megabytes * MEGABYTE,
        "video_seconds": pipeline.video_seconds,
        "files": MOST_FILES,
        "waiting": pipeline.waiting,
    }


async def _gallery(services: Services) -> dict[str, object]:
    faces, usable_faces = services.index.snapshot.faces, services.gallery.indexes.usable_faces
    usable = {face.person_id for face in faces if face.id in usable_faces}
    enrolled = {face.person_id for face in faces}
    statistics = await services.gallery.statistics()
    return statistics.to_dict() | {"people_to_enroll_again": len(enrolled - usable)}


def _broker(services: Services) -> dict[str, object] | None:
    if services.broker is None:
        return None
    status = services.broker.status
    return {"state": str(status.state), "reason": status.reason, "waiting": services.broker.counters.waiting}


def _weights(services: Services) -> dict[str, str]:
    """Whether each file is there; nothing where the engines that are set don't exist, which ``trouble`` says."""
    try:
        return {} if services.weights is None else dict(services.weights())
    except PrivFaceError:
        return {}


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/info",
        handler=show_info,
        tag="Service",
        summary="Versions, engines, limits and how all stands",
        scope=Scope.IDENTIFY,
        answers={200: answer_json(component("Info"), "What there is to know.")},
    ),
)
