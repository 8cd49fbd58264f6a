"""Calibrated scores: thresholds and evidence of any model, and of those that are shipped."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privface_backend.domain.calibration import ScoreCurve, ScoreModel
from privface_backend.domain.matching import Contract
from privface_backend.domain.score_models import score_model
from support.decisions import make_model

MEANS = st.floats(-0.2, 0.8)
DEVIATIONS = st.floats(0.02, 0.3)
RATES = st.floats(1e-6, 0.5)
STRENGTHS = st.floats(0.0, 0.2)
SCORES = st.floats(-1.0, 1.0)


@st.composite
def models(draw: st.DrawFn) -> ScoreModel:
    strengths = (0.0, *sorted(draw(st.sets(st.sampled_from([0.01, 0.02, 0.03, 0.05, 0.08, 0.1]), min_size=1))))

    def curve() -> ScoreCurve:
        size = len(strengths)
        return ScoreCurve(
            mean=tuple(draw(st.lists(MEANS, min_size=size, max_size=size))),
            deviation=tuple(draw(st.lists(DEVIATIONS, min_size=size, max_size=size))),
        )

    return ScoreModel(
        strengths=strengths,
        strangers=curve(),
        same=curve(),
        pairs=curve(),
        rise=draw(st.floats(0.0, 4.0)),
        light=draw(st.floats(0.0, 0.05)),
        onset=draw(st.sampled_from([(0.0, 0.01), (0.02, 0.05)])),
    )


def shipped() -> list[ScoreModel]:
    return [
        score_model(Contract(recognizer=name, weights_digest="0", dimension=8, alignment=alignment), 0.6)
        for name, alignment in (
            ("deepface:SFace", "five-point/five/arcface"),
            ("deepface:SFace", "eyes/five/arcface"),
            ("deepface:Other", "five-point/five/arcface"),
        )
    ]


ANY = st.one_of(models(), st.sampled_from(shipped()))


@settings(deadline=None)
@given(ANY, RATES, RATES, st.integers(1, 50), STRENGTHS)
def test_fewer_strangers_need_a_higher_threshold(
    model: ScoreModel, one: float, other: float, people: int, relative: float
) -> None:
    low, high = sorted((one, other))
    assert model.threshold(low, people, relative) >= model.threshold(high, people, relative)


@settings(deadline=None)
@given(ANY, RATES, st.integers(1, 50), st.integers(0, 50), STRENGTHS)
def test_more_people_need_a_higher_threshold(
    model: ScoreModel, rate: float, people: int, more: int, relative: float
) -> None:
    assert model.threshold(rate, people + more, relative) >= model.threshold(rate, people, relative)
    # Nobody enrolled is no division by nothing.
    assert model.threshold(rate, 0, relative) == model.threshold(rate, 1, relative)


@settings(deadline=None)
@given(ANY, RATES, STRENGTHS, STRENGTHS, STRENGTHS)
def test_templates_that_are_all_strong_need_a_higher_threshold(
    model: ScoreModel, rate: float, relative: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert model.threshold(rate, 1, relative, low) <= model.threshold(rate, 1, relative, high) <= 0.99


@settings(deadline=None)
@given(ANY, RATES, st.integers(1, 50), STRENGTHS)
def test_strangers_reach_the_threshold_at_the_rate(
    model: ScoreModel, rate: float, people: int, relative: float
) -> None:
    threshold = model.threshold(rate, people, relative)
    if threshold < 0.99:
        mean = model.threshold(0.5, 1, relative)
        reached = 1 - NormalDist(mean, model.deviation(relative)).cdf(threshold)
        assert reached * people == pytest.approx(rate, rel=1e-3)


@settings(deadline=None)
@given(ANY, STRENGTHS, STRENGTHS, SCORES, SCORES)
def test_evidence_never_falls_with_the_score(
    model: ScoreModel, relative: float, lightest: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    evidence = [model.evidence(score, relative, lightest) for score in (low, high)]
    if model.threshold(0.5, 1, relative, lightest) <= _at(model, model.same.mean, relative):
        assert evidence[0] <= evidence[1] + 1e-9
    assert all(-6 <= value <= 6 for value in evidence)


def _at(model: ScoreModel, values: tuple[float, ...], relative: float) -> float:
    """What lies between the points, as a slow reference."""
    pairs = list(zip(model.strengths, values, strict=True))
    for (low, first), (high, second) in itertools.pairwise(pairs):
        if low <= relative <= high:
            return first + (second - first) * (relative - low) / (high - low)
    return values[0] if relative < model.strengths[0] else values[-1]


@settings(deadline=None)
@given(models(), STRENGTHS)
def test_a_curve_is_linear_between_its_points_and_level_outside(model: ScoreModel, relative: float) -> None:
    assert model.deviation(relative) == pytest.approx(_at(model, model.strangers.deviation, relative))
    assert model.threshold(0.5, 1, relative) == pytest.approx(
        min(0.99, _at(model, model.strangers.mean, relative)), abs=1e-9
    )


def test_evidence_is_the_ratio_of_the_likelihoods() -> None:
    model = make_model(strangers=0.2, deviation=0.1, same=0.6)
    score = 0.45
    wanted = math.log10(NormalDist(0.6, 0.12).pdf(score) / NormalDist(0.2, 0.1).pdf(score))
    assert model.evidence(score, 0.0) == pytest.approx(wanted)
    assert model.evidence(0.2, 0.0) < 0 < model.evidence(0.6, 0.0)
    assert model.evidence(math.nextafter(1, 2), 0.0) == 6


def test_a_wide_curve_does_not_speak_for_somebody_who_is_far_away() -> None:
    wide = ScoreCurve(mean=(0.5, 0.5), deviation=(0.3, 0.3))
    model = replace(make_model(strangers=0.1, deviation=0.05), same=wide)
    values = [model.evidence(step / 100, 0.0) for step in range(-100, 101)]
    assert values == sorted(values)
    assert values[0] < 0


def test_a_threshold_rises_with_the_lightest_template_for_strong_probes() -> None:
    model = make_model(rise=2.0, light=0.02, onset=(0.03, 0.05))
    flat = model.threshold(0.001, 1, 0.0)
    beyond = [model.threshold(0.001, 1, 0.1, lightest) - flat for lightest in (0.0, 0.02, 0.04, 0.08)]
    assert beyond == pytest.approx([0.0, 0.0, 0.04, 0.12])
    onset = [model.threshold(0.001, 1, relative, 0.06) - flat for relative in (0.0, 0.03, 0.04, 0.05)]
    assert onset == pytest.approx([0.0, 0.0, 0.04, 0.08])
    assert model.threshold(0.001, 1, 0.1, 1.0) == 0.99


def test_likeness_counts_deviations_above_two_people_s() -> None:
    model = make_model(pairs=0.2)
    assert model.likeness(0.2, 0.0) == pytest.approx(0.0)
    assert model.likeness(0.5, 0.05) == pytest.approx(3.0)


@settings(deadline=None)
@given(ANY, st.floats(0.1, 0.95), STRENGTHS)
def test_scaling_moves_the_threshold_and_keeps_one(model: ScoreModel, start: float, relative: float) -> None:
    scaled = model.scaled(start, "elsewhere")
    # Beyond 0.99 no threshold says where the strangers are.
    assume(model.threshold(0.001, 1, 0.0) < 0.99 and scaled.threshold(0.5, 1, relative) < 0.99)
    share = (1 - start) / (1 - model.threshold(0.001, 1, 0.0))
    assert scaled.source == "elsewhere"
    assert scaled.threshold(0.001, 1, 0.0) == pytest.approx(start)
    # What a score of 1 is worth in strangers' deviations doesn't change, nor what any other is.
    for score in (1.0, 0.5):
        moved = 1 - share * (1 - score)
        before = (score - model.threshold(0.5, 1, relative)) / model.deviation(relative)
        after = (moved - scaled.threshold(0.5, 1, relative)) / scaled.deviation(relative)
        assert after == pytest.approx(before, abs=1e-6)
        assert scaled.likeness(moved, relative) == pytest.approx(model.likeness(score, relative), abs=1e-6)
        assert scaled.evidence(moved, relative) == pytest.approx(model.evidence(score, relative), abs=1e-6)


@pytest.mark.parametrize("published", [0.3, 0.6, 0.9])
def test_other_recognizers_start_at_their_published_threshold(published: float) -> None:
    def of(name: str, alignment: str) -> ScoreModel:
        contract = Contract(recognizer=name, weights_digest="0", dimension=8, alignment=alignment)
        return score_model(contract, published)

    for name, alignment in (("deepface:Other", "five-point/five/arcface"), ("deepface:SFace", "eyes/five/arcface")):
        assert of(name, alignment).threshold(0.001, 1, 0.0) == pytest.approx(published)
    # SFace's own was measured with its own alignment.
    own = of("deepface:SFace", "five-point/five/arcface")
    assert own.threshold(0.001, 1, 0.0) == shipped()[0].threshold(0.001, 1, 0.0)


@pytest.mark.parametrize("model", shipped(), ids=["sface", "sface by the eyes", "another"])
def test_shipped_thresholds_are_higher_where_everybody_looks_alike(model: ScoreModel) -> None:
    assert 0 < model.threshold(0.001, 1, 0.0) < model.threshold(0.001, 1, 0.1) <= 0.99
    assert all(model.threshold(0.0001, 50, step / 100, 0.2) <= 0.99 for step in range(21))


def test_a_model_shows_its_source_to_those_who_ask_only() -> None:
    assert "elsewhere" not in repr(make_model(source="elsewhere"))
