"""The cameras that frames came from, and what was set for each: whether to look, and how strongly to anonymize."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NotRequired, TypedDict

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode, FrameSource

MOST_CAMERAS: Final = 256
_ASKABLE: Final = frozenset({FrameSource.MQTT, FrameSource.FRIGATE, FrameSource.LINK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera's settings. ``parameter``: its own privacy parameter; None: the default's. ``target``: the r that is
    advised for it, 0 for none; None: that of the settings. ``askable``: a bridge or a configured source sends its
    frames, which can be asked over MQTT for one now."""

    name: str
    enabled: bool = True
    parameter: int | None = None
    target: float | None = None
    askable: bool = False
    frames: int = 0
    skipped: int = 0


class CameraSettings(TypedDict):
    """What is kept of a camera from one run to the next."""

    enabled: bool
    parameter: int | None
    askable: NotRequired[bool]
    target: NotRequired[float | None]


class Cameras:
    """All cameras by name, up to a limit. A camera is made by its first frame that is accepted, or by setting it."""

    def __init__(
        self,
        on_change: Callable[[Camera], None] = lambda _camera: None,
        on_removal: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._cameras: dict[str, Camera] = {}
        self._on_change = on_change
        self._on_removal = on_removal

    def all(self) -> Iterable[Camera]:
        return tuple(self._cameras.values())

    def get(self, name: str) -> Camera:
        """The camera called ``name``; of a name that is new, the one that would be made.

        Raises:
            PrivFaceError: ``overloaded``: it is new, and there are too many.
        """
        if (camera := self._cameras.get(name)) is not None:
            return camera
        if len(self._cameras) >= MOST_CAMERAS:
            raise PrivFaceError(
                ErrorCode.OVERLOADED,
                "There are too many cameras.",
                allowed=f"at most {MOST_CAMERAS}; one that is gone can be removed",
            )
        return Camera(name=name)

    def add(self, name: str) -> Camera:
        """The camera called ``name``, made if it is new.

        Raises:
            PrivFaceError: as ``get``.
        """
        camera = self.get(name)
        if name not in self._cameras:
            self._on_change(self._put(camera))
        return camera

    def count_frame(self, name: str) -> None:
        """Count a frame that was accepted, which makes a new camera.

        Raises:
            PrivFaceError: as ``get``.
        """
        camera = self.add(name)
        self._put(replace(camera, frames=camera.frames + 1))

    def count_skipped(self, name: str) -> None:
        """Count a frame that was not looked at; of a camera that isn't known it changes nothing."""
        if (camera := self._cameras.get(name)) is not None:
            self._put(replace(camera, skipped=camera.skipped + 1))

    def note_source(self, name: str, source: FrameSource) -> None:
        """Note the way that an accepted frame of a camera took."""
        camera = self.add(name)
        if source in _ASKABLE and not camera.askable:
            self._on_change(self._put(replace(camera, askable=True)))

    def enable(self, name: str, *, enabled: bool) -> None:
        self._on_change(self._put(replace(self.get(name), enabled=enabled)))

    def set_parameter(self, name: str, parameter: int | None) -> None:
        self._on_change(self._put(replace(self.get(name), parameter=parameter)))

    def set_target(self, name: str, target: float | None) -> None:
        self._on_change(self._put(replace(self.get(name), target=target)))

    def restore(self, settings: Mapping[str, CameraSettings]) -> None:
        """Take over how cameras were set in an earlier run."""
        for name, kept in settings.items():
            camera = Camera(
                name=name,
                enabled=kept["enabled"],
                parameter=kept["parameter"],
                askable=kept.get("askable", False),
                target=kept.get("target"),
            )
            self._on_change(self._put(camera))

    def settings(self) -> dict[str, CameraSettings]:
        """What is kept of the cameras, in the order that they came in."""
        return {
            camera.name: CameraSettings(
                enabled=camera.enabled, parameter=camera.parameter, askable=camera.askable, target=camera.target
            )
            for camera in self._cameras.values()
        }

    def remove(self, name: str) -> None:
        """Forget a camera; one that isn't known changes nothing."""
        if self._cameras.pop(name, None) is not None:
            self._on_removal(name)

    def _put(self, camera: Camera) -> Camera:
        self._cameras[camera.name] = camera
        return camera
