"""How an engine is declared: as data, resolved late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EngineKind(StrEnum):
    """What an engine does; one port (see ``ports``) and one contract test suite a kind."""

    DETECTOR = "detector"
    ALIGNER = "aligner"
    RECOGNIZER = "recognizer"
    ANONYMIZER = "anonymizer"
    SOURCE = "source"
    SINK = "sink"
    GALLERY = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """An engine that exists, installed or not.

    ``factory`` is ``"module:attribute"``, called with an ``EngineContext`` (and ``arguments`` as keywords).
    ``needs`` are the top-level modules without which it can't run; ``extra`` is the extra of
    ``privface-backend`` that brings them; ``weights`` the names, in the weights store, of its files.
    """

    kind: EngineKind
    name: str
    factory: str
    needs: tuple[str, ...] = ()
    extra: str | None = None
    weights: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)
    summary: str = ""
