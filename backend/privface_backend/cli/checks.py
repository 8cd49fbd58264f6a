"""What a check of ``privface doctor`` says, and which parts of PrivFace are installed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Final

from privface_backend.errors import PrivFaceError

# What only the extra `serve` brings.
_OF_SERVE: Final = ("deepface", "onnxruntime")


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; ``hint``: what to type."""

    name: str
    verdict: Verdict
    text: str
    hint: str = ""


def failed(name: str, error: PrivFaceError, hint: str = "") -> Check:
    """The check that an error ended."""
    return Check(name=name, verdict=Verdict.PROBLEM, text=error.message, hint=hint)


def can_serve() -> bool:
    """Whether all of PrivFace is installed, not the bridge alone; nothing is imported."""
    return all(find_spec(module) is not None for module in _OF_SERVE)
