"""Cameras: their frames, states and settings."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from privface_backend.domain.strength_advice import TARGETS, is_target
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.cameras import Camera
from privface_backend.pipeline.household import CameraState
from privface_backend.protocol import Advice, ErrorCode, Scope
from privface_backend.rest.documents import check_camera_name, read_card, read_object
from privface_backend.rest.identifications import event_ids, visit_ids
from privface_backend.rest.identify import CARD_PARAMETER, FRAME_ERRORS, upload_body
from privface_backend.rest.middleware import request_id
from privface_backend.rest.operations import API, JSON, Body, Operation, Parameter, answer_json, component
from privface_backend.rest.services import SERVICES, Services
from privface_backend.rest.uploads import read_upload

_CAMERA: Final = Parameter(name="camera", place="path", description="The camera's name.")


def describe_cameras(services: Services) -> list[dict[str, object]]:
    """All cameras with their states and settings, by name."""
    states = {state.camera: state for state in services.household.cameras(services.clock())}
    cameras = {camera.name: camera for camera in services.cameras.all()}
    return [
        _describe(
            cameras.get(name) or Camera(name=name), states.get(name) or CameraState(camera=name), services.advice(name)
        )
        | {"sealed": name in services.recognition.matchers.cameras}
        for name in sorted(cameras.keys() | states.keys())
    ]


def _describe(camera: Camera, state: CameraState, advice: Advice | None) -> dict[str, object]:
    return state.to_dict() | {
        "enabled": camera.enabled,
        "parameter": camera.parameter,
        "target": camera.target,
        "advice": None if advice is None else advice.to_dict(),
        "frames": camera.frames,
        "skipped": camera.skipped,
    }


async def list_cameras(request: web.Request) -> web.Response:
    return web.json_response({"cameras": describe_cameras(request.app[SERVICES])})


async def show_camera(request: web.Request) -> web.Response:
    name = check_camera_name(request.match_info["camera"])
    for camera in describe_cameras(request.app[SERVICES]):
        if camera["camera"] == name:
            return web.json_response(camera)
    raise PrivFaceError(ErrorCode.NOT_FOUND, "No frame came from a camera of that name.")


async def change_camera(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    name = check_camera_name(request.match_info["camera"])
    change = await read_object(request)
    # Everything is checked before anything is changed.
    enabled, parameter, target = _read_enabled(change), _read_parameter(change, services), _read_target(change)
    if parameter is not None or target is not None:
        # Nothing of a sealed camera is anonymized.
        services.recognition.require_pictures(name)
    services.cameras.add(name)
    if enabled is not None:
        services.cameras.enable(name, enabled=enabled)
    if "parameter" in change:
        services.cameras.set_parameter(name, parameter)
    if "target" in change:
        services.cameras.set_target(name, target)
    return await show_camera(request)


def _read_enabled(change: dict[str, Any]) -> bool | None:
    enabled = change.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "enabled can't be used.", allowed="true or false")
    return enabled


def _read_parameter(change: dict[str, Any], services: Services) -> int | None:
    parameter = change.get("parameter")
    if parameter is None:
        return None
    rules, process = services.recognition.rules, services.recognition.process
    anonymizer = process.engines.anonymizer(rules.default_privacy.method)
    if isinstance(parameter, bool) or not isinstance(parameter, int):
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER, "The privacy parameter is no whole number.", allowed=anonymizer.allowed
        )
    anonymizer.validate(parameter)
    return parameter


def _read_target(change: dict[str, Any]) -> float | None:
    target = change.get("target")
    if target is None:
        return None
    if isinstance(target, bool) or not isinstance(target, int | float) or not is_target(target):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "target can't be used.", allowed=TARGETS)
    return float(target)


async def remove_camera(request: web.Request) -> web.Response:
    name = check_camera_name(request.match_info["camera"])
    request.app[SERVICES].intake.forget_camera(name)
    return web.json_response({"camera": name, "removed": True})


async def take_frame(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    name = check_camera_name(request.match_info["camera"])
    upload = await read_upload(request, name)
    file = upload.one_file()
    card = read_card(upload.value("card"), camera=name, now=services.clock(), request_id=request_id(request))
    if card.camera != name:
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD, "The frame card names another camera than the address.", allowed=f"camera: {name}"
        )
    seen = await services.intake.camera_frame(file.data, card)
    found = seen.timed.judgement.to_identification(file.name, 0, seen.timed.latency_ms)
    return web.json_response(found.to_dict() | {"events": event_ids(seen.events), "visits": visit_ids(seen.updates)})


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{API}/cameras/{{camera}}/frames",
        handler=take_frame,
        tag="Recognition",
        summary="A frame of a camera: what is found goes out as events",
        description="The newest frame of a camera takes the place of an older one that still waits, which is then "
        "answered with superseded. visits: those that the frame's faces belong to. An event goes out when a visit's "
        "faces allow it, with this frame or a later one, or when no other comes for a moment; at once where the frame "
        "card says more: false.",
        scope=Scope.IDENTIFY,
        parameters=(_CAMERA, CARD_PARAMETER),
        body=upload_body("image/*"),
        answers={200: answer_json(component("CameraIdentification"), "What was found, and the events that went out.")},
        errors=(*FRAME_ERRORS, ErrorCode.SUPERSEDED, ErrorCode.CAMERA_DISABLED),
    ),
    Operation(
        method="GET",
        path=f"{API}/cameras",
        handler=list_cameras,
        tag="Cameras",
        summary="All cameras with their states and settings",
        scope=Scope.IDENTIFY,
        answers={200: answer_json(component("Cameras"), "The cameras by name.")},
    ),
    Operation(
        method="GET",
        path=f"{API}/cameras/{{camera}}",
        handler=show_camera,
        tag="Cameras",
        summary="One camera",
        scope=Scope.IDENTIFY,
        parameters=(_CAMERA,),
        answers={200: answer_json(component("Camera"), "The camera.")},
        errors=(ErrorCode.NOT_FOUND, ErrorCode.BAD_REQUEST),
    ),
    Operation(
        method="PATCH",
        path=f"{API}/cameras/{{camera}}",
        handler=change_camera,
        tag="Cameras",
        summary="Switch recognition on or off, or set the camera's own privacy parameter or target",
        description="A camera can be set before its first frame. parameter, target null: the default's again. A sealed "
        "camera has neither.",
        scope=Scope.ADMIN,
        parameters=(_CAMERA,),
        body=Body(content={JSON: component("CameraSettings")}),
        answers={200: answer_json(component("Camera"), "The camera as it is now.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.BAD_PRIVACY_PARAMETER,
            ErrorCode.SEALED,
            ErrorCode.OVERLOADED,
            ErrorCode.WEIGHTS_MISSING,
        ),
    ),
    Operation(
        method="DELETE",
        path=f"{API}/cameras/{{camera}}",
        handler=remove_camera,
        tag="Cameras",
        summary="Remove a camera: its settings, its visits, its topics on the broker",
        description="Its events stay in the log, and so does where people were seen last. A camera that goes on "
        "sending comes back with its next frame, with the default's settings.",
        scope=Scope.ADMIN,
        parameters=(_CAMERA,),
        answers={200: answer_json(component("RemovedCamera"), "It is gone.")},
        errors=(ErrorCode.NOT_FOUND, ErrorCode.BAD_REQUEST),
    ),
)
