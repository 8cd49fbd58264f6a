"""Calibration over REST: measure the household's own gallery, see the curve, apply it to cameras."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from privface_backend.calibration.applying import (
    Adviser,
    CameraAdvice,
    applicable,
    check_face_width,
    choose_cameras,
)
from privface_backend.calibration.curve import DEFAULT_FLOOR, Calibration
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, Scope
from privface_backend.rest.disconnects import until_gone
from privface_backend.rest.documents import check_camera_name, read_object
from privface_backend.rest.operations import API, JSON, Body, Operation, answer_json, component
from privface_backend.rest.people import STORAGE_ERRORS
from privface_backend.rest.services import SERVICES

_MOST_NAMES: Final = 256


async def show_calibration(request: web.Request) -> web.Response:
    return web.json_response(await _describe(request, await request.app[SERVICES].calibrator.last()))


async def calibrate(request: web.Request) -> web.Response:
    document = await read_object(request)
    floor = _read_number(document, "floor", DEFAULT_FLOOR)
    await request.app[SERVICES].gallery.poll()
    async with until_gone(request):
        made = await request.app[SERVICES].calibrator.calibrate(floor)
        return web.json_response(await _describe(request, made))
    raise ConnectionResetError("the caller hung up")


async def apply_calibration(request: web.Request) -> web.Response:
    document = await read_object(request)
    services, width = request.app[SERVICES], None
    if document.get("face_width") is not None:
        width = _read_number(document, "face_width", 0.0)
        check_face_width(width)
    names = _read_names(document)
    adviser = _adviser(request)
    await services.gallery.poll()
    level = applicable(await request.app[SERVICES].calibrator.current())
    cameras = choose_cameras(services.cameras, names, services.recognition.matchers.cameras)
    advice = await adviser.advise(cameras, level, width)
    for one in advice:
        if one.proposed is not None:
            services.cameras.set_parameter(one.camera, one.proposed)
    return web.json_response({"relative": round(level.relative, 5), "cameras": [_after(one) for one in advice]})


def _after(advice: CameraAdvice) -> dict[str, object]:
    """How a camera stands once its advice was followed."""
    return {
        "camera": advice.camera,
        "before": advice.parameter,
        "parameter": advice.parameter if advice.proposed is None else advice.proposed,
        "face_width": None if advice.face_width is None else round(advice.face_width, 1),
        "left_out": None if advice.left_out is None else advice.left_out.value,
    }


def _adviser(request: web.Request) -> Adviser:
    recognition = request.app[SERVICES].recognition
    default = recognition.rules.default_privacy
    return Adviser(
        widths=request.app[SERVICES].face_widths,
        anonymizer=recognition.process.engines.anonymizer(default.method),
        default=default,
    )


async def _describe(request: web.Request, last: Calibration | None) -> dict[str, object]:
    enrolled = request.app[SERVICES].calibrator.enrolled()
    holds = last is not None and last.enrolled.gallery == enrolled.gallery
    chosen = last.chosen if last is not None and holds else None
    level = chosen if chosen is not None and chosen.relative > 0 else None
    services = request.app[SERVICES]
    cameras = choose_cameras(services.cameras, None, services.recognition.matchers.cameras)
    advice = await _adviser(request).advise(cameras, level)
    return {
        "enrolled": enrolled.to_dict(),
        "current": holds,
        "result": None if last is None else last.to_dict(),
        "cameras": [one.to_dict() for one in sorted(advice, key=lambda one: one.camera)],
    }


def _read_number(document: dict[str, Any], key: str, default: float) -> float:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, f"{key} can't be used.", allowed="a number")
    return float(value)


def _read_names(document: dict[str, Any]) -> list[str] | None:
    names = document.get("cameras")
    if names is None:
        return None
    if (
        not isinstance(names, list)
        or not 0 < len(names) <= _MOST_NAMES
        or not all(isinstance(name, str) for name in names)
    ):
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "cameras can't be used.", allowed="a list of cameras' names")
    return [check_camera_name(name) for name in names]


OPERATIONS: Final = (
    Operation(
        method="GET",
        path=f"{API}/calibration",
        handler=show_calibration,
        tag="Calibration",
        summary="The last calibration, whether it still holds, and what it comes to for each camera",
        scope=Scope.IDENTIFY,
        answers={200: answer_json(component("Calibration"), "What there is to calibrate with, and the last result.")},
        errors=(ErrorCode.WEIGHTS_MISSING, ErrorCode.STORAGE_FAILED),
    ),
    Operation(
        method="POST",
        path=f"{API}/calibration",
        handler=calibrate,
        tag="Calibration",
        summary="Measure how strongly cameras may blur before the household's own people are no longer known",
        description="Each enrolled face is searched among the others, and as a stranger among the other people, at "
        "every strength that there are templates of. It takes seconds, beside recognition, and one is made at a time. "
        "No camera is changed by it.",
        scope=Scope.ENROLL,
        body=Body(content={JSON: component("CalibrationOrder")}),
        answers={200: answer_json(component("Calibration"), "The new result.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.TOO_FEW_FACES,
            ErrorCode.OVERLOADED,
            ErrorCode.WEIGHTS_MISSING,
            ErrorCode.TIMEOUT,
            *STORAGE_ERRORS,
        ),
    ),
    Operation(
        method="PUT",
        path=f"{API}/calibration/apply",
        handler=apply_calibration,
        tag="Calibration",
        summary="Set the cameras' privacy parameters to what the calibration chose",
        description="For the width that faces usually have before each camera, or for face_width. A camera of which "
        "too little is known keeps its parameter, and left_out says why.",
        scope=Scope.ADMIN,
        body=Body(content={JSON: component("CalibrationUse")}),
        answers={200: answer_json(component("AppliedCalibration"), "The cameras as they are now.")},
        errors=(
            ErrorCode.BAD_REQUEST,
            ErrorCode.BODY_TOO_LARGE,
            ErrorCode.NOT_FOUND,
            ErrorCode.SEALED,
            ErrorCode.NOT_CALIBRATED,
            ErrorCode.WEIGHTS_MISSING,
            *STORAGE_ERRORS,
        ),
    ),
)
