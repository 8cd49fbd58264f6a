"""``privface show``: what a viewer could see of the faces in a frame of the user's own, in words and as a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from privface_backend.advising import recall_advice
from privface_backend.bridge.adaptive import Advised, follow, limits_of, parameter_at_least
from privface_backend.bridge.bridge import picture_limits
from privface_backend.bridge.settings import CameraFeed
from privface_backend.bridge.sources import SourceOpener
from privface_backend.bridge.strength import Strength
from privface_backend.cli.files import read
from privface_backend.cli.invocation import Invocation
from privface_backend.cli.logs import set_up_logging
from privface_backend.cli.output import say, say_json
from privface_backend.cli.show_picture import Panel, check_output, draw, write_private
from privface_backend.core import open_core, utc_now
from privface_backend.domain.exposure import GALLERY, MEASURED, TABLES, exposure
from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels, working_size
from privface_backend.domain.geometry import Size
from privface_backend.domain.privacy import BLUR_METHOD, CLEAR_METHOD, base_method, sigma_of_kernel
from privface_backend.errors import PrivFaceError
from privface_backend.models.store import WeightsStore
from privface_backend.pipeline.anonymizing import anonymize, resize
from privface_backend.pipeline.pictures import decode_picture
from privface_backend.plugins.ports import Anonymizer, Detector, EngineContext
from privface_backend.plugins.registry import Registry
from privface_backend.plugins.spec import EngineKind
from privface_backend.protocol import Advice, AppliedBy, ErrorCode
from privface_backend.settings import Settings
from privface_backend.tasks import fetch_weights

_CAMERA_SECONDS: Final = 15.0
_ASIDE: Final = (0.5, 2.0)
"""Beside the strength that is asked for: half and twice as strong."""
_DATABASE: Final = "privface.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowWish:
    """What was typed. ``relative``: the r to show, of the largest face; ``parameter``: the method's own."""

    picture: Path | None = None
    camera: str | None = None
    method: str | None = None
    parameter: int | None = None
    relative: float | None = None
    output: Path | None = None
    clear: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A clear frame at the working size, in memory only, and its faces, the largest first."""

    pixels: Pixels = field(repr=False)
    faces: Sequence[DetectedFace]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Camera:
    """How a camera's frames are anonymized, and what is advised for it; without one, what is set for all."""

    own: Strength
    feed: CameraFeed | None
    advice: Advice | None
    anonymizer: Anonymizer


def run_show(call: Invocation, wish: ShowWish) -> None:
    """Show what is left of the faces at a strength."""
    set_up_logging("warning")
    _check(wish)
    asyncio.run(_show(call.settings, wish, as_json=call.json))


def _check(wish: ShowWish) -> None:
    if wish.picture is None and wish.camera is None:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "There is nothing to look at.", allowed="a picture, --camera NAME, or both"
        )
    if wish.parameter is not None and wish.relative is not None:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "One strength is enough.", allowed="--parameter or --relative")
    if wish.relative is not None and not 0 < wish.relative <= 1:
        raise PrivFaceError(ErrorCode.BAD_REQUEST, "r can't be that.", allowed="more than 0, at most 1")
    if wish.output is not None:
        check_output(wish.output)


async def _show(settings: Settings, wish: ShowWish, *, as_json: bool) -> None:
    registry, store = Registry(), WeightsStore(settings.models_dir)
    context = EngineContext(weights=store, options={"backend": settings.engines.backend})
    feed = None if wish.camera is None else settings.feeds.get(wish.camera)
    own = _own_strength(settings, wish, feed)
    anonymizer: Anonymizer = registry.create(EngineKind.ANONYMIZER, own.method, context)
    if wish.parameter is not None:
        anonymizer.validate(wish.parameter)
    clear = await _take_picture(settings, wish, feed, registry)
    await fetch_weights(store, registry.spec(EngineKind.DETECTOR, settings.engines.detector).weights)
    detector: Detector = registry.create(EngineKind.DETECTOR, settings.engines.detector, context)
    frame = _look(clear, detector, settings.pipeline.working_size)
    advice = None if wish.camera is None else await _recall(settings, wish.camera)
    camera = _Camera(own=own, feed=feed, advice=advice, anonymizer=anonymizer)
    strength = _choose(wish, camera, frame.faces[0].width)
    steps = _steps(strength.parameter, anonymizer)
    wanted = replace(settings.privacy.default, method=own.method)
    shown = {
        parameter: anonymize(frame.pixels, anonymizer, replace(wanted, parameter=parameter), AppliedBy.BACKEND).pixels
        for parameter in steps
    }
    if wish.output is not None:
        write_private(wish.output, draw(_panels(shown, anonymizer, frame, clear=wish.clear), frame.faces))
    report = [_describe(face, steps, anonymizer) for face in frame.faces]
    if as_json:
        output = None if wish.output is None else str(wish.output)
        told = None if advice is None else advice.to_dict()
        say_json(
            {"method": own.method, "chosen": strength.parameter, "faces": report, "advice": told, "output": output}
        )
    else:
        _say(report, strength, advice, wish)


def _own_strength(settings: Settings, wish: ShowWish, feed: CameraFeed | None) -> Strength:
    """What is set for the camera, or for all; of another method than that, its weakest.

    Raises:
        PrivFaceError: ``bad_privacy_parameter``: nothing is anonymized.
    """
    privacy = settings.privacy
    method, parameter = privacy.method, privacy.parameter
    if feed is not None:
        method, parameter = feed.strength(method, parameter)
    if wish.method not in {None, method}:
        method, parameter = wish.method or method, 1
    if method == CLEAR_METHOD:
        raise PrivFaceError(
            ErrorCode.BAD_PRIVACY_PARAMETER, "Nothing is anonymized by none.", allowed="--method with another method"
        )
    return Strength(method=method, parameter=parameter)


