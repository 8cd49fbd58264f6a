"""Engines as commands name them."""

from __future__ import annotations

from dataclasses import replace

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from privface_backend.settings import Settings
from privface_backend.settings_sections import EngineSettings


def with_engine(settings: Settings, engine: str | None) -> Settings:
    """The settings with RECOGNIZER, DETECTOR+RECOGNIZER or DETECTOR+RECOGNIZER+ALIGNER in place of those set.

    Raises:
        PrivFaceError: ``engine_unknown``: it has more parts.
    """
    if engine is None:
        return settings
    parts = engine.split("+")
    names = {1: ("recognizer",), 2: ("detector", "recognizer"), 3: ("detector", "recognizer", "aligner")}
    if len(parts) not in names:
        raise PrivFaceError(
            ErrorCode.ENGINE_UNKNOWN,
            "That names no engine.",
            allowed="RECOGNIZER, DETECTOR+RECOGNIZER or DETECTOR+RECOGNIZER+ALIGNER",
        )
    chosen: EngineSettings = replace(settings.engines, **dict(zip(names[len(parts)], parts, strict=True)))
    return replace(settings, engines=chosen)
