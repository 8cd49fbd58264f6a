"""What a viewer could still see in a blurred face, by r: figures that were measured, kept in this one place.

The same blur against two: somebody who searches a stranger's blurred face among clear pictures of many people, and the
household that the face belongs to. Recognizer: SFace with five-point alignment, no restoration before it; a better
attacker finds more. Whoever measures anew changes the table and its source together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MEASURED: Final = "2026-11-28"
GALLERY: Final = 963
SOURCE: Final = (
    f"SFace, gaussian blur, 250-pixel press pictures, {MEASURED}: found is the rank-1 rate of 361 people's blurred "
    f"pictures in a gallery of clear ones of {GALLERY}; named is TPIR at FPIR 1 % of ten enrolled people"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Shares, 0 to 1, of faces at strength ``relative``. ``found``: by an attacker, first among clear pictures of
    ``GALLERY`` people; ``named``: of those enrolled, by their own household. ``at_most``: so strong a blur wasn't
    measured; these are of the strongest that was."""

    relative: float
    found: float
    named: float
    at_most: bool = False


TABLE: Final[Sequence[Exposure]] = (
    Exposure(relative=0.0, found=0.983, named=1.0),
    Exposure(relative=0.018, found=0.978, named=1.0),
    Exposure(relative=0.031, found=0.95, named=1.0),
    Exposure(relative=0.044, found=0.864, named=0.972),
    Exposure(relative=0.057, found=0.59, named=0.771),
)


def exposure(relative: float) -> Exposure:
    """The shares at a strength, between the two rows next to it; beyond the last row those of the last, as a bound."""
    for low, high in pairwise(TABLE):
        if relative <= high.relative:
            part = (max(relative, low.relative) - low.relative) / (high.relative - low.relative)
            return Exposure(
                relative=relative,
                found=low.found + part * (high.found - low.found),
                named=low.named + part * (high.named - low.named),
            )
    return Exposure(relative=relative, found=TABLE[-1].found, named=TABLE[-1].named, at_most=True)
