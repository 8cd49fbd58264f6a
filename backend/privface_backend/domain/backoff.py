"""How long to wait before a connection that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential with full jitter: a random part of ``first``, twice, four times … that, at most ``ceiling`` seconds.

    ``refused``: the wait after a peer that answered and didn't let us in. ``settled``: a connection that held
    that long starts over at ``first``.
    """

    first: float = 1.0
    ceiling: float = 60.0
    refused: float = 60.0
    settled: float = 10.0
    fraction: Callable[[], float] = field(default=random.random, repr=False)

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, 1 or more."""
        return self.fraction() * min(self.ceiling, self.first * 2.0 ** min(failures - 1, 30))
