"""Presence: order of arrival, gaps, clock jumps, and sightings that are taken back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.presence import Presence, Sighting
from privface_backend.protocol import PresencePhase

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOLD = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sighting(seconds: float, visit: str = "visit", *, firm: bool = True) -> Sighting:
    return Sighting(camera="door", captured_at=at(seconds), score=0.7, firm=firm, visit_id=visit)


def stay(*sightings: Sighting) -> Presence:
    presence = Presence(hold=HOLD)
    for one in sightings:
        presence = presence.seen(one)
    return presence


SIGHTINGS = st.builds(
    lambda seconds, visit, firm: sighting(seconds, visit, firm=firm),
    st.integers(0, 200),
    st.sampled_from(["one", "two", "three"]),
    st.booleans(),
)


def test_a_sighting_holds_for_its_time_and_not_longer() -> None:
    presence = stay(sighting(0))
    assert presence.present(at(0))
    assert presence.present(at(29.999))
    assert not presence.present(at(30))
    assert presence.leaves_at == at(30)


def test_nobody_was_seen_yet() -> None:
    presence = Presence(hold=HOLD)
    assert not presence.present(START)
    assert presence.phase(START) is PresencePhase.LEFT
    assert presence.leaves_at is None
    assert presence.settled(START).last is None
    assert presence.taken_back("visit") == presence


def test_seen_then_present_then_left() -> None:
    presence = stay(sighting(0, firm=False))
    assert presence.phase(at(1)) is PresencePhase.SEEN
    presence = presence.seen(sighting(2))
    assert presence.phase(at(2)) is PresencePhase.PRESENT
    # Less sure again, but it was sure once in this stay.
    presence = presence.seen(sighting(10, firm=False))
    assert presence.phase(at(10)) is PresencePhase.PRESENT
    assert presence.phase(at(40)) is PresencePhase.LEFT
    assert presence.since == at(0)


def test_a_gap_ends_the_stay() -> None:
    presence = stay(sighting(0), sighting(29), sighting(59, firm=False))
    assert presence.since == at(59)
    assert presence.phase(at(60)) is PresencePhase.SEEN


@settings(deadline=None)
@given(st.lists(SIGHTINGS, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_of_no_matter_for_who_is_there(
    sightings: list[Sighting], chance: random.Random
) -> None:
    shuffled = list(sightings)
    chance.shuffle(shuffled)
    newest = max(one.captured_at for one in sightings)
    for presence in (stay(*sightings), stay(*shuffled)):
        assert presence.leaves_at == newest + HOLD
        assert presence.present(newest)
        assert presence.since is not None
        assert presence.since <= newest


@settings(deadline=None)
@given(st.lists(st.integers(0, 29), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_within_a_stay_is_of_no_matter_at_all(seconds: list[int], chance: random.Random) -> None:
    sightings = [sighting(second, firm=second % 7 == 0) for second in seconds]
    shuffled = list(sightings)
    chance.shuffle(shuffled)
    one, other = stay(*sightings), stay(*shuffled)
    assert (one.since, one.firm, one.leaves_at) == (other.since, other.firm, other.leaves_at)
    assert one.since == at(min(seconds))


@settings(deadline=None)
@given(st.lists(SIGHTINGS, min_size=1, max_size=10), st.integers(0, 300))
def test_who_is_there_was_seen_within_the_hold(sightings: list[Sighting], second: int) -> None:
    presence = stay(*sightings)
    newest = max(one.captured_at for one in sightings)
    assert presence.present(at(second)) == (at(second) < newest + HOLD)


def test_late_sightings_of_an_earlier_stay_change_nothing() -> None:
    presence = stay(sighting(100))
    assert presence.seen(sighting(50, firm=False)) == presence


def test_a_late_sighting_of_the_stay_moves_only_its_beginning() -> None:
    presence = stay(sighting(100, firm=False), sighting(90, firm=False))
    assert (presence.since, presence.leaves_at) == (at(90), at(130))
    assert presence.phase(at(100)) is PresencePhase.SEEN


@settings(deadline=None)
@given(st.lists(SIGHTINGS, min_size=1, max_size=10), st.sampled_from(["one", "two", "three"]))
def test_what_is_taken_back_says_nothing_any_more(sightings: list[Sighting], visit: str) -> None:
    presence = stay(*sightings)
    # However often, and in whatever order visits are taken back.
    for other in (visit, "one", "two", "three"):
        presence = presence.taken_back(other)
        assert presence.last is None or presence.last.visit_id != other
    assert presence.last is None
    assert not presence.present(at(0))


def test_what_was_true_before_holds_again() -> None:
    before = stay(sighting(0, "one"))
    presence = before.seen(sighting(10, "two", firm=False)).seen(sighting(11, "two"))
    assert presence.taken_back("two") == before
    # Only the last visit's word is what presence rests on.
    assert presence.taken_back("one").leaves_at == at(41)


def test_a_visit_that_was_taken_back_does_not_come_back_with_the_next() -> None:
    presence = stay(sighting(0, "one"), sighting(10, "two")).taken_back("one").taken_back("two")
    assert presence.last is None


def test_a_visit_with_a_gap_in_it_is_taken_back_whole() -> None:
    presence = stay(sighting(0, "one"), sighting(40, "one")).taken_back("one")
    assert presence.last is None


def test_a_clock_that_was_set_back_ends_what_lies_ahead() -> None:
    presence = stay(sighting(3600))
    assert not presence.settled(at(0)).present(at(0))
    assert presence.settled(at(3590)) == presence
    assert presence.settled(at(0)).seen(sighting(1)).present(at(1))


@settings(deadline=None)
@given(st.lists(SIGHTINGS, min_size=1, max_size=6), st.integers(-500, 500))
def test_after_a_jump_of_the_clock_nobody_stays_longer_than_twice_the_hold(
    sightings: Sequence[Sighting], now: int
) -> None:
    presence = stay(*sightings).settled(at(now))
    assert not presence.present(at(now) + 2 * HOLD)
    seen = presence.seen(sighting(now))
    assert seen.present(at(now))
    assert seen.settled(at(now)).present(at(now))


@pytest.mark.parametrize("seconds", [0, 1, 29])
def test_settling_changes_nothing_while_the_clock_goes_on(seconds: int) -> None:
    presence = stay(sighting(0), sighting(20, firm=False))
    assert presence.settled(at(seconds)) == presence
