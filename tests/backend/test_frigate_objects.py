"""What Frigate follows: which object is looked at when, and its clock. Time is given."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privface_backend.frigate.clock import ForeignClock
from privface_backend.frigate.objects import MOST_OBJECTS, Followed, LiveObject, Look, Objects
from privface_backend.frigate.payloads import EventType, ObjectEvent, TrackedObject

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ALL = Followed(cameras={})
SEEN = TrackedObject(id="1", camera="door", label="person", has_snapshot=True, snapshot_time=1.0, frame_time=1.0)


def told(kind: EventType = EventType.UPDATE, **changes: Any) -> ObjectEvent:
    return ObjectEvent(type=kind, object=replace(SEEN, **changes))


def due(objects: Objects, now: float, *busy: str) -> list[str]:
    return [live.id for live in objects.due(now, set(busy))]


def looked(objects: Objects, event_id: str, now: float) -> LiveObject:
    """As the follower does when a look has given a picture."""
    live = next(live for live in objects.all() if live.id == event_id)
    if live.next_look is Look.SNAPSHOT:
        live.shown.snapshot_time = live.newest.snapshot_time
    live.wanted, live.looked, live.pictures = False, now, live.pictures + 1
    return live


@pytest.mark.parametrize(
    ("followed", "changes", "wanted"),
    [
        (ALL, {}, True),
        (ALL, {"label": "car"}, False),
        (ALL, {"false_positive": True}, False),
        (replace(ALL, labels={"car", "person"}), {"label": "car"}, True),
        (replace(ALL, cameras={"door": "front door"}), {}, True),
        (replace(ALL, cameras={"hall": "hall"}), {}, False),
        (replace(ALL, zones={"yard"}), {}, False),
        (replace(ALL, zones={"yard"}), {"zones": frozenset({"street"})}, False),
        (replace(ALL, zones={"yard", "porch"}), {"zones": frozenset({"street", "yard"})}, True),
    ],
)
def test_what_is_followed(followed: Followed, changes: dict[str, Any], wanted: bool) -> None:
    objects = Objects(followed)
    objects.take(told(EventType.NEW, **changes), 0)
    assert len(objects) == wanted
    assert due(objects, 0) == ["1"] * wanted


def test_who_walks_into_a_zone_is_followed_from_then_on_and_out_of_it_too() -> None:
    objects = Objects(replace(ALL, zones={"yard"}))
    objects.take(told(EventType.NEW), 0)
    assert len(objects) == 0
    objects.take(told(zones=frozenset({"yard"})), 1)
    objects.take(told(zones=frozenset()), 2)
    assert due(objects, 2) == ["1"]


def test_cameras_have_our_names() -> None:
    assert replace(ALL, cameras={"cam_1": "front door"}).name_of("cam_1") == "front door"
    assert replace(ALL, cameras={"cam_1": "front door"}).name_of("cam_2") is None
    assert ALL.name_of("cam_2") == "cam_2"


def test_a_new_picture_is_looked_at_not_more_often_than_the_interval() -> None:
    objects = Objects(ALL)
    objects.take(told(EventType.NEW), 10)
    looked(objects, "1", 10)
    # Nothing new: the same picture.
    objects.take(told(), 10.5)
    assert due(objects, 20) == []
    for number in range(1, 5):
        objects.take(told(snapshot_time=1.0 + number), 10.5)
    assert due(objects, 10.9) == []
    assert objects.next_change(set()) == 11
    assert due(objects, 11) == ["1"]
    # What came meanwhile is one look.
    assert looked(objects, "1", 11).shown.snapshot_time == 5.0
    assert due(objects, 100) == []


@pytest.mark.parametrize(
    ("changes", "pictures", "over", "look"),
    [
        ({}, 0, False, Look.SNAPSHOT),
        ({"has_snapshot": False}, 0, False, Look.LATEST),
        ({"has_snapshot": False}, 3, False, Look.LATEST),
        ({"snapshot_time": 0.5}, 1, False, None),
        ({"snapshot_time": 0.5, "face": True}, 1, False, Look.LATEST),
        ({"snapshot_time": None}, 1, False, Look.SNAPSHOT),
        ({"stationary": True}, 0, False, Look.SNAPSHOT),
        ({"stationary": True}, 1, False, None),
        ({"stationary": True, "face": True}, 1, False, None),
        ({"stationary": True, "has_snapshot": False}, 1, False, None),
        ({}, 1, True, Look.SNAPSHOT),
        ({"stationary": True}, 1, True, Look.SNAPSHOT),
        ({"snapshot_time": 0.5}, 1, True, None),
        ({"snapshot_time": 0.5, "face": True}, 1, True, None),
        ({"has_snapshot": False}, 1, True, None),
        ({"has_snapshot": False}, 0, True, Look.LATEST),
    ],
)
def test_what_is_looked_at(changes: dict[str, Any], pictures: int, over: bool, look: Look | None) -> None:
    """The picture of 0.5 was shown before, where any was."""
    objects = Objects(ALL)
    objects.take(told(EventType.END if over else EventType.UPDATE, **changes), 0)
    (live,) = objects.all()
    live.pictures, live.shown.snapshot_time = pictures, 0.5 if pictures else None
    assert live.next_look is look


def test_one_of_a_camera_is_looked_at_and_those_that_matter_first() -> None:
    objects = Objects(ALL)
    objects.take(told(EventType.NEW, id="long ago"), 0)
    objects.take(told(EventType.NEW, id="lately"), 0)
    objects.take(told(EventType.NEW, id="elsewhere", camera="hall"), 0)
    assert due(objects, 0) == ["long ago", "elsewhere"]
    looked(objects, "long ago", 0)
    assert due(objects, 0) == ["lately", "elsewhere"]
    looked(objects, "lately", 1)
    objects.take(told(id="long ago", snapshot_time=2.0), 2)
    objects.take(told(id="lately", snapshot_time=2.0), 2)
    assert due(objects, 5) == ["long ago", "elsewhere"]
    objects.take(told(id="lately", snapshot_time=2.0, face=True), 3)
    assert due(objects, 5) == ["lately", "elsewhere"]
    objects.take(told(EventType.END, id="long ago", snapshot_time=3.0), 4)
    assert due(objects, 5) == ["long ago", "elsewhere"]
    assert due(objects, 5, "door") == ["elsewhere"]
    assert due(objects, 5, "door", "hall") == []


def test_the_last_look_doesn_t_wait_unless_it_fails() -> None:
    objects = Objects(ALL)
    objects.take(told(EventType.NEW), 10)
    live = looked(objects, "1", 10)
    objects.take(told(EventType.END, snapshot_time=2.0), 10.1)
    assert due(objects, 10.1) == ["1"]
    live.looked, live.failing = 10.1, 10.1
    assert due(objects, 10.2) == []
    assert due(objects, 11.1) == ["1"]


def test_what_was_shown_is_not_shown_again_after_it_was_over() -> None:
    objects = Objects(ALL)
    objects.take(told(EventType.NEW), 0)
    objects.close(looked(objects, "1", 0))
    objects.take(told(EventType.END), 1)
    assert [live.id for live in objects.finished()] == ["1"]
    objects.take(told(EventType.END, snapshot_time=2.0), 2)
    assert list(objects.finished()) == []


def test_failures_and_silence_have_an_end() -> None:
    objects = Objects(replace(ALL, patience=30, silence=900))
    objects.take(told(EventType.NEW), 100)
    live = looked(objects, "1", 100)
    assert objects.next_change(set()) == 1000
    assert list(objects.silent(999)) == list(objects.given_up(999)) == []
    assert list(objects.silent(1000)) == [live]
    live.failing = 200
    assert objects.next_change(set()) == 230
    assert list(objects.given_up(229)) == []
    assert list(objects.given_up(230)) == [live]


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 400))
def test_there_are_never_too_many_and_what_is_due_is_due(chance: random.Random, count: int) -> None:
    objects, now, closed = Objects(ALL), 0.0, 0
    for _ in range(count):
        now += chance.choice([0.0, 0.3, 2.0])
        event = told(
            chance.choice([*EventType]),
            id=str(chance.randrange(200)),
            camera=f"cam{chance.randrange(3)}",
            snapshot_time=now,
            stationary=chance.random() < 0.2,
            face=chance.random() < 0.2,
            has_snapshot=chance.random() < 0.8,
        )
        closed += objects.take(event, now) is not None
        assert len(objects) <= MOST_OBJECTS
        here = list(objects.due(now, set()))
        assert len({live.newest.camera for live in here}) == len(here)
        assert all(live.next_look is not None and live.wanted for live in here)
        assert (objects.next_change(set()) <= now) is bool(here)
        for live in here:
            objects.close(live) if live.over else looked(objects, live.id, now)


def test_a_clock_that_is_about_right_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ForeignClock()
    for number in range(100):
        received = NOW + timedelta(seconds=number)
        frame_time = received.timestamp() - number % 9
        clock.learn(frame_time, received)
        assert clock.to_ours(frame_time, received).timestamp() == pytest.approx(frame_time)
    # What seems to come from the future was taken now.
    assert clock.to_ours(received.timestamp() + 3, received) == received
    assert caplog.text == ""


@pytest.mark.parametrize("off", [3600.0, -3600.0, 75.0, -20.0, 8e8])
def test_a_clock_that_is_off_is_corrected_and_told_of_once(off: float, caplog: pytest.LogCaptureFixture) -> None:
    """``off``: seconds that it is ahead."""
    caplog.set_level(logging.INFO)
    clock = ForeignClock()
    for number in range(50):
        received = NOW + timedelta(seconds=number)
        delay = (0.2, 1.5, 4.0)[number % 3]
        frame_time = received.timestamp() - delay + off
        clock.learn(frame_time, received)
        ours = clock.to_ours(frame_time, received)
        # As long as every message took its time, the shortest of these times can't be told from the clock's error.
        assert timedelta() <= received - ours <= timedelta(seconds=delay + 0.01)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert ("ahead of" if off > 0 else "behind") in caplog.text


def test_a_clock_that_is_set_right_is_believed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ForeignClock()
    for number, off in enumerate([0.0, 3600.0, -3600.0, 0.0]):
        received = NOW + timedelta(seconds=number)
        frame_time = received.timestamp() - 0.2 + off
        clock.learn(frame_time, received)
        assert abs(clock.to_ours(frame_time, received) - received) <= timedelta(seconds=0.3)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_small_jump_is_believed_within_a_minute() -> None:
    clock = ForeignClock()
    clock.learn(NOW.timestamp(), NOW)
    late = NOW + timedelta(seconds=61)
    clock.learn(late.timestamp() - 20, late)
    assert clock.behind == pytest.approx(20)
    # A message that took its time says nothing against one that came at once.
    clock.learn(late.timestamp() - 1, late)
    assert clock.behind == 0


@settings(deadline=None)
@given(st.floats(-1e11, 1e11), st.floats(0, 1e11))
def test_no_time_is_too_odd(frame_time: float, other: float) -> None:
    clock = ForeignClock()
    clock.learn(frame_time, NOW)
    assert clock.to_ours(frame_time, NOW) <= NOW
    assert clock.to_ours(other, NOW) <= NOW
