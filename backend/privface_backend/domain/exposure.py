"""What a viewer could still see in an anonymized face, by method and r: figures that were measured, kept in this one
place.

The same frames against two: somebody who has clear pictures of many people, and undoes the anonymizing as well as the
attacks of ``privface evaluate attack`` do; and the household that the face belongs to. Detector YuNet, recognizer SFace
with five-point alignment. Whoever measures anew changes the tables and their source together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from privface_backend.domain.privacy import CLEAR_METHOD, base_method

MEASURED: Final = "2026-11-28"
GALLERY: Final = 160
SOURCE: Final = (
    f"SFace, 250-pixel press pictures, {MEASURED}: found is the rank-1 rate of the best attack on 50 people's pictures "
    f"in a gallery of clear ones of {GALLERY}; named is TPIR at FPIR 1 % of ten enrolled people; pixelate+noise with "
    "epsilon 5 and 16 pixels"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Shares, 0 to 1, of faces at strength ``relative``. ``found``: by an attacker, first among clear pictures of
    ``GALLERY`` people; ``named``: of those enrolled, by their own household. ``at_most``: so strong anonymizing wasn't
    measured; these are of the strongest that was."""

    relative: float
    found: float
    named: float
    at_most: bool = False


TABLES: Final[Mapping[str, Sequence[Exposure]]] = {
    "gaussian": (
        Exposure(relative=0.0, found=0.98, named=1.0),
        Exposure(relative=0.02, found=0.98, named=1.0),
        Exposure(relative=0.035, found=0.98, named=1.0),
        Exposure(relative=0.05, found=0.98, named=0.872),
        Exposure(relative=0.07, found=0.78, named=0.55),
        Exposure(relative=0.1, found=0.54, named=0.165),
    ),
    "pixelate": (
        Exposure(relative=0.0, found=0.98, named=1.0),
        Exposure(relative=0.02, found=0.94, named=0.982),
        Exposure(relative=0.035, found=0.5, named=0.633),
        Exposure(relative=0.05, found=0.14, named=0.147),
        Exposure(relative=0.07, found=0.12, named=0.073),
        Exposure(relative=0.1, found=0.06, named=0.018),
    ),
    "pixelate+noise": (
        Exposure(relative=0.0, found=0.98, named=1.0),
        Exposure(relative=0.02, found=0.16, named=0.028),
        Exposure(relative=0.035, found=0.28, named=0.385),
        Exposure(relative=0.05, found=0.14, named=0.073),
        Exposure(relative=0.07, found=0.08, named=0.073),
        Exposure(relative=0.1, found=0.08, named=0.009),
    ),
}
"""By the method that blurs; a composition is as its blur is."""


def exposure(method: str, relative: float) -> Exposure | None:
    """The shares at a strength, between the two rows next to it; beyond the last row those of the last, as a bound.
    None: the method was not measured."""
    table = TABLES["gaussian"][:1] if method == CLEAR_METHOD else TABLES.get(base_method(method))
    if table is None:
        return None
    if relative <= table[0].relative:
        return table[0]
    for low, high in pairwise(table):
        if relative <= high.relative:
            part = (max(relative, low.relative) - low.relative) / (high.relative - low.relative)
            return Exposure(
                relative=relative,
                found=low.found + part * (high.found - low.found),
                named=low.named + part * (high.named - low.named),
            )
    return Exposure(relative=relative, found=table[-1].found, named=table[-1].named, at_most=True)
