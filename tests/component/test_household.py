"""Who is where: judged by when a frame was captured."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from custom_components.privface.api import (
    Camera,
    CameraState,
    EngineNames,
    Event,
    FrameSource,
    Outcome,
    Person,
    PersonState,
    Phase,
    Privacy,
    Reason,
    Snapshot,
    StrangerRef,
)
from custom_components.privface.household import Household
from custom_components.privface.visits import STRANGER

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
    event_id: str = "",
    visit_id: str = "",
    seq: int = 0,
    camera: str = "door",
) -> Event:
    event_id = event_id or f"{outcome} {captured_at} {person_id}"
    return Event(
        event_id=event_id,
        visit_id=visit_id or event_id,
        seq=seq,
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
        household.restore_person("a", "door", NOW, NOW)
        household.set_people([person("a", "Ada Lovelace")])
        assert household.people["a"].name == "Ada Lovelace"
        assert household.people_at("door", after(1)) == ("Ada Lovelace",)
        assert "b" not in household.people

    def test_a_snapshot_is_whole(self, household: Household) -> None:
        state = PersonState(person_id="c", person="Cleo", camera="door", last_seen=NOW, score=0.5, present=True)
        never = PersonState(person_id="d", person="Dan", camera=None, last_seen=None, score=None, present=False)
        household.take_snapshot(Snapshot(people=(state, never), cameras=(), events=()), after(1))
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
        household.take_state(state, NOW)
        assert not household.is_present("a", NOW)
        household.take_event(make_event(Outcome.KNOWN, after(1), person_id="a", name="Ada"), after(1))
        assert household.is_present("a", after(1)), "and holds nothing off that is seen now"

    def test_what_was_restored_stops_counting(self, household: Household) -> None:
        household.restore_person("a", "door", NOW, after(5))
        assert household.is_present("a", after(5))
        assert household.next_change(after(5)) == after(60)

    def test_a_clock_that_is_a_little_ahead_still_tells_of_now(self, household: Household) -> None:
        household.restore_person("a", "door", after(20), NOW)
        assert household.is_present("a", after(59))
        assert not household.is_present("a", after(60))


def state_of(person_id: str, last_seen: datetime, *, camera: str = "door") -> PersonState:
    return PersonState(person_id=person_id, person=person_id, camera=camera, last_seen=last_seen, present=True)


def known(person_id: str, captured_at: datetime, *, visit_id: str = "v", seq: int = 0, camera: str = "door") -> Event:
    return make_event(
        Outcome.KNOWN, captured_at, person_id=person_id, name=person_id, visit_id=visit_id, seq=seq, camera=camera
    )


def unknown(captured_at: datetime, *, visit_id: str = "v", seq: int = 0, stranger: int = 0) -> Event:
    event = make_event(Outcome.UNKNOWN, captured_at, visit_id=visit_id, seq=seq)
    return replace(event, stranger=StrangerRef(id=f"s{stranger}", number=stranger, visit=1) if stranger else None)


def shown(household: Household, now: datetime) -> tuple[object, ...]:
    """All that a home shows."""
    cameras = ("door", "garden")
    return (
        {
            person_id: (one.last and (one.last.camera, one.last.captured_at))
            for person_id, one in household.people.items()
        },
        [household.people_at(camera, now) for camera in cameras],
        [household.strangers_at(camera, now) for camera in cameras],
        [household.last_person_at(camera) for camera in cameras],
        household.next_change(now),
    )


class TestVisits:
    def test_states_keep_somebody_who_stays_present(self, household: Household) -> None:
        household.take_event(known("a", NOW), NOW)
        for second in range(0, 300, 2):
            household.take_state(state_of("a", after(second)), after(second))
            assert household.people_at("door", after(second)) == ("Ada",)
        assert household.is_present("a", after(298 + 59))
        assert not household.is_present("a", after(298 + 60))

    def test_states_keep_a_stranger_who_stays(self, household: Household) -> None:
        household.take_event(unknown(NOW), NOW)
        for second in range(0, 300, 2):
            household.take_camera(CameraState(camera="door", unknown=1, unknown_seen=after(second)), after(second))
            assert household.strangers_at("door", after(second)) == 1
        # The backend forgets them sooner than this home does.
        household.take_camera(CameraState(camera="door", unknown=0), after(330))
        assert household.strangers_at("door", after(298 + 59)) == 1
        assert household.next_change(after(330)) == after(298 + 60)
        assert household.strangers_at("door", after(298 + 60)) == 0

    def test_strangers_who_are_there_together(self, household: Household) -> None:
        household.take_event(unknown(NOW, visit_id="v", stranger=1), NOW)
        household.take_event(unknown(after(100), visit_id="w", stranger=2), after(100))
        assert household.strangers_at("door", after(100)) == 1
        household.take_camera(CameraState(camera="door", unknown=2, unknown_seen=after(101)), after(101))
        assert household.strangers_at("door", after(101)) == 2
        household.take_camera(CameraState(camera="door", unknown=1, unknown_seen=after(140)), after(140))
        assert household.strangers_at("door", after(165)) == 1

    def test_a_stranger_whose_visit_broke_off_is_one(self, household: Household) -> None:
        for second in (0, 20, 40):
            household.take_event(unknown(after(second), visit_id=f"{second}", stranger=12), after(second))
        household.take_camera(CameraState(camera="door", unknown=2, unknown_seen=after(40)), after(41))
        assert household.strangers_at("door", after(41)) == 1

    @pytest.mark.parametrize(
        "state",
        [
            CameraState(camera="door", unknown=1),
            CameraState(camera="door", unknown=1, unknown_seen=after(-100)),
            CameraState(camera="garden", unknown=1, unknown_seen=after(30)),
        ],
    )
    def test_states_that_say_nothing_new(self, household: Household, state: CameraState) -> None:
        household.take_event(unknown(NOW), NOW)
        household.take_camera(state, after(31))
        assert household.next_change(after(31)) == after(60)

    def test_a_camera_whose_clock_is_ahead_holds_no_longer(self, household: Household) -> None:
        household.take_event(unknown(NOW), NOW)
        household.take_camera(CameraState(camera="door", unknown=1, unknown_seen=after(3600)), after(1))
        assert household.next_change(after(1)) == after(61)

    def test_what_is_seen_before_is_of_another_visit(self, household: Household) -> None:
        assert household.seen_before("a", "v") is None
        household.restore_person("a", "garden", NOW, NOW)
        household.take_event(known("a", after(100)), after(100))
        household.take_state(state_of("a", after(200)), after(200))
        assert household.seen_before("a", "v") == NOW
        assert household.seen_before("a", "w") == after(200)


CORRECTED: dict[str, tuple[list[Event], list[Event]]] = {
    "another person": ([known("a", after(100)), known("b", after(103), seq=1)], [known("b", after(103), seq=1)]),
    "a stranger": ([known("a", after(100)), unknown(after(103), seq=1)], [unknown(after(103), seq=1)]),
    "a person": ([unknown(after(100)), known("a", after(103), seq=1)], [known("a", after(103), seq=1)]),
    "nothing": ([known("a", after(100)), make_event(Outcome.UNUSABLE, after(103), visit_id="v", seq=1)], []),
    "twice": (
        [known("a", after(100)), known("b", after(103), seq=1), known("a", after(106), seq=2)],
        [known("a", after(106), seq=2)],
    ),
}


class TestCorrections:
    @pytest.fixture(params=["nothing", "restored", "elsewhere", "here", "stranger"])
    def before(self, request: pytest.FixtureRequest) -> Callable[[Household], None]:
        """What a home knows from before the visit that is corrected."""

        def take(household: Household) -> None:
            match request.param:
                case "restored":
                    household.restore_person("a", "door", NOW, NOW)
                    household.restore_camera("door", "a", NOW)
                case "elsewhere":
                    household.take_event(known("a", after(60), visit_id="w", camera="garden"), after(60))
                case "here":
                    household.take_event(known("a", after(60), visit_id="w"), after(60))
                case "stranger":
                    household.take_event(unknown(after(60), visit_id="w"), after(60))

        return take

    @pytest.mark.parametrize("case", CORRECTED)
    def test_nothing_is_left_of_what_is_taken_back(self, before: Callable[[Household], None], case: str) -> None:
        told, right = CORRECTED[case]
        homes = [make_home(before) for _ in range(2)]
        for home, events in zip(homes, (told, right), strict=True):
            for event in events:
                home.take_event(event, event.captured_at)
        for second in (106, 130, 159, 165, 400):
            assert shown(homes[0], after(second)) == shown(homes[1], after(second)), second

    @pytest.mark.parametrize("case", CORRECTED)
    def test_in_whatever_order_it_comes(self, before: Callable[[Household], None], case: str) -> None:
        told, _right = CORRECTED[case]
        seen = []
        for order in permutations([*told, told[0]]):
            home = make_home(before)
            for event in order:
                home.take_event(event, after(110))
            seen.append(shown(home, after(111)))
        assert seen == [seen[0]] * len(seen)

    def test_states_of_a_visit_go_with_it(self, before: Callable[[Household], None]) -> None:
        home, other = make_home(before), make_home(before)
        home.take_event(known("a", after(100)), after(100))
        home.take_state(state_of("a", after(104)), after(104))
        for one in (home, other):
            one.take_event(unknown(after(105), seq=1), after(105))
        assert shown(home, after(106)) == shown(other, after(106))
        # Late: what the backend said before it knew better.
        home.take_event(known("a", after(100)), after(107))
        assert shown(home, after(108)) == shown(other, after(108))

    def test_the_last_person_follows(self, household: Household) -> None:
        household.take_event(known("b", NOW, visit_id="w"), NOW)
        household.take_event(known("a", after(10)), after(10))
        assert household.last_person_at("door") == "Ada"
        household.take_event(make_event(Outcome.UNUSABLE, after(12), visit_id="v", seq=1), after(12))
        assert household.last_person_at("door") == "Ben"
        assert household.people_at("door", after(13)) == ("Ben",)

    def test_a_snapshot_has_events_before_states(self, household: Household) -> None:
        people = (state_of("a", after(10)), PersonState(person_id="b", person="b"))
        camera = Camera(camera="garden", unknown=1, unknown_seen=after(9))
        stranger = replace(unknown(NOW, visit_id="w"), camera="garden")
        snapshot = Snapshot(people=people, cameras=(camera,), events=(known("a", after(5)), stranger))
        household.take_snapshot(snapshot, after(11))
        household.take_snapshot(snapshot, after(12))
        assert household.people_at("door", after(13)) == ("a",)
        assert household.next_change(after(13)) == after(69)
        household.take_event(known("b", after(14), seq=1), after(14))
        assert household.people_at("door", after(15)) == ("b",)
        assert household.people["a"].last is None


def make_home(before: Callable[[Household], None]) -> Household:
    home = Household(present=HOLD, stranger=HOLD)
    home.set_people([person("a", "Ada"), person("b", "Ben")])
    before(home)
    return home


def test_many_visits(household: Household) -> None:
    """Old ones are forgotten, and what they said last isn't."""
    household.take_event(known("b", NOW, visit_id="b", camera="garden"), NOW)
    household.take_event(make_event(Outcome.UNUSABLE, NOW, visit_id="u"), NOW)
    household.take_event(unknown(NOW, visit_id="s"), NOW)
    for number in range(2000):
        household.take_event(known("a", after(10 + number), visit_id=f"a{number}"), after(10 + number))
    assert len(list(household._visits)) < 1000
    assert household.last_person_at("garden") == "Ben"
    assert household.last_person_at("door") == "Ada"
    last = household.people["b"].last
    assert last is not None
    assert (last.camera, last.captured_at) == ("garden", NOW)
    assert household.seen_before("a", "a1999") == after(10 + 1998)
