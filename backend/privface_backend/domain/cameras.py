"""Cameras' names."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_CAMERA_NAME: Final = 64


def camera_name_problem(name: str) -> str | None:
    """What is wrong with a camera's name, as what it must be; None: it can be one."""
    if not 0 < len(name) <= LONGEST_CAMERA_NAME or name != name.strip() or name in {".", ".."}:
        return f"1 to {LONGEST_CAMERA_NAME} characters, without space around them"
    if any(letter in "/\\" or unicodedata.category(letter)[0] == "C" for letter in name):
        return "without slashes and control characters"
    return None
