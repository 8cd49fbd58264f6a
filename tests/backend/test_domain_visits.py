"""One visit: what is said about it and when, and how little it keeps."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.decision import Ranked
from privface_backend.domain.faces import Vector
from privface_backend.domain.privacy import CLEAR, PrivacyLevel
from privface_backend.domain.quality import FaceQuality
from privface_backend.domain.visits import WINDOW, Statement, Visit, VisitFace, VisitRules
from privface_backend.protocol import Outcome, Phase, Reason
from support.decisions import make_ranked
from support.visits import at, axis, make_ranking, towards

BOX = (0.1, 0.1, 0.2, 0.2)


class Scores:
    """Ranks by the first component of a vector: Ada's score, with nobody else enrolled."""

    def rank(self, vector: Vector, level: PrivacyLevel) -> tuple[Ranked, ...]:  # noqa: ARG002  # the port's signature
        return (make_ranked("ada", float(vector[0])),)


def face(
    second: float,
    score: float | None,
    *,
    weight: float = 1.0,
    level: PrivacyLevel = CLEAR,
    reason: Reason = Reason.POSE,
) -> VisitFace:
    return VisitFace(
        captured_at=at(second),
        box=BOX,
        level=level,
        reason=reason if score is None else Reason.OK,
        quality=FaceQuality(width=80, detection=0.9, turn=0.0, weight=weight),
        vector=None if score is None else towards(axis(0), axis(1), score),
    )


def visit(*faces: VisitFace, rules: VisitRules | None = None) -> Visit:
    made, ranker = Visit("visit", rules or VisitRules()), Scores()
    for one in faces:
        made.add(one, ranker)
    return made


def say(made: Visit, *, settled: bool = False) -> Statement | None:
    """What is to be said now, and is said."""
    statement = made.next_statement(made.decide(), settled=settled)
    if statement is not None:
        made.say(statement)
    return statement


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_of_no_matter(scores: list[float], chance: random.Random) -> None:
    faces = [face(second, score) for second, score in enumerate(scores)]
    shuffled = list(faces)
    chance.shuffle(shuffled)
    one, other = visit(*faces), visit(*shuffled)
    assert [kept.captured_at for kept in one.faces] == [kept.captured_at for kept in other.faces]
    assert one.decide() == other.decide()
    assert one.usable == min(WINDOW, len(scores))
    assert one.faces[-1].captured_at == at(len(scores) - 1)


def test_a_hundred_thousand_frames_keep_a_bounded_amount() -> None:
    made, ranker = Visit("visit", VisitRules()), Scores()
    faces = [face(0, 0.8, level=PrivacyLevel("gaussian", step / 100)) for step in range(10)]
    for number in range(100_000):
        made.add(faces[number % len(faces)], ranker)
    assert made.seen == 100_000
    assert len(made.faces) == len(made.weighed) == made.usable == WINDOW
    assert len(made.shown_faces) <= 16
    assert 1 <= len(made.remember()) <= 4


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.8], None),
        ([0.8] * 2, (Outcome.KNOWN, Phase.PROVISIONAL)),
        ([0.8] * 4, (Outcome.KNOWN, Phase.CONFIRMED)),
        ([0.1] * 2, None),
        ([0.1] * 3, (Outcome.UNKNOWN, Phase.PROVISIONAL)),
        ([0.1] * 6, (Outcome.UNKNOWN, Phase.CONFIRMED)),
        ([0.48] * 5, None),
        ([0.48] * 6, (Outcome.UNKNOWN, Phase.CONFIRMED)),
        ([None] * 11, None),
        ([None] * 12, (Outcome.UNUSABLE, Phase.CONFIRMED)),
        ([None] * 11 + [0.8], None),
    ],
)
def test_how_many_faces_it_takes(scores: Sequence[float | None], said: tuple[Outcome, Phase] | None) -> None:
    statement = say(visit(*(face(second, score) for second, score in enumerate(scores))))
    assert (None if statement is None else (statement.outcome, statement.phase)) == said


@pytest.mark.parametrize(("score", "outcome"), [(0.8, Outcome.KNOWN), (0.1, Outcome.UNKNOWN), (None, Outcome.UNUSABLE)])
def test_when_settled_what_there_is_must_do(score: float | None, outcome: Outcome) -> None:
    statement = say(visit(face(0, score)), settled=True)
    assert statement is not None
    assert (statement.outcome, statement.phase) == (outcome, Phase.CONFIRMED)
    assert statement.person_id == ("ada" if outcome is Outcome.KNOWN else None)


