"""One number between 0 and 1 for programs that compare it with a threshold of their own.

Whoever the decision names stands in the upper band and nobody else does, whatever their score: such a threshold can
make PrivFace more careful, never less. Inside its band the number rises with the evidence, as the probability does that
it is this person where one face in a hundred that comes by is theirs.
"""

from __future__ import annotations

from math import log10
from typing import Final

NAMED: Final = 0.8
"""The confidence in whoever the decision names lies above this."""

UNNAMED: Final = 0.35
"""The confidence in anybody else lies below this."""

_ODDS_AGAINST: Final = 99.0


def confidence(evidence: float | None, *, named: bool) -> float:
    """The confidence in somebody.

    ``evidence``: decimal logarithm of the likelihood ratio, as in ``Ranked``; None: they were not compared.
    ``named``: the decision names them.
    """
    share = 0.0 if evidence is None else 1.0 / (1.0 + 10.0 ** (log10(_ODDS_AGAINST) - evidence))
    return NAMED + (1.0 - NAMED) * share if named else UNNAMED * share
