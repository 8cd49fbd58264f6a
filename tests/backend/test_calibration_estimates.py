"""Intervals and the curve that never rises, against figures and definitions."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.calibration.estimates import Rate, Tally, estimate_rate, never_rising

SHARES = st.lists(st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.integers(1, 9)), min_size=1, max_size=8)


def rate(*tallies: tuple[int, int]) -> Rate:
    found = estimate_rate([Tally(hits=hits, attempts=attempts) for hits, attempts in tallies])
    assert found is not None
    return found


# The figures are those of R 4's prop.test without correction.
@pytest.mark.parametrize(
    ("hits", "attempts", "low", "high"), [(10, 10, 0.7225, 1.0), (9, 10, 0.5958, 0.9821), (0, 20, 0.0, 0.1611)]
)
def test_one_persons_faces_have_wilsons_interval(hits: int, attempts: int, low: float, high: float) -> None:
    found = rate((hits, attempts))
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)


def test_all_of_few_is_no_certainty() -> None:
    assert rate((2, 2), (2, 2)).low < 0.55
    assert rate((40, 40), (40, 40)).low > 0.94


def test_people_who_differ_widen_the_interval() -> None:
    alike, apart = rate((5, 10), (5, 10)), rate((10, 10), (0, 10))
    assert alike.value == apart.value == 0.5
    assert alike.high - alike.low < 0.45
    assert apart.high - apart.low > 0.85


def test_nothing_gives_no_rate() -> None:
    assert estimate_rate([]) is None
    assert estimate_rate([Tally(hits=0, attempts=0)]) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_the_interval_holds_the_share(people: list[tuple[int, int]]) -> None:
    found = estimate_rate([Tally(hits=hits, attempts=hits + missed) for hits, missed in people])
    if found is not None:
        assert 0 <= found.low <= found.value <= found.high <= 1


@given(SHARES)
def test_the_curve_never_rises_and_is_the_nearest_that_does_not(points: list[tuple[float, int]]) -> None:
    values, weights = [value for value, _ in points], [float(weight) for _, weight in points]
    found = never_rising(values, weights)
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(found))
    # Max-min formula of isotonic regression, turned around: min over starts of max over ends of weighted means.
    count = len(values)
    for place in range(count):
        best = min(max(mean(values, weights, start, end) for end in range(place, count)) for start in range(place + 1))
        assert found[place] == pytest.approx(best)


def mean(values: list[float], weights: list[float], start: int, end: int) -> float:
    span = range(start, end + 1)
    return sum(values[one] * weights[one] for one in span) / sum(weights[one] for one in span)