def test_somebody_far_away_is_waited_for_before_they_are_unknown() -> None:
    faces = [face(second, 0.1, weight=0.1) for second in range(8)]
    assert say(visit(*faces)) is None
    assert say(visit(*faces), settled=True) is not None


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_same_is_never_said_twice(scores: list[float | None], settles: list[bool]) -> None:
    made, ranker = visit(), Scores()
    said: list[Statement] = []
    for second, score in enumerate(scores):
        made.add(face(second, score), ranker)
        statement = say(made, settled=settles[second])
        if statement is not None:
            assert not said or not said[-1].says_as_much(statement)
            assert (statement.person_id is not None) == (statement.outcome is Outcome.KNOWN)
            said.append(statement)
        assert made.next_statement(made.decide(), settled=settles[second]) is None
    # One that was seen well is never unusable afterwards.
    assert [one.outcome for one in said].count(Outcome.UNUSABLE) <= 1


def test_a_name_stands_firm_against_faces_that_are_worse() -> None:
    made, ranker = visit(*(face(second, 0.8) for second in range(4))), Scores()
    assert say(made) is not None
    for second in range(4, 60):
        made.add(face(second, 0.1, weight=0.4), ranker)
        assert say(made, settled=second % 5 == 0) is None
    assert made.said is not None
    assert made.said.person_id == "ada"


def test_a_name_gives_way_to_as_good_faces_that_say_otherwise() -> None:
    made, ranker = visit(*(face(second, 0.8) for second in range(4))), Scores()
    assert say(made) is not None
    given_up = []
    for second in range(4, 40):
        made.add(face(second, 0.1), ranker)
        if (statement := say(made)) is not None:
            given_up.append((second, statement.outcome))
    assert [outcome for _, outcome in given_up] == [Outcome.UNKNOWN]
    # Not for a glance: at least so many newer ones.
    assert given_up[0][0] >= 4 + VisitRules().challengers - 1


def test_the_best_of_the_unusable_is_shown_where_there_are_no_others() -> None:
    made = visit(
        face(0, None, weight=0.2), face(1, None, weight=0.6, reason=Reason.TOO_BLURRY), face(2, None, weight=0.1)
    )
    assert [shown.captured_at for shown in made.shown_faces] == [at(1)]
    assert made.decide().reason is Reason.TOO_BLURRY
    assert visit().decide().reason is Reason.NO_FACE
    made.add(face(3, 0.8), Scores())
    assert [shown.captured_at for shown in made.shown_faces] == [at(3)]


def test_another_gallery_compares_all_anew() -> None:
    made = visit(face(0, 0.8), face(1, 0.8))
    other = make_ranking({"ben": axis(1)})
    assert made.rank_by(other)
    assert not made.rank_by(other)
    assert {one.person_id for faces in made.weighed for one in faces.ranked} == {"ben"}
    assert made.decide().candidate is not None


def test_what_is_absorbed_is_compared_with_the_same_people() -> None:
    made, other = visit(face(0, 0.8)), Visit("other", VisitRules())
    other.add(face(1, 0.8), make_ranking({"ben": axis(1)}))
    made.absorb(other)
    assert (made.seen, made.usable) == (2, 2)
    assert {one.person_id for faces in made.weighed for one in faces.ranked} == {"ada"}
    assert made.decide().person_id == "ada"
    empty = Visit("empty", VisitRules())
    empty.absorb(other)
    assert empty.usable == 1


def test_what_is_remembered_are_means_by_strength() -> None:
    strong = PrivacyLevel("gaussian", 0.04)
    made = visit(face(0, 0.9, weight=0.3), face(1, 0.7, weight=0.9), face(2, 0.8, level=strong, weight=0.5))
    remembered = {round(one.level.relative, 6): one for one in made.remember()}
    assert set(remembered) == {0.0, 0.04}
    assert remembered[0.0].weight == pytest.approx(1.2)
    assert 0.7 < float(remembered[0.0].vector[0]) < 0.8
    assert visit(face(0, None)).remember() == ()
