"""The states of people and cameras: cameras that see the same person, restarts, clocks, and what is taken back."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.domain.presence import Sighting
from privface_backend.pipeline.household import CameraState, Household, PersonState
from privface_backend.protocol import PresencePhase

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOLD = timedelta(seconds=30)
ADA, BEN = "id-ada", "id-ben"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def see(
    household: Household,
    seconds: float,
    person: str = ADA,
    *,
    camera: str = "door",
    visit: str = "visit",
    firm: bool = True,
) -> None:
    sighting = Sighting(camera=camera, captured_at=at(seconds), score=0.8, firm=firm, visit_id=visit)
    household.see_person(person, sighting)


def persons(household: Household, seconds: float) -> dict[str, tuple[str, ...]]:
    return {state.camera: state.persons for state in household.cameras(at(seconds))}


@pytest.fixture
def household() -> Household:
    made = Household(HOLD)
    made.set_people({ADA: "Ada", BEN: "Ben"})
    made.changes(START)
    return made


def test_each_change_is_told_once(household: Household) -> None:
    assert household.changes(START) == ()
    see(household, 0)
    household.note_event("door", "event-1", at(0))
    person = PersonState(
        person_id=ADA,
        name="Ada",
        camera="door",
        last_seen=at(0),
        score=0.8,
        phase=PresencePhase.PRESENT,
        since=at(0),
    )
    camera = CameraState(camera="door", persons=("Ada",), unknown=0, last_event_id="event-1", ts=at(0))
    assert household.changes(at(0)) == (person, camera)
    assert household.changes(at(1)) == ()
    assert household.next_change(at(1)) == at(30)
    gone = household.changes(at(30))
    assert [type(state).__name__ for state in gone] == ["PersonState", "CameraState"]
    assert isinstance(gone[0], PersonState)
    assert (gone[0].phase, gone[0].present, gone[0].last_seen) == (PresencePhase.LEFT, False, at(0))
    assert household.changes(at(31)) == ()
    assert household.next_change(at(31)) is None


def test_a_stay_is_told_of_once_a_second_at_most(household: Household) -> None:
    told = 0
    for step in range(100):
        see(household, 0.1 * step)
        told += len(household.changes(at(0.1 * step)))
    assert 10 <= told <= 12


def test_a_provisional_name_is_seen_and_a_sure_one_present(household: Household) -> None:
    see(household, 0, firm=False)
    assert household.people(at(0))[0].phase is PresencePhase.SEEN
    assert household.people(at(0))[0].present
    see(household, 1)
    assert household.people(at(1))[0].to_dict()["state"] == "present"
    assert household.people(at(31))[0].to_dict()["state"] == "left"


@pytest.mark.parametrize(("later", "at_door"), [(0.5, ("Ada",)), (5, ("Ada",)), (5.1, ()), (29, ())])
def test_who_is_seen_at_another_camera_later_has_moved_on(
    household: Household, later: float, at_door: tuple[str, ...]
) -> None:
    see(household, 0, camera="door")
    see(household, later, camera="hall", visit="other")
    assert persons(household, later) == {"door": at_door, "hall": ("Ada",)}
    assert household.people(at(later))[0].camera == "hall"


def test_where_views_overlap_somebody_is_at_both(household: Household) -> None:
    for second in range(10):
        see(household, second, camera="door")
        see(household, second + 0.5, camera="hall", visit="other")
        assert persons(household, second + 0.5) == {"door": ("Ada",), "hall": ("Ada",)}


def test_what_is_taken_back_is_as_if_it_had_not_been_said(household: Household) -> None:
    before = household.people(at(1)), persons(household, 1)
    see(household, 0)
    household.changes(at(0))
    household.take_back(ADA, "door", "visit")
    assert household.people(at(1)) == before[0]
    assert persons(household, 1) == {"door": ()}
    [person, camera] = household.changes(at(1))
    assert isinstance(person, PersonState)
    assert (person.camera, person.phase) == (None, PresencePhase.LEFT)
    assert isinstance(camera, CameraState)
    assert camera.persons == ()


def test_a_visit_that_is_taken_back_leaves_the_others(household: Household) -> None:
    see(household, 0, camera="hall", visit="earlier")
    see(household, 10, camera="door", visit="wrong")
    assert household.people(at(10))[0].camera == "door"
    household.take_back(ADA, "door", "wrong")
    person = household.people(at(10))[0]
    assert (person.camera, person.last_seen, person.present) == ("hall", at(0), True)
    assert persons(household, 10) == {"hall": ("Ada",), "door": ()}
    # Of nobody, nowhere, never: nothing happens.
    household.take_back(BEN, "door", "wrong")
    household.take_back(ADA, "garden", "wrong")


def test_strangers_are_counted_by_visit_and_expire(household: Household) -> None:
    for second in range(3):
        household.see_stranger("door", "one", at(second))
        household.see_stranger("door", "two", at(second))
    camera = household.cameras(at(2))[0]
    assert (camera.unknown, camera.unknown_seen) == (2, at(2))
    household.see_stranger("door", "one", at(20))
    assert household.next_change(at(20)) == at(32)
    assert household.cameras(at(32))[0].unknown == 1
    assert household.cameras(at(50))[0].unknown == 0
    household.changes(at(50))
    assert household.next_change(at(50)) is None


def test_a_stranger_who_turns_out_to_be_somebody_is_none(household: Household) -> None:
    household.see_stranger("door", "visit", at(0))
    see(household, 1, visit="visit")
    assert household.cameras(at(1))[0].unknown == 0
    household.take_back(ADA, "door", "visit")
    household.see_stranger("door", "visit", at(2))
    assert household.cameras(at(2))[0].unknown == 1


def test_a_restart_changes_nobody_s_presence(household: Household) -> None:
    see(household, 0, camera="hall", visit="earlier")
    see(household, 10, firm=False)
    see(household, 5, BEN)
    kept = json.loads(json.dumps(household.keep()))
    assert "Ada" not in json.dumps(kept)
    after = Household(HOLD)
    after.set_people({ADA: "Ada", BEN: "Ben"})
    after.restore(kept)
    for second in (11, 20, 39, 41, 100):
        assert after.people(at(second)) == household.people(at(second))
        assert persons(after, second) in ({}, persons(household, second))
    assert after.next_change(at(11)) == household.next_change(at(11))
    see(after, 12)
    see(household, 12)
    assert after.people(at(12)) == household.people(at(12))


def test_the_forgotten_are_not_restored(household: Household) -> None:
    see(household, 0)
    kept = household.keep()
    after = Household(HOLD)
    after.set_people({BEN: "Ben"})
    after.restore(kept)
    assert [person.camera for person in after.people(at(0))] == [None]
    assert after.keep() == []


def test_the_forgotten_vanish_at_once(household: Household) -> None:
    see(household, 0)
    see(household, 0, BEN, visit="other")
    household.changes(at(0))
    assert household.set_people({BEN: "Ben"}) == (ADA,)
    assert [state.person_id for state in household.people(at(0))] == [BEN]
    [camera] = household.changes(at(0))
    assert isinstance(camera, CameraState)
    assert camera.persons == ("Ben",)
    see(household, 2)
    assert persons(household, 2) == {"door": ("Ben",)}


def test_a_rename_is_a_change_of_person_and_camera(household: Household) -> None:
    see(household, 0)
    household.changes(at(0))
    household.set_people({ADA: "Adele", BEN: "Ben"})
    person, camera = household.changes(at(0))
    assert isinstance(person, PersonState)
    assert (person.name, person.present) == ("Adele", True)
    assert isinstance(camera, CameraState)
    assert camera.persons == ("Adele",)


def test_an_event_that_is_older_is_not_the_last_one(household: Household) -> None:
    household.note_event("door", "new", at(10))
    household.note_event("door", "old", at(5))
    assert household.cameras(at(10))[0].last_event_id == "new"


def test_a_clock_that_is_set_back_stops_nothing(household: Household) -> None:
    see(household, 3600)
    household.see_stranger("door", "stranger", at(3600))
    household.note_event("door", "event-1", at(3600))
    household.changes(at(3600))
    household.changes(at(0))
    assert not household.people(at(0))[0].present
    assert household.cameras(at(0))[0].unknown == 0
    see(household, 1, visit="later")
    household.note_event("door", "event-2", at(1))
    assert household.people(at(1))[0].present
    assert household.cameras(at(1))[0].last_event_id == "event-2"
    assert household.next_change(at(1)) == at(31)


def test_a_clock_that_jumps_ahead_ends_what_was(household: Household) -> None:
    see(household, 0)
    household.changes(at(0))
    assert len(household.changes(at(10**6))) == 2


SIGHTINGS = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from([ADA, BEN]), st.sampled_from(["door", "hall"])),
    max_size=12,
    unique_by=lambda sighting: (sighting[0], sighting[1]),
)


@settings(deadline=None)
@given(SIGHTINGS, st.randoms(use_true_random=False), st.integers(0, 140))
def test_sightings_in_any_order_leave_everybody_where_they_are(
    sightings: list[tuple[int, str, str]], chance: random.Random, now: int
) -> None:
    def state_of(order: list[tuple[int, str, str]]) -> tuple[object, ...]:
        made = Household(HOLD)
        made.set_people({ADA: "Ada", BEN: "Ben"})
        for second, person, camera in order:
            see(made, second, person, camera=camera)
        people = [
            (person.person_id, person.camera, person.last_seen, person.present) for person in made.people(at(now))
        ]
        return people, sorted(persons(made, now).items())

    shuffled = list(sightings)
    chance.shuffle(shuffled)
    assert state_of(shuffled) == state_of(sightings)


@settings(deadline=None)
@given(SIGHTINGS)
def test_everybody_is_where_they_were_seen_last(sightings: list[tuple[int, str, str]]) -> None:
    made = Household(HOLD)
    made.set_people({ADA: "Ada", BEN: "Ben"})
    for second, person, camera in sightings:
        see(made, second, person, camera=camera)
    for state in made.people(at(100)):
        seen = [(second, camera) for second, person, camera in sightings if person == state.person_id]
        assert (state.last_seen, state.camera) == ((at(max(seen)[0]), max(seen)[1]) if seen else (None, None))
        assert state.present == bool(seen and max(seen)[0] > 70)


def test_a_state_shows_no_name_in_logs(household: Household) -> None:
    see(household, 0)
    assert "Ada" not in repr(household.changes(at(0)))
