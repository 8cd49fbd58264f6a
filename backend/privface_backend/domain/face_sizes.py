"""How large the faces before a camera are: a histogram that forgets, of bounded size, without identities. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

SMALLEST: Final = 8.0
LARGEST: Final = 640.0
BINS: Final = 24
"""From ``SMALLEST`` to ``LARGEST`` pixels, each as much larger than the one before: a fifth."""

MEMORY_FACES: Final = 1000.0
"""Beyond so many faces all counts are halved: what was seen a thousand faces ago counts half."""
HALF_LIFE_DAYS: Final = 7.0
_LONGEST_GAP_DAYS: Final = 1.0
_SPAN: Final = math.log(LARGEST / SMALLEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSizes:
    """Counts of face widths, in pixels of the working size; ``last``: when the last face was seen, in seconds."""

    counts: tuple[float, ...] = (0.0,) * BINS
    last: float | None = None

    @property
    def total(self) -> float:
        """How many faces it stands on; fewer than were seen, since old ones fade."""
        return sum(self.counts)

    def seen(self, width: float, now: float) -> FaceSizes:
        """With one more face, ``width`` pixels wide, at ``now`` (seconds of any clock).

        Counts halve over a week of use: a day without a face takes no more than one day's share, so that a camera that
        nobody passes for a month hasn't forgotten everything.
        """
        days = 0.0 if self.last is None else (now - self.last) / 86_400
        kept = 0.5 ** (min(max(days, 0.0), _LONGEST_GAP_DAYS) / HALF_LIFE_DAYS)
        if self.total >= MEMORY_FACES:
            kept *= 0.5
        counts = [count * kept for count in self.counts]
        counts[_bin_of(width)] += 1.0
        return FaceSizes(counts=tuple(counts), last=now)

    def quantile(self, share: float) -> float:
        """The width that ``share`` (0 to 1) of the faces don't exceed, between the sides of a bin by its logarithm.

        Raises:
            ValueError: there is no face yet.
        """
        total = self.total
        if total <= 0:
            raise ValueError("no face was seen yet")
        wanted = share * total
        for place, (upto, count) in enumerate(zip(accumulate(self.counts), self.counts, strict=True)):
            if count > 0 and upto >= wanted - 1e-9:
                inside = max(0.0, wanted - (upto - count)) / count
                return SMALLEST * math.exp(_SPAN * (place + min(1.0, inside)) / BINS)
        return LARGEST


def _bin_of(width: float) -> int:
    if not width > SMALLEST:
        return 0
    return min(BINS - 1, int(BINS * math.log(min(width, LARGEST) / SMALLEST) / _SPAN))


def read_counts(counts: Sequence[float]) -> tuple[float, ...]:
    """Counts as they were kept.

    Raises:
        ValueError: they aren't such counts.
    """
    read = tuple(float(count) for count in counts)
    if len(read) != BINS or not all(math.isfinite(count) and count >= 0 for count in read):
        raise ValueError("expected the counts of face widths")
    return read
