"""Visits: when what is said, and what one lucky frame can't do. Constructed embeddings, the real ranking."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.decision import DecisionRules, Naming, decide
from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.privacy import CLEAR
from privface_backend.domain.visits import WINDOW, VisitRules
from privface_backend.pipeline.live_visits import VisitUpdate
from privface_backend.pipeline.visits import MOST_VISITS, VisitTiming
from privface_backend.protocol import FrameCard, Outcome, Reason
from support.visits import Shown, Street, at, axis, judgement, make_ranking, towards

pytestmark = pytest.mark.slow

ADA, BEN, EVE = axis(0), axis(1), axis(2)
PEOPLE = {"ada": ADA, "ben": BEN}


def wobble(vector: Vector, seed: int, likeness: float = 0.9) -> Vector:
    """A frame of somebody: as alike to ``vector`` as that."""
    noise = np.zeros_like(vector)
    noise[8:] = np.random.default_rng(seed).standard_normal(len(vector) - 8)
    return towards(vector, normalized(noise), likeness)


def frames_of(vector: Vector, count: int) -> list[Vector]:
    return [wobble(vector, seed) for seed in range(count)]


# A stranger who has nothing of Ada, but for one frame: either it is somebody else's altogether, or still theirs.
FAR = frames_of(EVE, 7)
LUCKY = {"nobody's": wobble(ADA, 99, 0.97), "still theirs": towards(ADA, EVE, 0.9)}


def orders(count: int, lucky: Vector) -> list[Sequence[Vector]]:
    """The stranger's frames in ``count`` orders, the lucky one first and last among them."""
    made: list[Sequence[Vector]] = [[lucky, *FAR], [*FAR, lucky]]
    for seed in range(count - 2):
        order = [lucky, *FAR]
        random.Random(seed).shuffle(order)  # noqa: S311  # an order, no secret
        made.append(order)
    return made


@pytest.mark.parametrize("naming", [Naming.BALANCED, Naming.EAGER])
@pytest.mark.parametrize("lucky", LUCKY.values(), ids=LUCKY)
def test_one_lucky_frame_never_names_a_stranger(lucky: Vector, naming: Naming) -> None:
    street = Street(people=PEOPLE, rules=VisitRules(decision=DecisionRules(naming=naming)))
    ranking = street.ranking
    # The lucky frame alone would name Ada, and no other would name anybody.
    assert decide(ranking.rank(lucky, CLEAR), street.rules.decision).person_id == "ada"
    assert all(decide(ranking.rank(frame, CLEAR), street.rules.decision).person_id is None for frame in FAR)
    start = 0.0
    for order in orders(1000, lucky):
        for number, vector in enumerate(order):
            street.frame(start + 0.2 * number, Shown(vector=vector, x=500 + 3 * number))
        start += 0.2 * len(order) + 60
        street.wait(start - 1)
    assert street.named == set()
    # And something is said of each, once for all: a stranger was there.
    ended = [update for update in street.updates if update.ended]
    assert len(ended) == 1000
    assert all(update.said is not None and update.said.outcome is Outcome.UNKNOWN for update in ended)


@pytest.mark.parametrize("lucky", LUCKY.values(), ids=LUCKY)
def test_a_vote_that_ignores_unknowns_would_name_them(lucky: Vector) -> None:
    """What the test before would miss if it could not fail."""
    ranking, rules = make_ranking(PEOPLE), Street(people=PEOPLE).rules.decision
    for order in orders(1000, lucky):
        votes = [decide(ranking.rank(vector, CLEAR), rules).person_id for vector in order]
        assert max((vote for vote in votes if vote is not None), key=votes.count, default=None) == "ada"


@pytest.mark.parametrize("lucky", LUCKY.values(), ids=LUCKY)
@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_lucky_frame_among_few_names_nobody(lucky: Vector, place: str, others: int) -> None:
    order = [lucky, *FAR[:others]] if place == "first" else [*FAR[:others], lucky]
    for end in ("waiting", "a card", "the video's end"):
        street = Street(people=PEOPLE)
        for number, vector in enumerate(order):
            more = number < len(order) - 1 if end == "a card" else None
            street.frame(0.2 * number, Shown(vector=vector), more=more)
        street.end() if end == "the video's end" else street.wait(60)
        assert street.named == set()
        assert [outcome for outcome, *_ in street.words][-1:] == ["unknown"]


