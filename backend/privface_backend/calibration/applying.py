"""From the chosen strength to each camera's own parameter, and setting it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from privface_backend.calibration.curve import Calibration, Level
from privface_backend.calibration.strength import FaceWidths, parameter_for
from privface_backend.domain.cameras import SealedCameras
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.cameras import Camera, Cameras
from privface_backend.plugins.ports import Anonymizer
from privface_backend.protocol import ErrorCode, Privacy

WIDTHS = (8.0, 640.0)
"""The narrowest and the widest face that is believed, in pixels of a frame at working size."""


class LeftOut(StrEnum):
    """Why a camera's parameter stays. ``NO_FACE_WIDTH``: too few faces were seen; ``WOULD_BE_CLEAR``: faces are so
    small there that no blur is weak enough."""

    NO_FACE_WIDTH = "no_face_width"
    WOULD_BE_CLEAR = "would_be_clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraAdvice:
    """A camera, and the parameter that the calibration comes to there. ``parameter``: the one in force; ``relative``:
    its strength r on a face of ``face_width`` pixels; ``proposed``: None where nothing can be said."""

    camera: str
    parameter: int
    face_width: float | None
    relative: float | None
    proposed: int | None = None
    left_out: LeftOut | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "camera": self.camera,
            "parameter": self.parameter,
            "face_width": None if self.face_width is None else round(self.face_width, 1),
            "relative": None if self.relative is None else round(self.relative, 5),
            "proposed": self.proposed,
            "left_out": None if self.left_out is None else self.left_out.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Adviser:
    """Says what a strength comes to for cameras. ``default``: the privacy of cameras without a parameter of their own;
    ``anonymizer``: its method's."""

    widths: FaceWidths
    anonymizer: Anonymizer
    default: Privacy

    async def advise(
        self, cameras: Iterable[Camera], level: Level | None, face_width: float | None = None
    ) -> tuple[CameraAdvice, ...]:
        """For each camera. ``face_width``: of all of them, in place of what was seen there."""
        return tuple([await self._advise(camera, level, face_width) for camera in cameras])

    async def _advise(self, camera: Camera, level: Level | None, face_width: float | None) -> CameraAdvice:
        width = face_width if face_width is not None else await self.widths.typical(camera.name)
        parameter = self.default.parameter if camera.parameter is None else camera.parameter
        proposed, left_out = None, None
        if level is not None and width is None:
            left_out = LeftOut.NO_FACE_WIDTH
        elif level is not None and width is not None:
            proposed = parameter_for(self.anonymizer, level.relative, width)
            if self.anonymizer.sigma(proposed) <= 0:
                proposed, left_out = None, LeftOut.WOULD_BE_CLEAR
        return CameraAdvice(
            camera=camera.name,
            parameter=parameter,
            face_width=width,
            relative=None if width is None else self.anonymizer.sigma(parameter) / width,
            proposed=proposed,
            left_out=left_out,
        )


def applicable(calibration: Calibration | None) -> Level:
    """The chosen blur of a calibration that still holds.

    Raises:
        PrivFaceError: ``not_calibrated``: there is none.
    """
    if calibration is None:
        raise PrivFaceError(
            ErrorCode.NOT_CALIBRATED,
            "There is no calibration of the people who are enrolled now.",
            allowed="after POST /api/v1/calibration, or `privface calibrate`",
        )
    chosen = calibration.chosen
    if chosen is None or chosen.relative <= 0:
        raise PrivFaceError(
            ErrorCode.NOT_CALIBRATED,
            "No blur keeps the floor for the people who are enrolled.",
            allowed="a calibration with a lower floor, or with more and better pictures of each person",
        )
    return chosen


def choose_cameras(cameras: Cameras, names: Collection[str] | None, sealed: SealedCameras) -> Sequence[Camera]:
    """The cameras of these names; None: all but those that are ``sealed``, as nothing of them is anonymized.

    Raises:
        PrivFaceError: ``not_found``; ``sealed``.
    """
    known = {camera.name: camera for camera in cameras.all() if camera.name not in sealed}
    if names is not None and any(name not in known for name in names):
        if any(camera.name in names and camera.name in sealed for camera in cameras.all()):
            raise PrivFaceError(ErrorCode.SEALED, "A sealed camera has no privacy parameter.")
        raise PrivFaceError(ErrorCode.NOT_FOUND, "No frame came from a camera of that name.")
    return [known[name] for name in sorted(known if names is None else set(names))]


def check_face_width(width: float) -> None:
    """Raises:
    PrivFaceError: ``bad_request``: no face is so wide.
    """
    narrowest, widest = WIDTHS
    if not narrowest <= width <= widest:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "That width of a face can't be used.",
            allowed=f"{narrowest:g} to {widest:g} pixels of a picture 640 pixels wide",
        )
