"""How long to wait before the broker is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from privface_backend.domain import backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff(backoff.Backoff):
    """``refused``: the wait after a broker that answered and didn't let us in."""

    refused: float = 60.0
