"""CompreFace's routes that look at pictures: recognition, detection, verification, and their answers.

A key is one of our tokens, in the header ``x-api-key``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.compreface_collection import collection_routes, find_face
from privface_backend.rest.compreface_wire import BASE, read_images, route
from privface_backend.rest.documents import read_flag, read_number
from privface_backend.rest.dropin import SeenFace, Sight, compare, look_at, read_share, runners_up, template_of
from privface_backend.rest.services import SERVICES, Services
from privface_backend.settings import Settings

_FILE: Final = "file"
_SOURCE: Final = "source_image"
_TARGET: Final = "target_image"
_MOST: Final = 1000

_Face = dict[str, object]


def compreface_routes(settings: Settings) -> tuple[web.RouteDef, ...]:
    """The routes, which look at keys themselves; none unless they are switched on."""
    if not settings.dropin.compreface:
        return ()
    return (
        route("POST", f"{BASE}/recognition/recognize", Scope.IDENTIFY, _recognize),
        route("POST", f"{BASE}/detection/detect", Scope.IDENTIFY, _detect),
        route("POST", f"{BASE}/verification/verify", Scope.IDENTIFY, _verify_pictures),
        route("POST", f"{BASE}/recognition/faces/{{image_id}}/verify", Scope.IDENTIFY, _verify_example),
        *collection_routes(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the query asks for. ``limit``: faces, the largest first, 0 for all; ``predictions``: people a face."""

    limit: int
    detection: float
    predictions: int
    landmarks: bool
    status: bool

    @classmethod
    def read(cls, request: web.Request) -> Self:
        query = request.query
        return cls(
            limit=read_number(query, "limit", least=0, most=_MOST) or 0,
            detection=read_share(query.get("det_prob_threshold"), "det_prob_threshold", 0.0),
            predictions=read_number(query, "prediction_count", least=1, most=_MOST) or 1,
            landmarks="landmarks" in {name.strip() for name in query.get("face_plugins", "").split(",")},
            status=read_flag(query, "status"),
        )

    def choose(self, sight: Sight) -> Sequence[SeenFace]:
        """The faces that are asked for.

        Raises:
            PrivFaceError: ``no_face``.
        """
        sure = [face for face in sight.faces if face.detection >= self.detection]
        if not sure:
            raise PrivFaceError(ErrorCode.NO_FACE, "No face is found in the given image")
        return sure[: self.limit or None]

    def describe(self, face: SeenFace, sight: Sight) -> _Face:
        left, top, right, bottom = face.box
        described: _Face = {
            "box": {
                "probability": round(face.detection, 5),
                "x_max": right,
                "y_max": bottom,
                "x_min": left,
                "y_min": top,
            }
        }
        if self.landmarks:
            described["landmarks"] = [list(point) for point in face.landmarks]
        if self.status:
            described["execution_time"] = {
                "detector": round(sight.latency_ms.get("detect", 0.0), 1),
                "calculator": round(sight.latency_ms.get("represent", 0.0), 1),
            }
        return described

    def versions(self, services: Services) -> _Face:
        if not self.status:
            return {}
        names = services.recognition.process.engines.names
        return {"plugins_versions": {"detector": names.detector, "calculator": names.recognizer}}


async def _recognize(request: web.Request) -> web.Response:
    services, wish = request.app[SERVICES], _Wish.read(request)
    sight = await _look(request)
    result = [
        wish.describe(face, sight) | {"subjects": _subjects(services, face, wish.predictions)}
        for face in wish.choose(sight)
    ]
    return web.json_response({"result": result} | wish.versions(services))


def _subjects(services: Services, face: SeenFace, most: int) -> list[_Face]:
    """Whom the decision names, else ``unknown``, as callers may take the first for true; then who is nearest."""
    likenesses = [face.likeness, *runners_up(services, face, most - 1)]
    return [{"subject": one.name, "similarity": round(one.confidence, 5)} for one in likenesses]


async def _detect(request: web.Request) -> web.Response:
    services, wish = request.app[SERVICES], _Wish.read(request)
    sight = await _look(request)
    result = [wish.describe(face, sight) for face in wish.choose(sight)]
    return web.json_response({"result": result} | wish.versions(services))


async def _verify_example(request: web.Request) -> web.Response:
    services, wish = request.app[SERVICES], _Wish.read(request)
    face_id = (await find_face(services, request.match_info["image_id"])).id
    sight = await _look(request)
    templates = [template for template in services.index.snapshot.templates if template.face_id == face_id]
    result = [
        wish.describe(face, sight) | {"similarity": round(compare(services, templates, face), 5)}
        for face in wish.choose(sight)
    ]
    return web.json_response({"result": result} | wish.versions(services))


async def _verify_pictures(request: web.Request) -> web.Response:
    services, wish = request.app[SERVICES], _Wish.read(request)
    images = await read_images(request, _SOURCE, _TARGET)
    source, target = await look_at(services, images[_SOURCE]), await look_at(services, images[_TARGET])
    faces = wish.choose(target)
    first, *others = wish.choose(source)
    if others:
        raise PrivFaceError(ErrorCode.SEVERAL_FACES, "More than one face in the source image")
    templates = template_of(first)
    matches = [
        wish.describe(face, target) | {"similarity": round(compare(services, templates, face), 5)} for face in faces
    ]
    answer = {"source_image_face": wish.describe(first, source), "face_matches": matches}
    return web.json_response({"result": [answer | wish.versions(services)]})


async def _look(request: web.Request) -> Sight:
    images = await read_images(request, _FILE)
    return await look_at(request.app[SERVICES], images[_FILE])