@pytest.mark.parametrize("good", [2, 3])
def test_somebody_enrolled_is_named_within_three_usable_frames(good: int) -> None:
    """With unusable frames in between, which don't count."""
    street = Street(people=PEOPLE)
    bad = Shown(vector=None)
    usable = iter(frames_of(ADA, good))
    for number in range(2 * good):
        street.frame(0.2 * number, bad if number % 2 == 0 else Shown(vector=next(usable)))
    assert street.words[0] == ("known", "provisional", "ada")
    assert street.said[0].decision.usable <= 3


def test_one_bad_frame_at_first_delays_a_name_by_one() -> None:
    street = Street(people=PEOPLE)
    for number, vector in enumerate([wobble(ADA, 50, 0.45), *frames_of(ADA, 2)]):
        street.frame(0.2 * number, Shown(vector=vector))
    assert street.words == [("known", "provisional", "ada")]
    assert street.said[0].decision.usable <= 3


def test_a_name_stays_while_the_face_turns_away() -> None:
    aside = towards(ADA, axis(5), 0.35)
    street = Street(people=PEOPLE)
    for number, vector in enumerate(frames_of(ADA, 5)):
        street.frame(0.2 * number, Shown(vector=vector))
    assert street.words == [("known", "provisional", "ada"), ("known", "confirmed", "ada")]
    for number in range(5, 40):
        turned = Shown(vector=wobble(aside, number), weight=0.3) if number % 2 else Shown(vector=None)
        street.frame(0.2 * number, turned)
    street.wait(60)
    assert len(street.said) == 2
    assert {update.visit_id for update in street.updates} == {"id-0"}


def test_a_name_is_taken_back_when_the_faces_are_another_s() -> None:
    """Whoever looks alike enough to keep the track, and is not Ada."""
    alike = towards(ADA, EVE, 0.3)
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=towards(ADA, axis(3), 0.75)))
    for number in range(4, 60):
        street.frame(0.2 * number, Shown(vector=alike))
    names = [update for update in street.said if update.statement is not None and update.statement.person_id == "ada"]
    [back] = [update for update in street.said if update.corrects is not None]
    assert names[-1].statement is not None
    assert back.corrects == names[-1].statement.event_id
    assert back.said is not None
    assert (back.said.outcome, back.said.person_id) == (Outcome.UNKNOWN, None)
    assert back.visit_id == names[-1].visit_id
    # The other one is not named for having followed.
    assert {person for *_, person in street.words[street.said.index(back) :]} == {None}


def test_a_name_that_was_said_late_can_be_taken_back_too() -> None:
    """After more faces than a decision stands on."""
    stranger, ada, alike = towards(ADA, EVE, 0.3), towards(ADA, EVE, 0.85), towards(ADA, axis(3), 0.3)
    street = Street(people=PEOPLE)
    for number in range(WINDOW + 8):
        street.frame(0.2 * number, Shown(vector=stranger))
    for number in range(WINDOW + 8, 3 * WINDOW):
        street.frame(0.2 * number, Shown(vector=ada))
    assert street.words[-1:] == [("known", "confirmed", "ada")]
    for number in range(3 * WINDOW, 5 * WINDOW):
        street.frame(0.2 * number, Shown(vector=alike))
    assert street.words[-1][0] == "unknown"


def test_a_frame_that_comes_alone_waits_a_moment() -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA))
    assert street.words == []
    assert street.visits.next_due() == at(1.5)
    street.wait(1.49)
    assert street.words == []
    street.wait(1.5)
    assert street.words == [("known", "confirmed", "ada")]
    assert street.visits.next_due() == at(8)
    street.wait(8)
    assert street.updates[-1].ended
    assert street.visits.next_due() is None
    assert len(street.said) == 1


