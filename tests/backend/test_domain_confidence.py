"""The one number that other engines' callers compare with a threshold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.confidence import NAMED, UNNAMED, confidence

EVIDENCE = st.floats(-6, 6)


@given(EVIDENCE, EVIDENCE)
def test_whoever_is_named_stands_above_everybody_who_is_not(named: float, unnamed: float) -> None:
    assert 0.0 <= confidence(unnamed, named=False) < UNNAMED < 0.4
    assert 0.6 < NAMED < confidence(named, named=True) <= 1.0


@given(EVIDENCE, EVIDENCE, st.booleans())
def test_it_never_falls_with_the_evidence(one: float, other: float, named: bool) -> None:
    low, high = sorted((one, other))
    assert confidence(low, named=named) <= confidence(high, named=named)


@pytest.mark.parametrize(("evidence", "expected"), [(-6, 0.8), (1, 0.8183), (2, 0.9005), (3, 0.982), (6, 1.0)])
def test_how_it_spreads_over_those_who_are_named(evidence: float, expected: float) -> None:
    assert confidence(evidence, named=True) == pytest.approx(expected, abs=1e-4)


def test_who_was_not_compared_has_none() -> None:
    assert confidence(None, named=False) == 0.0
