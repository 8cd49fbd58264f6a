"""Cameras' names, and which cameras are sealed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from privface_backend.domain.people import folded_name

LONGEST_CAMERA_NAME: Final = 64


def camera_name_problem(name: str) -> str | None:
    """What is wrong with a camera's name, as what it must be; None: it can be one."""
    if not 0 < len(name) <= LONGEST_CAMERA_NAME or name != name.strip() or name in {".", ".."}:
        return f"1 to {LONGEST_CAMERA_NAME} characters, without space around them"
    if any(letter in "/\\" or unicodedata.category(letter)[0] == "C" for letter in name):
        return "without slashes and control characters"
    return None


class SealedCameras:
    """Of which cameras no picture is taken, only what a user side sealed. ``everything``: of all, whatever their names
    are. A name that only differs in case, or in the form of its accents, is the same camera's here."""

    def __init__(self, names: Iterable[str] = (), *, everything: bool = False) -> None:
        self.names: Final = tuple(names)
        self.everything: Final = everything
        self._folded: Final = frozenset(folded_name(name) for name in self.names)

    def __contains__(self, camera: object) -> bool:
        return self.everything or (isinstance(camera, str) and folded_name(camera) in self._folded)

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)


NONE_SEALED: Final = SealedCameras()