@pytest.mark.parametrize(("more", "words"), [(False, [("known", "confirmed", "ada")]), (True, []), (None, [])])
def test_a_card_that_says_that_no_more_comes_is_answered_at_once(
    more: bool | None, words: list[tuple[str, str, str | None]]
) -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=more)
    assert street.words == words


def test_two_people_one_after_the_other_alone_are_both_named() -> None:
    """Each by a card that says that no more comes: no odd one out, at the same place though."""
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=False)
    street.frame(0.2, Shown(vector=BEN), more=False)
    street.frame(0.4, Shown(vector=EVE), more=False)
    assert [(outcome, person) for outcome, _, person in street.words] == [
        ("known", "ada"),
        ("known", "ben"),
        ("unknown", None),
    ]
    assert all(update.corrects is None for update in street.said)


def test_strangers_are_unknown_after_three_and_surely_after_six() -> None:
    street = Street(people=PEOPLE)
    counts = []
    for number in range(10):
        street.frame(0.2 * number, Shown(vector=wobble(EVE, number)))
        counts.append(len(street.said))
    assert counts == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert street.words == [("unknown", "provisional", None), ("unknown", "confirmed", None)]


def test_nothing_usable_is_said_after_twelve_or_when_settled() -> None:
    street = Street(people=PEOPLE)
    for number in range(12):
        assert street.words == []
        street.frame(0.2 * number, Shown(vector=None, reason=Reason.POSE))
    assert street.words == [("unusable", "confirmed", None)]
    assert street.said[0].decision.reason is Reason.POSE
    lone = Street(people=PEOPLE)
    lone.frame(0, Shown(vector=None, reason=Reason.TOO_SMALL))
    lone.wait(1.5)
    assert lone.words == [("unusable", "confirmed", None)]


def test_who_was_unusable_and_then_known_is_no_correction() -> None:
    street = Street(people=PEOPLE)
    for number in range(12):
        street.frame(0.2 * number, Shown(vector=None))
    for number in range(12, 16):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)))
    assert [word[0] for word in street.words] == ["unusable", "known", "known"]
    assert all(update.corrects is None for update in street.said)


@pytest.mark.parametrize(("pause", "visits"), [(5.0, 1), (8.5, 2)])
def test_a_gap_is_bridged_up_to_its_length(pause: float, visits: int) -> None:
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)))
    for number in range(4):
        street.frame(0.6 + pause + 0.2 * number, Shown(vector=wobble(ADA, number)))
    assert len({update.visit_id for update in street.updates}) == visits


def test_a_gap_shorter_than_the_patience_still_says_what_there_is() -> None:
    timing = VisitTiming(settle=timedelta(seconds=10), gap=timedelta(seconds=2))
    street = Street(people=PEOPLE, timing=timing)
    street.frame(0, Shown(vector=ADA))
    assert street.visits.next_due() == at(2)
    street.wait(60)
    assert street.words == [("known", "confirmed", "ada")]


def test_the_end_says_what_there_is() -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA, x=100), Shown(vector=EVE, x=800))
    street.frame(0, Shown(vector=BEN), camera="hall")
    street.end()
    assert sorted((outcome, person) for outcome, _, person in street.words if person) == [
        ("known", "ada"),
        ("known", "ben"),
    ]
    assert len(street.words) == 3
    assert all(update.ended for update in street.said)
    assert street.visits.next_due() is None
    assert street.end() == ()


def test_a_track_that_breaks_off_goes_on_in_its_successor() -> None:
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number), x=100))
    # Suddenly at the other end, and much larger: by place alone another.
    for number in range(4, 8):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number, 0.75), x=1000, side=240))
    street.wait(60)
    assert street.words == [("known", "provisional", "ada"), ("known", "confirmed", "ada")]
    assert {update.visit_id for update in street.said} == {"id-0"}


def test_two_of_one_frame_are_never_one_visit() -> None:
    street = Street(people=PEOPLE)
    for number in range(6):
        both = Shown(vector=wobble(ADA, number), x=100), Shown(vector=wobble(ADA, number + 50), x=900)
        assert len({update.visit_id for update in street.frame(0.2 * number, *both)}) == 2


