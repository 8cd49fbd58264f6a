"""The picture of ``privface show``: one frame at several strengths side by side, each face's r written beside it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from privface_backend.domain.faces import DetectedFace
from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_HEAD: Final = 26
_GAP: Final = 4
_YELLOW, _WHITE, _BLACK = (0, 220, 255), (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One part of the picture. ``sigma``: of its anonymization, in pixels."""

    title: str
    pixels: Pixels = field(repr=False)
    sigma: float


def draw(panels: Sequence[Panel], faces: Sequence[DetectedFace]) -> Pixels:
    """All panels side by side, in the order given: upright ones in a row, wide ones two by two. ``faces`` in their
    pixels."""
    height, width = panels[0].pixels.shape[:2]
    columns = 2 if width > height else len(panels)
    rows = -(-len(panels) // columns)
    across, down = width + _GAP, height + _HEAD + _GAP
    drawn = np.full((rows * down - _GAP, columns * across - _GAP, 3), 255, np.uint8)
    for number, panel in enumerate(panels):
        top, left = number // columns * down, number % columns * across
        drawn[top : top + height + _HEAD, left : left + width] = _draw_panel(panel, faces)
    return drawn


def _draw_panel(panel: Panel, faces: Sequence[DetectedFace]) -> Pixels:
    drawn = cv2.copyMakeBorder(panel.pixels, _HEAD, 0, 0, 0, cv2.BORDER_CONSTANT, value=_WHITE)
    cv2.putText(drawn, panel.title, (4, 18), _FONT, 0.5, _BLACK, 1, cv2.LINE_AA)
    for face in faces:
        left, top = round(face.box.x), round(face.box.y) + _HEAD
        right, bottom = left + round(face.box.width), top + round(face.box.height)
        cv2.rectangle(drawn, (left, top), (right, bottom), _YELLOW, 1)
        text = f"r = {panel.sigma / max(1.0, face.width):.3f}"
        place = (max(0, left), top - 5 if top - 5 > _HEAD + 10 else min(drawn.shape[0] - 4, bottom + 14))
        cv2.putText(drawn, text, place, _FONT, 0.45, _BLACK, 3, cv2.LINE_AA)
        cv2.putText(drawn, text, place, _FONT, 0.45, _YELLOW, 1, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)


def check_output(path: Path) -> None:
    """Refuse a name that the picture can't be written under.

    Raises:
        PrivFaceError: ``bad_request``.
    """
    if path.suffix.lower() != ".png" or path.is_dir() or not path.absolute().parent.is_dir():
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            "The picture can't be written there.",
            allowed="a file whose name ends in .png, in a directory that is there",
        )


def write_private(path: Path, pixels: Pixels) -> None:
    """Write a PNG that only its owner can read, in the place of what is there.

    Raises:
        PrivFaceError: ``storage_failed``.
    """
    done, data = cv2.imencode(".png", pixels)
    if not done:
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, "The picture can't be made.")
    try:
        # Made for its owner alone, and complete before it has its name.
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=".privface-", suffix=".png")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.tobytes())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise PrivFaceError(ErrorCode.STORAGE_FAILED, f"The picture can't be written: {error.strerror}.") from None
