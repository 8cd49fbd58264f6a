"""Measures against their definitions, counted one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.evaluation.intervals import Attempt, Bootstrap, Comparison
from privface_backend.evaluation.measures import (
    NOT_FOUND,
    ProbeScore,
    cross_validated_accuracy,
    equal_error_rate,
    fmr_fnmr,
    threshold_at_fpir,
    tpir_at_fpir,
)

# Few values, so that ties are common.
SCORES = st.one_of(st.integers(-4, 4).map(lambda value: value / 4), st.just(NOT_FOUND))
MANY = st.lists(SCORES, min_size=1, max_size=30)
RATES = st.sampled_from([0.001, 0.01, 0.1, 0.25, 0.5])
PEOPLE = st.sampled_from("abc")


def named(scores: Sequence[float], threshold: float) -> int:
    return sum(math.isfinite(score) and score >= threshold for score in scores)


@given(MANY, RATES)
def test_the_threshold_is_the_lowest_that_names_few_enough_strangers(strangers: list[float], fpir: float) -> None:
    threshold = threshold_at_fpir(strangers, fpir)
    assert named(strangers, threshold) <= fpir * len(strangers) + 1e-9
    lower = [score for score in strangers if math.isfinite(score) and score < threshold]
    if lower:
        assert named(strangers, max(lower)) > fpir * len(strangers)


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1), MANY, RATES)
def test_tpir_counts_the_rightly_named_among_all(
    pairs: list[tuple[float, bool]], strangers: list[float], fpir: float
) -> None:
    probes = [ProbeScore(score=score, right=right and math.isfinite(score)) for score, right in pairs]
    threshold = threshold_at_fpir(strangers, fpir)
    hits = sum(probe.right and probe.score >= threshold for probe in probes)
    assert tpir_at_fpir(probes, strangers, fpir) == pytest.approx(hits / len(probes))
    mated = [Attempt(identity=str(place), score=one.score, right=one.right) for place, one in enumerate(probes)]
    unmated = [Attempt(identity=str(place), score=score) for place, score in enumerate(strangers)]
    estimate = Bootstrap(rounds=20).tpir(mated, unmated, fpir)
    assert estimate.value == pytest.approx(hits / len(probes))
    assert math.isnan(estimate.low) or 0 <= estimate.low <= estimate.high <= 1


def test_no_stranger_is_named_below_one_in_their_number() -> None:
    strangers = [0.1, 0.2, 0.9]
    probes = [ProbeScore(score=0.9, right=True), ProbeScore(score=0.95, right=True)]
    assert tpir_at_fpir(probes, strangers, 0.001) == 0.5
    assert tpir_at_fpir(probes, strangers, 0.34) == 1.0


@given(MANY, MANY)
def test_eer_lies_where_the_rates_are_nearest(genuine: list[float], impostor: list[float]) -> None:
    same = [score for score in genuine if math.isfinite(score)]
    other = [score for score in impostor if math.isfinite(score)]
    found = equal_error_rate(genuine, impostor)
    if not same or not other:
        assert math.isnan(found)
        return
    rates = [fmr_fnmr(same, other, threshold) for threshold in [*same, *other, 2.0]]
    nearest = min(abs(fmr - fnmr) for fmr, fnmr in rates)
    assert any(
        found == pytest.approx((fmr + fnmr) / 2) and abs(fmr - fnmr) == pytest.approx(nearest) for fmr, fnmr in rates
    )


@given(st.lists(st.tuples(PEOPLE, PEOPLE, SCORES), min_size=1, max_size=30), RATES)
def test_fnmr_at_fmr_is_the_least_that_is_missed(rows: list[tuple[str, str, float]], rate: float) -> None:
    comparisons = [Comparison(first=first, second=second, score=score) for first, second, score in rows]
    same = [one.score for one in comparisons if one.same and math.isfinite(one.score)]
    other = [one.score for one in comparisons if not one.same and math.isfinite(one.score)]
    found = Bootstrap(rounds=20).fnmr_at_fmr(comparisons, rate).value
    if not same or not other:
        assert math.isnan(found)
        return
    rates = [fmr_fnmr(same, other, threshold) for threshold in [*same, *(np.nextafter(s, 9) for s in other), 2.0]]
    assert found == pytest.approx(min(fnmr for fmr, fnmr in rates if fmr <= rate + 1e-9))


def test_an_interval_holds_what_people_differ_by() -> None:
    identities = [name for name in "abcdefgh" for _ in range(5)]
    hits = [name in "abcd" for name in identities]
    estimate = Bootstrap().rate(hits, identities)
    assert estimate.value == 0.5
    # Eight people, not forty pictures: the deviation of a share of eight coins is 0.18.
    assert 0.1 <= estimate.low <= 0.25
    assert 0.75 <= estimate.high <= 0.9
    assert Bootstrap().rate(hits, identities) == estimate
    assert Bootstrap(seed=1).rate(hits, [f"{name}{place}" for place, name in enumerate(identities)]).low > estimate.low


def test_one_person_gives_no_interval() -> None:
    estimate = Bootstrap().rate([True, False], ["a", "a"])
    assert estimate.to_list() == [0.5, None, None]


def test_accuracy_is_chance_where_scores_say_nothing_and_counts_what_is_not_found_as_wrong() -> None:
    same = [place % 2 == 0 for place in range(200)]
    told, deviation = cross_validated_accuracy([1.0 if one else 0.0 for one in same], same)
    assert (told, deviation) == (1.0, 0.0)
    lost = [NOT_FOUND if place < 20 else float(one) for place, one in enumerate(same)]
    assert cross_validated_accuracy(lost, same)[0] == pytest.approx(0.9)
    noise = list(np.random.default_rng(3).standard_normal(200))
    accuracy, deviation = cross_validated_accuracy(noise, same)
    assert 0.3 < accuracy < 0.7
    assert deviation > 0