def test_people_on_two_cameras_are_visits_of_each() -> None:
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)), camera="door")
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)), camera="hall")
    assert len({(update.live.camera, update.visit_id) for update in street.said}) == 2
    assert {update.live.camera for update in street.said} == {"door", "hall"}
    assert street.words.count(("known", "confirmed", "ada")) == 2


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(8)))
def test_late_frames_leave_the_same_decision(order: list[int]) -> None:
    vectors = [*frames_of(ADA, 6), towards(ADA, EVE, 0.45), towards(ADA, EVE, 0.6)]

    def decided(numbers: Sequence[int]) -> VisitUpdate:
        street = Street(people=PEOPLE)
        # All come within a second, captured at other times than they come in.
        for place, number in enumerate(numbers):
            street.frame(10 + 0.1 * place, Shown(vector=vectors[number]), captured=5 + 0.2 * number)
        street.wait(60)
        return next(update for update in street.updates if update.ended and update.live.visit.usable > 1)

    one, other = decided(range(8)), decided(order)
    assert one.decision.person_id == other.decision.person_id == "ada"
    assert one.decision.usable == other.decision.usable
    assert one.decision.excess == pytest.approx(other.decision.excess, abs=1e-6)


def test_a_clock_that_is_set_back_keeps_no_visit_for_ever() -> None:
    street = Street(people=PEOPLE)
    street.frame(3600, Shown(vector=ADA))
    street.frame(0, Shown(vector=BEN))
    street.wait(1.5)
    street.wait(60)
    assert street.named == {"ada", "ben"}
    assert street.visits.next_due() is None


def test_a_sender_s_clock_that_is_ahead_holds_nothing_off() -> None:
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)), captured=3600 + number)
    assert street.words == [("known", "provisional", "ada"), ("known", "confirmed", "ada")]
    assert street.said[-1].live.last_seen == at(0.6)


def test_a_crowd_has_so_many_visits_at_most() -> None:
    street = Street(people=PEOPLE)
    crowd = [
        Shown(vector=axis(3 + number), x=20.0 + 30 * number, y=40.0 * (number % 15), side=30.0)
        for number in range(MOST_VISITS + 8)
    ]
    updates = street.frame(0, *crowd)
    live = street.visits._live["door"]
    assert len(live) == MOST_VISITS
    # Those for whom there was no room are over, and only that.
    over = [update.visit_id for update in updates if update.ended]
    assert len(over) == 8
    assert len({update.visit_id for update in updates}) == len(updates) == MOST_VISITS + 8
    assert not set(over) & set(live)


def test_a_visit_of_many_frames_keeps_few() -> None:
    street = Street(people=PEOPLE)
    for number in range(600):
        street.frame(0.1 * number, Shown(vector=wobble(ADA, number)))
    [live] = street.visits._live["door"].values()
    assert live.visit.seen == 600
    assert (live.visit.usable, len(live.moments), len(live.track.recent)) == (WINDOW, 256, 8)
    assert len(street.said) == 2


def test_somebody_who_is_enrolled_meanwhile_is_named_without_another_frame() -> None:
    street = Street(people={})
    for number in range(6):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number)))
    assert street.words[-1:] == [("unknown", "confirmed", None)]
    street.ranking = make_ranking(PEOPLE)
    street.wait(1.1)
    assert street.words[-1:] == [("known", "confirmed", "ada")]
    assert street.said[-1].corrects is not None


def test_visits_before_and_after_an_enrollment_are_joined_in_the_same_terms() -> None:
    street = Street(people={"ada": ADA})
    for number in range(4):
        street.frame(0.2 * number, Shown(vector=wobble(ADA, number), x=100))
    street.ranking = make_ranking({"ben": BEN, "ada": ADA})
    for number in range(4, 8):
        frame = judgement(Shown(vector=wobble(ADA, number, 0.75), x=1000, side=240))
        card = FrameCard(camera="door", captured_at=at(0.2 * number))
        street.visits.take(frame, card, {}, now=at(0.2 * number), ranker=street.ranking)
    for visit in street.visits._live["door"].values():
        assert all({one.person_id for one in face.ranked} == {"ada", "ben"} for face in visit.visit.weighed)
