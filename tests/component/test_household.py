"""Who is where: judged by when a frame was captured."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.privface.api import (
    EngineNames,
    Event,
    FrameSource,
    Outcome,
    Person,
    PersonState,
    Phase,
    Privacy,
    Reason,
)
from custom_components.privface.household import STRANGER, Household, Sighting

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOLD = timedelta(seconds=60)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def person(person_id: str, name: str) -> Person:
    return Person(id=person_id, name=name, created_at=NOW, faces=1)


def make_event(
    outcome: Outcome,
    captured_at: datetime,
    *,
    person_id: str | None = None,
    name: str | None = None,
    event_id: str = "e",
    camera: str = "door",
) -> Event:
    return Event(
        event_id=event_id,
        visit_id=event_id,
        seq=0,
        ts=captured_at,
        captured_at=captured_at,
        expires_at=captured_at + timedelta(seconds=30),
        camera=camera,
        source=FrameSource.HOMEASSISTANT,
        outcome=outcome,
        phase=Phase.CONFIRMED,
        reason=Reason.OK,
        privacy=Privacy(),
        engine=EngineNames(detector="d", recognizer="r"),
        faces=1,
        person_id=person_id,
        person=name,
    )


@pytest.fixture
def household() -> Household:
    home = Household(present=HOLD, stranger=HOLD)
    home.set_people([person("a", "Ada"), person("b", "Ben")])
    return home


class TestPresence:
    def test_counts_from_the_capture_until_the_hold_is_over(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada"), after(5))
        assert household.is_present("a", after(59))
        assert not household.is_present("a", after(60))
        assert household.next_change(after(5)) == after(60)
        assert household.next_change(after(60)) is None

    def test_a_late_message_shows_nobody_present(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada"), after(300))
        assert not household.is_present("a", after(300))
        assert household.people_at("door", after(300)) == ()
        last = household.people["a"].last
        assert last is not None
        assert last.captured_at == NOW

    def test_an_older_frame_changes_nothing(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, after(10), person_id="a", name="Ada"), after(11))
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada", camera="garden"), after(12))
        assert household.people_at("door", after(12)) == ("Ada",)
        assert household.people_at("garden", after(12)) == ()

    def test_a_clock_that_is_ahead_holds_no_longer(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, after(3600), person_id="a", name="Ada"), NOW)
        assert household.is_present("a", after(59))
        assert not household.is_present("a", after(60))

    def test_the_last_camera_has_the_person(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada"), NOW)
        household.take_event(make_event(Outcome.KNOWN, after(5), person_id="a", name="Ada", camera="garden"), after(5))
        household.take_event(make_event(Outcome.KNOWN, after(5), person_id="b", name="Ben", camera="garden"), after(5))
        assert household.people_at("door", after(6)) == ()
        assert household.people_at("garden", after(6)) == ("Ada", "Ben")

    def test_nobody_who_is_not_enrolled(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="gone", name="Gone"), NOW)
        assert "gone" not in household.people
        assert not household.is_present("gone", NOW)


class TestPeople:
    def test_a_new_name_keeps_the_sighting(self, household: Household) -> None:
        household.see("a", Sighting(camera="door", captured_at=NOW))
        household.set_people([person("a", "Ada Lovelace")])
        assert household.people["a"].name == "Ada Lovelace"
        assert household.people_at("door", after(1)) == ("Ada Lovelace",)
        assert "b" not in household.people

    def test_a_snapshot_is_whole(self, household: Household) -> None:
        state = PersonState(person_id="c", person="Cleo", camera="door", last_seen=NOW, score=0.5, present=True)
        never = PersonState(person_id="d", person="Dan", camera=None, last_seen=None, score=None, present=False)
        household.set_states([state, never], after(1))
        assert sorted(household.people) == ["c", "d"]
        assert household.people["d"].last is None
        assert household.is_present("c", after(1))


class TestCameras:
    def test_strangers_of_one_frame_count_together(self, household: Household) -> None:
        household.take_event(make_event(Outcome.UNKNOWN, NOW, event_id="1"), NOW)
        household.take_event(make_event(Outcome.UNKNOWN, NOW, event_id="2"), NOW)
        assert household.strangers_at("door", after(1)) == 2
        household.take_event(make_event(Outcome.UNKNOWN, after(2), event_id="3"), after(2))
        assert household.strangers_at("door", after(3)) == 1
        assert household.strangers_at("door", after(62)) == 0
        assert household.strangers_at("garden", after(3)) == 0

    def test_the_last_person_is_a_name_or_a_stranger(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada"), NOW)
        assert household.last_person_at("door") == "Ada"
        household.take_event(make_event(Outcome.UNUSABLE, after(1)), after(1))
        assert household.last_person_at("door") == "Ada"
        household.take_event(make_event(Outcome.UNKNOWN, after(2)), after(2))
        assert household.last_person_at("door") == STRANGER
        late = replace(make_event(Outcome.KNOWN, after(1), person_id="b", name="Ben"), event_id="late")
        household.take_event(late, after(3))
        assert household.last_person_at("door") == STRANGER

    def test_what_was_kept_gives_way_to_what_is_newer(self, household: Household) -> None:
        assert household.last_person_at("door") is None
        household.restore_camera("door", "a", NOW)
        assert household.last_person_at("door") == "Ada"
        household.take_event(make_event(Outcome.UNKNOWN, after(2)), after(2))
        household.restore_camera("door", "a", after(1))
        assert household.last_person_at("door") == STRANGER

    def test_the_last_person_is_called_as_they_are_now_or_not_at_all(self, household: Household) -> None:
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name="Ada"), NOW)
        household.set_people([person("a", "Ada Lovelace")])
        assert household.last_person_at("door") == "Ada Lovelace"
        household.set_people([])
        assert household.last_person_at("door") is None

    @pytest.mark.parametrize("name", ["nobody", "Stranger", "unknown", "UNAVAILABLE"])
    def test_names_that_states_say_something_else_by(self, household: Household, name: str) -> None:
        household.set_people([person("a", name)])
        household.take_event(make_event(Outcome.KNOWN, NOW, person_id="a", name=name), NOW)
        assert household.last_person_at("door") == f"{name} (person)"
        assert household.people_at("door", NOW) == (f"{name} (person)",)


class TestThePast:
    def test_a_time_ahead_shows_nobody_present(self, household: Household) -> None:
        state = PersonState(person_id="a", person="Ada", camera="door", last_seen=after(3600), score=0.5, present=True)
        household.set_states([state], NOW)
        assert not household.is_present("a", NOW)
        household.take_event(make_event(Outcome.KNOWN, after(1), person_id="a", name="Ada"), after(1))
        assert household.is_present("a", after(1)), "and holds nothing off that is seen now"

    def test_what_was_restored_stops_counting(self, household: Household) -> None:
        household.restore_person("a", "door", NOW, after(5))
        assert household.is_present("a", after(5))
        assert household.next_change(after(5)) == after(60)
