"""Names, presence, and the states of the household."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.people import LONGEST_NAME, clean_name, same_name
from privface_backend.domain.presence import Presence, Sighting
from privface_backend.errors import PrivFaceError
from privface_backend.pipeline.household import CameraState, Household, PersonState
from privface_backend.protocol import ErrorCode, Event, Outcome
from support.mqtt import make_event

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOLD = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(st.text(max_size=80))
def test_a_clean_name_is_clean_or_refused(name: str) -> None:
    cleaned, code = "x", ErrorCode.BAD_NAME
    try:
        cleaned = clean_name(name)
    except PrivFaceError as error:
        name, code = "x", error.code
    assert code is ErrorCode.BAD_NAME
    assert clean_name(cleaned) == cleaned
    assert 1 <= len(cleaned) <= LONGEST_NAME
    assert same_name(cleaned, name) or " ".join(name.split()) != name
    cleaned.encode()


@pytest.mark.parametrize(
    "name", ["", " ", "\t\n", "a\0b", "a\x1bb", "\u202eadA", "\ud800", "x" * 65, "\u200d", "\u200b"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(PrivFaceError) as refused:
        clean_name(name)
    assert refused.value.code is ErrorCode.BAD_NAME
    assert refused.value.allowed


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("  Ada \t Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("李小龍", "李小龍"),
        ("می\u200cنو", "می\u200cنو"),
        ("x" * 64, "x" * 64),
    ],
)
def test_names_that_are_kept(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@given(st.text(min_size=1, max_size=30))
def test_the_form_of_accents_and_case_do_not_make_another_name(name: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert same_name(name, unicodedata.normalize(form, name))
    assert same_name(name, name.casefold())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ada", "ADA", True),
        ("Straße", "STRASSE", True),
        ("ΐ", "ΐ".upper(), True),
        ("می\u200cنو", "مینو", True),
        ("Ada", "Ida", False),
        ("Zoë", "Zoe", False),
    ],
)
def test_same_name(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same


def sighting(seconds: float, camera: str = "door") -> Sighting:
    return Sighting(camera=camera, captured_at=at(seconds), score=0.7)


def test_a_sighting_holds_for_its_time_and_not_longer() -> None:
    presence = Presence(hold=HOLD).seen(sighting(0))
    assert presence.present(at(0))
    assert presence.present(at(29.999))
    assert not presence.present(at(30))
    assert presence.leaves_at == at(30)


def test_nobody_was_seen_yet() -> None:
    assert not Presence(hold=HOLD).present(START)
    assert Presence(hold=HOLD).leaves_at is None
    assert Presence(hold=HOLD).settled(START).last is None


@given(st.lists(st.integers(0, 100), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_of_no_matter(seconds: list[int], chance: random.Random) -> None:
    def seen(order: Sequence[int]) -> datetime | None:
        presence = Presence(hold=HOLD)
        for second in order:
            presence = presence.seen(sighting(second))
        return presence.leaves_at

    shuffled = list(seconds)
    chance.shuffle(shuffled)
    assert seen(shuffled) == seen(seconds) == at(max(seconds) + 30)


def test_a_clock_that_was_set_back_ends_what_lies_ahead() -> None:
    presence = Presence(hold=HOLD).seen(sighting(3600))
    assert not presence.settled(at(0)).present(at(0))
    assert presence.settled(at(3590)) == presence
    assert presence.settled(at(0)).seen(sighting(1)).present(at(1))


ADA, BEN = "id-ada", "id-ben"


def event(
    number: int,
    seconds: float,
    person: str | None = ADA,
    *,
    camera: str = "door",
    late: float = 0.0,
    outcome: Outcome | None = None,
) -> Event:
    return replace(
        make_event(number, now=at(seconds)),
        ts=at(seconds + late),
        camera=camera,
        person_id=person,
        outcome=outcome or (Outcome.UNKNOWN if person is None else Outcome.KNOWN),
        score=0.8 if person else None,
    )


@pytest.fixture
def household() -> Household:
    made = Household(HOLD)
    made.set_people({ADA: "Ada", BEN: "Ben"})
    made.changes(START)
    return made


def test_each_change_is_told_once(household: Household) -> None:
    assert household.changes(START) == ()
    household.take([event(1, 0)])
    assert household.changes(at(0)) == (
        PersonState(person_id=ADA, name="Ada", camera="door", last_seen=at(0), score=0.8, present=True),
        CameraState(camera="door", persons=("Ada",), unknown=0, last_event_id="event-1", ts=at(0)),
    )
    assert household.changes(at(1)) == ()
    assert household.next_change(at(1)) == at(30)
    gone = household.changes(at(30))
    assert [type(state).__name__ for state in gone] == ["PersonState", "CameraState"]
    assert isinstance(gone[0], PersonState)
    assert not gone[0].present
    assert gone[0].last_seen == at(0)
    assert household.changes(at(31)) == ()
    assert household.next_change(at(31)) is None


def test_a_person_who_moves_on_leaves_the_first_camera(household: Household) -> None:
    household.take([event(1, 0, camera="door"), event(2, 5, camera="hall")])
    cameras = {state.camera: state.persons for state in household.cameras(at(5))}
    assert cameras == {"door": (), "hall": ("Ada",)}


def test_a_late_frame_changes_nothing(household: Household) -> None:
    household.take([event(2, 20, camera="hall")])
    before = household.changes(at(20))
    household.take([event(1, 10, camera="hall", late=11)])
    assert before
    assert household.changes(at(21)) == ()


def test_a_frame_that_comes_later_than_it_holds_makes_nobody_present(household: Household) -> None:
    household.take([event(1, 0, late=100)])
    person, camera = household.changes(at(100))
    assert isinstance(person, PersonState)
    assert not person.present
    assert person.last_seen == at(0)
    assert isinstance(camera, CameraState)
    assert camera.persons == ()


def test_strangers_are_counted_by_frame_and_expire(household: Household) -> None:
    household.take([event(1, 0, None), event(2, 0, None), event(3, 0)])
    assert household.cameras(at(0))[0].unknown == 2
    household.take([event(4, 5, None)])
    assert household.cameras(at(5))[0].unknown == 1
    assert household.next_change(at(5)) == at(30)
    assert household.cameras(at(34.9))[0].unknown == 1
    assert household.cameras(at(35))[0].unknown == 0


def test_unusable_faces_say_nothing_of_anybody(household: Household) -> None:
    household.take([event(1, 0, None, outcome=Outcome.UNUSABLE)])
    assert household.cameras(at(0))[0].unknown == 0
    assert not any(person.present for person in household.people(at(0)))


def test_a_sender_whose_clock_is_ahead_holds_nothing_for_longer(household: Household) -> None:
    household.take([event(1, 240, late=-240)])
    assert household.next_change(at(0)) == at(30)
    assert not household.people(at(30))[0].present
    household.take([event(2, 10)])
    assert household.cameras(at(10))[0].last_event_id == "event-2"


def test_a_clock_that_is_set_back_stops_nothing(household: Household) -> None:
    household.take([event(1, 3600), event(2, 3600, None)])
    household.changes(at(3600))
    household.changes(at(0))
    assert not household.people(at(0))[0].present
    assert household.cameras(at(0))[0].unknown == 0
    household.take([event(3, 1)])
    assert household.people(at(1))[0].present
    assert household.cameras(at(1))[0].last_event_id == "event-3"
    assert household.next_change(at(1)) == at(31)


def test_a_clock_that_jumps_ahead_ends_what_was(household: Household) -> None:
    household.take([event(1, 0)])
    household.changes(at(0))
    assert len(household.changes(at(10**6))) == 2


def test_the_forgotten_vanish_at_once(household: Household) -> None:
    household.take([event(1, 0), event(2, 0, BEN)])
    household.changes(at(0))
    assert household.set_people({BEN: "Ben"}) == (ADA,)
    assert [state.person_id for state in household.people(at(0))] == [BEN]
    assert household.changes(at(1)) == (
        CameraState(camera="door", persons=("Ben",), unknown=0, last_event_id="event-2", ts=at(0)),
    )
    household.take([event(3, 2)])
    assert household.cameras(at(2))[0].persons == ("Ben",)


def test_a_rename_is_a_change_of_person_and_camera(household: Household) -> None:
    household.take([event(1, 0)])
    household.changes(at(0))
    household.set_people({ADA: "Adele", BEN: "Ben"})
    person, camera = household.changes(at(1))
    assert isinstance(person, PersonState)
    assert person.name == "Adele"
    assert person.present
    assert isinstance(camera, CameraState)
    assert camera.persons == ("Adele",)


EVENTS = st.lists(
    st.builds(
        lambda number, seconds, person, camera: event(number, seconds, person, camera=camera, late=100 - seconds),
        st.integers(0, 10**6),
        st.integers(0, 100),
        st.sampled_from([ADA, BEN, None]),
        st.sampled_from(["door", "hall"]),
    ),
    max_size=12,
    unique_by=(lambda made: made.event_id, lambda made: made.captured_at),
)


@given(EVENTS, st.randoms(use_true_random=False))
def test_events_in_any_order_leave_the_same_state(events: list[Event], chance: random.Random) -> None:
    def state_of(order: list[Event]) -> tuple[object, ...]:
        made = Household(HOLD)
        made.set_people({ADA: "Ada", BEN: "Ben"})
        for one in order:
            made.take([one])
        cameras = sorted(made.cameras(at(100)), key=lambda state: state.camera)
        return made.people(at(100)), [(c.camera, c.persons, c.last_event_id, c.ts) for c in cameras]

    shuffled = list(events)
    chance.shuffle(shuffled)
    assert state_of(shuffled) == state_of(events)


def test_a_state_shows_no_name_in_logs(household: Household) -> None:
    household.take([event(1, 0)])
    assert "Ada" not in repr(household.changes(at(0)))
