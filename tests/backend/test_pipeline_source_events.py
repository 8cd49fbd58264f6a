"""Visits of source events: crops of people who move, several of them at once before one camera."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.faces import Vector, normalized
from privface_backend.pipeline.visits import VisitTiming
from privface_backend.protocol import Phase
from support.visits import DIMENSION, Shown, Street, axis, towards

ADA, BEN, EVE = axis(0), axis(1), axis(2)
PEOPLE = {"ada": ADA, "ben": BEN}
OBJECTS = {"frigate-1": ADA, "frigate-2": BEN}


def wobble(vector: Vector, seed: int) -> Vector:
    """A frame of somebody."""
    noise = np.zeros(DIMENSION, dtype=np.float32)
    noise[8:] = np.random.default_rng(seed).standard_normal(DIMENSION - 8)
    return towards(vector, normalized(noise), 0.9)


@settings(deadline=None, max_examples=40)
@given(st.randoms(use_true_random=False), st.integers(0, 10**6))
def test_two_people_s_crops_are_two_visits_whose_boxes_jump(chance: random.Random, seed: int) -> None:
    street = Street(people=PEOPLE)
    order = [*OBJECTS] * 5
    chance.shuffle(order)
    for number, event in enumerate(order):
        unusable = chance.random() < 0.2
        shown = Shown(
            vector=None if unusable else wobble(OBJECTS[event], seed + number),
            x=chance.uniform(0, 1000),
            y=chance.uniform(0, 500),
            side=chance.uniform(40, 200),
        )
        street.frame(0.3 * number, shown, more=True, source_event=event)
    street.wait(120)
    visits = {update.visit_id: update.live.track.source_event or "" for update in street.updates}
    assert sorted(visits.values()) == ["frigate-1", "frigate-2"]
    ended = [update for update in street.updates if update.ended]
    assert sum(update.live.visit.seen for update in ended) == len(order)
    named = {update.said.person_id for update in ended if update.said and update.said.person_id}
    assert named == street.named <= {"ada", "ben"}


def test_somebody_under_two_events_is_told_of_for_each() -> None:
    """As where the object was lost and found again: each has a name to be written to."""
    street = Street(people=PEOPLE)
    for number in range(8):
        event = "frigate-1" if number < 4 else "frigate-2"
        street.frame(0.3 * number, Shown(vector=wobble(ADA, number)), more=number % 4 < 3, source_event=event)
    named = [(update.live.frame.card.source_event_id, update.said) for update in street.said]
    assert [event for event, said in named if said and said.phase is Phase.CONFIRMED] == ["frigate-1", "frigate-2"]
    assert len({update.visit_id for update in street.said}) == 2


def test_who_looks_alike_takes_over_no_visit() -> None:
    """Four deviations above what strangers have with each other, and still another event's."""
    street = Street(people={"ada": ADA})
    for number in range(4):
        street.frame(0.3 * number, Shown(vector=wobble(ADA, number)), more=True, source_event="frigate-1")
    alike = towards(ADA, EVE, 0.3)
    for number in range(4, 8):
        street.frame(0.3 * number, Shown(vector=alike), more=number < 7, source_event="frigate-2")
    assert [person for *_, person in street.words][-1] is None
    assert len({update.visit_id for update in street.updates}) == 2


def test_without_the_event_the_same_crops_are_many_visits() -> None:
    """What the test before would miss if places joined them anyway."""
    street = Street(people=PEOPLE)
    for number in range(6):
        street.frame(0.3 * number, Shown(vector=None, x=400.0 * (number % 3), side=60 + 60 * (number % 2)))
    assert len({update.visit_id for update in street.updates}) > 1


def test_two_of_one_crop_are_two_visits() -> None:
    street = Street(people=PEOPLE)
    for number in range(4):
        both = Shown(vector=wobble(ADA, number), x=100), Shown(vector=wobble(BEN, number), x=700)
        updates = street.frame(0.3 * number, *both, more=True, source_event="frigate-1")
        assert len({update.visit_id for update in updates}) == 2
    street.end_source_event("frigate-1")
    assert street.named == {"ada", "ben"}