async def _take_picture(settings: Settings, wish: ShowWish, feed: CameraFeed | None, registry: Registry) -> Pixels:
    """The picture of the file, or one from the camera.

    Raises:
        PrivFaceError: it can't be read, or the camera gives none.
    """
    limits = picture_limits(settings)
    if wish.picture is not None:
        return decode_picture(read(wish.picture, limits.bytes), limits, settings.pipeline.working_size)
    if feed is None or wish.camera is None or feed.way in {"topic", "frigate"}:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "No picture can be fetched from that camera.",
            allowed="a camera of the settings with address, webcam or folder; or a picture's file beside --camera",
        )
    opener = SourceOpener(wish.camera, feed, registry=registry, limits=limits, clock=utc_now)
    source = await opener.open(seconds=_CAMERA_SECONDS, on_state=lambda _state: None)
    async with aclosing(source.frames()) as frames:
        async for frame in frames:
            return frame.pixels
    raise PrivFaceError(ErrorCode.LINK_UNREACHABLE, "The camera gave no picture.")


def _look(clear: Pixels, detector: Detector, longest: int) -> _Frame:
    """Bring the picture to the working size, and find its faces.

    Raises:
        PrivFaceError: ``no_face``.
    """
    height, width = clear.shape[:2]
    small = resize(clear, working_size(Size(width, height), longest))
    faces = sorted(detector.detect(small), key=lambda face: -face.width)
    if not faces:
        raise PrivFaceError(
            ErrorCode.NO_FACE, "No face was found in the picture.", allowed="an upright picture with a face in it"
        )
    return _Frame(pixels=small, faces=faces)


async def _recall(settings: Settings, camera: str) -> Advice | None:
    """What the backend of this data directory advises for the camera; None: nothing, or there is none."""
    if not (settings.data_dir / _DATABASE).is_file():
        return None
    async with open_core(settings) as core:
        return await recall_advice(settings, camera, core.storage, core.database)


def _choose(wish: ShowWish, camera: _Camera, width: float) -> Strength:
    """The strength to show: the one that was typed, else what the camera uses, else what is advised for it.

    ``width``: of the largest face.
    """
    own, advice, anonymizer = camera.own, camera.advice, camera.anonymizer
    if wish.parameter is not None:
        return replace(own, parameter=wish.parameter)
    if wish.relative is not None:
        return replace(own, parameter=parameter_at_least(wish.relative * width, anonymizer))
    if advice is None:
        return own
    if camera.feed is None:
        return replace(own, parameter=parameter_at_least(sigma_of_kernel(advice.kernel), anonymizer))
    return follow(own, limits_of(camera.feed, own), Advised(kernel=advice.kernel), anonymizer)


def _steps(parameter: int, anonymizer: Anonymizer) -> list[int]:
    """The strength, with one about half and one about twice as strong."""
    sigma = anonymizer.sigma(parameter)
    return sorted({parameter, *(anonymizer.parameter_for(sigma * share) for share in _ASIDE)})


def _panels(shown: dict[int, Pixels], anonymizer: Anonymizer, frame: _Frame, *, clear: bool) -> list[Panel]:
    word = "k" if anonymizer.name == BLUR_METHOD else anonymizer.name
    panels = [Panel(title="clear: stays with you", pixels=frame.pixels, sigma=0.0)] if clear else []
    return panels + [
        Panel(title=f"{word} = {parameter}", pixels=pixels, sigma=anonymizer.sigma(parameter))
        for parameter, pixels in shown.items()
    ]


def _describe(face: DetectedFace, steps: Sequence[int], anonymizer: Anonymizer) -> dict[str, Any]:
    strengths = []
    for parameter in steps:
        relative = anonymizer.sigma(parameter) / max(1.0, face.width)
        seen = exposure(anonymizer.name, relative)
        strengths.append(
            {
                "parameter": parameter,
                "relative": round(relative, 4),
                "found": None if seen is None else round(seen.found, 2),
                "named": None if seen is None else round(seen.named, 2),
                "at_most": seen is not None and seen.at_most,
            }
        )
    box = [round(side, 1) for side in (face.box.x, face.box.y, face.box.width, face.box.height)]
    return {"width": round(face.width, 1), "box_px": box, "strengths": strengths}


def _say(report: Sequence[dict[str, Any]], strength: Strength, advice: Advice | None, wish: ShowWish) -> None:
    if advice is not None:
        near = f"the near ones {advice.widths[2]:.0f} px wide"
        say(f"Advised for {wish.camera}: k = {advice.kernel}, from {advice.faces} faces, {near}")
    for number, face in enumerate(report, start=1):
        say(f"face {number}: {face['width']:.0f} px wide")
        for one in face["strengths"]:
            mark = "  <" if one["parameter"] == strength.parameter else ""
            say(f"  {strength.method} {one['parameter']:>3}: r = {one['relative']:.3f}{_shares(one)}{mark}")
    say()
    if base_method(strength.method) in TABLES:
        say(f"found: by somebody who undoes what can be undone, among {GALLERY} people whose clear pictures they have.")
        say(f"named: by the household that they are enrolled in. Measured {MEASURED}.")
    else:
        say(f"How many are found or named with {strength.method} was not measured.")
    say("A blurred face is never anonymous.")
    if wish.output is not None:
        say(f"Written, for your eyes only: {wish.output}")


def _shares(one: Mapping[str, Any]) -> str:
    """How many are found and named, in words; nothing where that was not measured."""
    if one["found"] is None:
        return ""
    bound = "at most " if one["at_most"] else ""
    return f"; of 100 such faces {bound}{100 * one['found']:.0f} are found, {100 * one['named']:.0f} named"
