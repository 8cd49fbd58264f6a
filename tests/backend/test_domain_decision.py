"""Decisions about one face, and about all the faces of a visit."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.decision import DecisionRules, Naming, WeighedFace, decide, decide_visit, fuse
from privface_backend.domain.matching import Template
from privface_backend.domain.memory import NegativeExample, RememberedFace
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.ranking import Ranking
from privface_backend.protocol import Outcome, Reason
from support.decisions import make_model, make_ranked, weighed
from support.visits import axis, make_ranking, towards

RULES = DecisionRules(margin=0.075)


@pytest.mark.parametrize(
    ("scores", "outcome", "reason"),
    [
        ((), Outcome.UNKNOWN, Reason.NOBODY_ENROLLED),
        ((0.5,), Outcome.KNOWN, Reason.OK),
        ((0.49,), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((0.6, 0.5), Outcome.KNOWN, Reason.OK),
        ((0.6, 0.55), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
        ((0.6, 0.6), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
        ((0.3, 0.29), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((math.nan,), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((math.nan, math.nan), Outcome.UNKNOWN, Reason.BELOW_THRESHOLD),
        ((0.9, math.nan), Outcome.UNKNOWN, Reason.SMALL_MARGIN),
    ],
)
def test_decide(scores: tuple[float, ...], outcome: Outcome, reason: Reason) -> None:
    decision = decide([make_ranked(str(number), score) for number, score in enumerate(scores)], RULES)
    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert decision.person_id == ("0" if outcome is Outcome.KNOWN else None)
    assert decision.votes_known == int(outcome is Outcome.KNOWN)


SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=5)


@settings(deadline=None)
@given(SCORES, st.floats(0, 1), st.floats(0, 0.5))
def test_nobody_is_named_below_the_threshold_or_without_a_lead(
    scores: list[float], threshold: float, margin: float
) -> None:
    ordered = sorted(scores, reverse=True)
    ranked = [make_ranked(str(number), score, threshold=threshold) for number, score in enumerate(ordered)]
    named = decide(ranked, DecisionRules(margin=margin)).person_id is not None
    leads = len(ordered) == 1 or ordered[0] - ordered[1] >= margin
    assert named == ((ordered[0] - threshold) / 0.1 >= 0 and leads)


def test_who_looks_alike_needs_a_larger_lead() -> None:
    ada, ben, eve = make_ranked("ada", 0.7, alike={"ben": 0.3}), make_ranked("ben", 0.58), make_ranked("eve", 0.58)
    rules = DecisionRules(margin=0.02, alike=0.5)
    assert decide([ada, eve], rules).person_id == "ada"
    assert decide([ada, ben], rules).reason is Reason.SMALL_MARGIN
    # Not only over the next one: over everybody who looks alike.
    assert decide([ada, eve, ben], rules).reason is Reason.SMALL_MARGIN
    assert decide([ada, make_ranked("ben", 0.5)], rules).person_id == "ada"


def test_a_negative_example_that_fits_better_vetoes() -> None:
    decision = decide([make_ranked("ada", 0.9, not_them=True)], RULES)
    assert (decision.outcome, decision.reason) == (Outcome.UNKNOWN, Reason.NOT_THEM)


def test_of_the_ignored_nothing_is_said() -> None:
    decision = decide([make_ranked("ada", 0.9, ignored=True), make_ranked("ben", 0.1)], RULES)
    assert (decision.outcome, decision.reason) == (Outcome.UNUSABLE, Reason.IGNORED)
    assert (decision.candidate, decision.person_id) == (None, None)
    # Only of those that it surely is.
    assert decide([make_ranked("ada", 0.4, ignored=True)], RULES).reason is Reason.BELOW_THRESHOLD


def test_a_fitting_name_is_not_carried_by_one_face() -> None:
    lucky, far = weighed(make_ranked("ada", 1.0)), weighed(make_ranked("ada", 0.2))
    assert decide_visit([lucky], RULES).person_id == "ada"
    assert fuse([lucky, far])[0].excess > 0
    decision = decide_visit([lucky, far], RULES)
    assert (decision.outcome, decision.reason, decision.usable) == (Outcome.UNKNOWN, Reason.FEW_FACES, 2)
    assert decision.votes_known == 1
    near = weighed(make_ranked("ada", 0.45))
    assert decide_visit([lucky, near], RULES).person_id == "ada"


@settings(deadline=None)
@given(st.lists(st.floats(-1.0, 0.4), min_size=1, max_size=8), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_no_face_of_any_weight_carries_a_name_alone(others: list[float], weight: float, heavy: float) -> None:
    faces = [weighed(make_ranked("ada", score), weight=weight) for score in others]
    lucky = weighed(make_ranked("ada", 1.0), weight=heavy)
    assert decide_visit([*faces, lucky], RULES).person_id is None


def test_a_visit_needs_a_face() -> None:
    with pytest.raises(ValueError, match="face"):
        decide_visit([], RULES)
    assert fuse([]) == ()


FACES = st.lists(
    st.builds(
        lambda ada, ben, weight, veto: weighed(
            make_ranked("ada", ada, not_them=veto), make_ranked("ben", ben), weight=weight
        ),
        st.floats(-1, 1),
        st.floats(-1, 1),
        st.floats(0.05, 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=10,
)


@settings(deadline=None)
@given(FACES, st.randoms(use_true_random=False))
def test_the_order_of_faces_is_of_no_matter(faces: list[WeighedFace], chance: random.Random) -> None:
    shuffled = list(faces)
    chance.shuffle(shuffled)
    one, other = fuse(faces), fuse(shuffled)
    scores = {ranked.person_id: ranked for ranked in other}
    for ranked in one:
        twin = scores[ranked.person_id]
        assert (ranked.score, ranked.excess) == pytest.approx((twin.score, twin.excess), abs=1e-9)
    gap = abs(one[0].excess - one[1].excess)
    if gap > 1e-6 and abs(one[0].excess) > 1e-6:
        assert decide_visit(faces, RULES).usable == decide_visit(shuffled, RULES).usable == len(faces)
        assert decide_visit(faces, DecisionRules(margin=0)).candidate is not None


@settings(deadline=None)
@given(FACES)
def test_fused_scores_lie_among_those_of_the_faces(faces: list[WeighedFace]) -> None:
    for one in fuse(faces):
        scores = [ranked.score for face in faces for ranked in face.ranked if ranked.person_id == one.person_id]
        assert min(scores) - 1e-9 <= one.score <= max(scores) + 1e-9


def test_weights_decide_whose_word_counts() -> None:
    good, bad = make_ranked("ada", 0.7), make_ranked("ada", 0.3)
    assert fuse([weighed(good, weight=0.9), weighed(bad, weight=0.1)])[0].score == pytest.approx(0.66)
    assert fuse([weighed(good, weight=0.1), weighed(bad, weight=0.9)])[0].score == pytest.approx(0.34)
    vetoes = [weighed(replace(good, not_them=True), weight=0.6), weighed(good, weight=0.4)]
    assert decide_visit(vetoes, RULES).reason is Reason.NOT_THEM
    assert decide_visit([weighed(good, weight=0.7), vetoes[0]], RULES).person_id == "ada"


def test_strict_names_fewer_than_eager() -> None:
    assert Naming.STRICT.rate < Naming.BALANCED.rate < Naming.EAGER.rate
    thresholds = [
        make_ranking({"ada": axis(0)}, rules=DecisionRules(naming=naming)).rank(axis(0), CLEAR)[0].threshold
        for naming in (Naming.STRICT, Naming.BALANCED, Naming.EAGER)
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


def test_caution_raises_a_threshold_but_never_to_one() -> None:
    thresholds = [
        make_ranking({"ada": axis(0)}, rules=DecisionRules(caution=caution)).rank(axis(0), CLEAR)[0].threshold
        for caution in (0.0, 0.1, 0.9)
    ]
    assert thresholds[1:] == pytest.approx([thresholds[0] + 0.1, 0.99])


def test_the_ranking_knows_who_looks_alike_who_is_ignored_and_who_somebody_is_not() -> None:
    ada, ben, eve = axis(0), towards(axis(0), axis(1), 0.8), axis(2)
    templates = [
        Template(face_id=name, person_id=name, level=CLEAR, vector=vector)
        for name, vector in (("ada", ada), ("ben", ben), ("eve", eve))
    ]
    visitor = towards(eve, axis(5), 0.7)
    example = NegativeExample(
        id="example",
        person_id="eve",
        contract="any",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        faces=(RememberedFace(level=CLEAR, weight=1.0, vector=visitor),),
    )
    rules = DecisionRules()
    ranking = Ranking(templates, make_model(), rules, [example], {"ben"})
    assert ranking.people == 3
    [first, *_] = ranking.rank(ada, CLEAR)
    assert first.person_id == "ada"
    assert set(first.alike) == {"ben"}
    assert not first.ignored
    # Between the two who look alike, a lead that would do otherwise is too small.
    between = towards(ada, axis(1), 0.97)
    assert decide(ranking.rank(between, CLEAR), rules).reason is Reason.SMALL_MARGIN
    assert decide(ranking.rank(axis(1), CLEAR), rules).reason is Reason.IGNORED
    assert decide(ranking.rank(visitor, CLEAR), rules).reason is Reason.NOT_THEM
    # Eve herself fits her own template better than the example.
    assert decide(ranking.rank(eve, CLEAR), rules).person_id == "eve"
