"""The cameras that frames came from, and what was set for each: whether to look, and how strongly to anonymize."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypedDict

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

MOST_CAMERAS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera's settings. ``parameter``: its own privacy parameter; None: the default's."""

    name: str
    enabled: bool = True
    parameter: int | None = None
    frames: int = 0
    skipped: int = 0


class CameraSettings(TypedDict):
    """What is kept of a camera from one run to the next."""

    enabled: bool
    parameter: int | None


class Cameras:
    """All cameras by name; a new name makes a camera, up to a limit."""

    def __init__(self, on_change: Callable[[Camera], None] = lambda _camera: None) -> None:
        self._cameras: dict[str, Camera] = {}
        self._on_change = on_change

    def all(self) -> Iterable[Camera]:
        return tuple(self._cameras.values())

    def get(self, name: str) -> Camera:
        """The camera called ``name``.

        Raises:
            PrivFaceError: ``overloaded``: there are too many.
        """
        camera = self._cameras.get(name)
        if camera is None:
            if len(self._cameras) >= MOST_CAMERAS:
                raise PrivFaceError(
                    ErrorCode.OVERLOADED, "There are too many cameras.", allowed=f"at most {MOST_CAMERAS}"
                )
            camera = self._put(Camera(name=name))
            self._on_change(camera)
        return camera

    def count(self, name: str, *, skipped: bool) -> None:
        camera = self.get(name)
        self._put(replace(camera, frames=camera.frames + (not skipped), skipped=camera.skipped + skipped))

    def enable(self, name: str, *, enabled: bool) -> None:
        self._on_change(self._put(replace(self.get(name), enabled=enabled)))

    def set_parameter(self, name: str, parameter: int | None) -> None:
        self._on_change(self._put(replace(self.get(name), parameter=parameter)))

    def restore(self, settings: Mapping[str, CameraSettings]) -> None:
        """Take over how cameras were set in an earlier run."""
        for name, kept in settings.items():
            self._on_change(self._put(Camera(name=name, enabled=kept["enabled"], parameter=kept["parameter"])))

    def settings(self) -> dict[str, CameraSettings]:
        """How the cameras are set that differ from a new one."""
        return {
            camera.name: CameraSettings(enabled=camera.enabled, parameter=camera.parameter)
            for camera in self._cameras.values()
            if not camera.enabled or camera.parameter is not None
        }

    def _put(self, camera: Camera) -> Camera:
        self._cameras[camera.name] = camera
        return camera