def test_a_stranger_in_somebody_s_crop_stays_a_stranger() -> None:
    """The object's id went over to another person: what is sure to be another face is none of that visit's."""
    street = Street(people=PEOPLE)
    for number in range(4):
        street.frame(0.3 * number, Shown(vector=wobble(ADA, number)), more=True, source_event="frigate-1")
    for number in range(4, 12):
        street.frame(0.3 * number, Shown(vector=wobble(EVE, number)), more=True, source_event="frigate-1")
    street.wait(120)
    by_visit = {update.visit_id: update.said for update in street.updates if update.ended}
    assert sorted(str(said.person_id) for said in by_visit.values() if said) == ["None", "ada"]


def test_the_end_of_one_event_doesn_t_settle_another() -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=True, source_event="frigate-1")
    street.frame(0.1, Shown(vector=BEN), more=False, source_event="frigate-2")
    assert street.words == [("known", "confirmed", "ben")]
    street.frame(0.2, Shown(vector=EVE), more=False)
    assert [person for *_, person in street.words] == ["ben", None]
    street.frame(0.3, Shown(vector=wobble(ADA, 1)), more=True, source_event="frigate-1")
    assert street.words[-1] == ("known", "provisional", "ada")


def test_a_frame_without_an_event_settles_those_without() -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=True)
    street.frame(0.1, Shown(vector=None, x=900), more=False)
    assert ("known", "confirmed", "ada") in street.words


@pytest.mark.parametrize(
    ("event", "camera", "told"), [("frigate-1", "door", 1), ("x", "door", 0), ("frigate-1", "y", 0)]
)
def test_an_event_that_is_over_says_what_there_is(event: str, camera: str, told: int) -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=True, source_event="frigate-1")
    assert street.words == []
    assert len(street.end_source_event(event, camera)) == told
    assert street.words == [("known", "confirmed", "ada")] * told
    assert street.end_source_event(event, camera) == ()


def test_one_lucky_crop_among_a_stranger_s_names_nobody() -> None:
    street = Street(people=PEOPLE)
    lucky = towards(ADA, EVE, 0.9)
    for number, vector in enumerate([lucky, *(wobble(EVE, seed) for seed in range(4))]):
        street.frame(0.3 * number, Shown(vector=vector, x=200.0 * number), more=True, source_event="f")
    street.end_source_event("f")
    street.wait(60)
    assert street.named == set()


def test_looks_that_are_far_apart_are_one_visit_while_more_is_promised() -> None:
    """Frigate shows somebody who stays anew every five seconds or so, and seldom after that."""
    street = Street(people=PEOPLE)
    for number, seconds in enumerate([0, 9, 20, 75, 80]):
        street.frame(seconds, Shown(vector=wobble(ADA, number), x=200.0 * number), more=True, source_event="frigate-1")
    street.wait(139)
    assert {update.visit_id for update in street.updates} == {"id-0"}
    # What there is has to do meanwhile; and it is said once.
    assert street.words == [("known", "confirmed", "ada")]
    assert not any(update.ended for update in street.updates)
    street.wait(140)
    assert [update.ended for update in street.updates if update.ended] == [True]
    assert street.visits.next_due() is None


@pytest.mark.parametrize("how", ["told", "a card", "never"])
def test_an_event_that_is_over_is_a_visit_that_ends_as_others_do(how: str) -> None:
    street = Street(people=PEOPLE)
    street.frame(0, Shown(vector=ADA), more=True, source_event="frigate-1")
    street.wait(10)
    if how == "told":
        street.end_source_event("frigate-1")
    elif how == "a card":
        street.frame(10, Shown(vector=wobble(ADA, 1)), more=False, source_event="frigate-1")
    assert not any(update.ended for update in street.updates)
    ends = {"told": 10, "a card": 18, "never": 60}[how]
    if how != "told":
        street.wait(ends - 0.1)
        assert not any(update.ended for update in street.updates)
    street.wait(ends)
    assert [update.ended for update in street.updates if update.ended] == [True]
    assert street.words == [("known", "confirmed", "ada")]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0.1, 12), st.booleans(), st.sampled_from([True, False, None])), max_size=12))
def test_without_source_events_a_longer_gap_changes_nothing(looks: list[tuple[float, bool, bool | None]]) -> None:
    said = []
    for seconds in (8, 600):
        street = Street(people=PEOPLE, timing=VisitTiming(event_gap=timedelta(seconds=seconds)))
        now = 0.0
        for number, (pause, usable, more) in enumerate(looks):
            now += pause
            street.frame(now, Shown(vector=wobble(ADA, number) if usable else None, x=40.0 * number), more=more)
        street.wait(now + 60)
        said.append([(update.visit_id, update.said, update.ended) for update in street.updates])
    assert said[0] == said[1]
