"""What waits of a camera: the newest picture of each object, a bounded number."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from privface_backend.bridge.pictures import Picture
from privface_backend.bridge.waiting import MOST_OBJECTS, WaitingRoom
from privface_backend.protocol import FrameSource

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def shot(number: int, event: str | None = None) -> Picture:
    return Picture(
        camera="door", data=str(number).encode(), captured_at=NOW, source=FrameSource.MQTT, source_event_id=event
    )


def waiting(room: WaitingRoom) -> list[tuple[str | None, bytes]]:
    return [(one.picture.source_event_id, one.picture.data) for one in room if isinstance(one.picture, Picture)]


def test_of_a_camera_without_objects_one_picture_waits() -> None:
    room = WaitingRoom()
    assert [room.put(shot(number), 0.0) for number in range(3)] == [False, True, True]
    assert waiting(room) == [(None, b"2")]


def test_one_object_does_not_take_anothers_place() -> None:
    room = WaitingRoom()
    assert not room.put(shot(0, "one"), 0.0)
    assert not room.put(shot(1, "two"), 1.0)
    assert room.put(shot(2, "one"), 2.0)
    assert waiting(room) == [("one", b"2"), ("two", b"1")]
    room.take(next(iter(room)))
    assert not room.has_newer("one")
    assert room.has_newer("two")


@given(st.lists(st.one_of(st.none(), st.sampled_from([str(number) for number in range(3 * MOST_OBJECTS)]))))
def test_what_waits_is_bounded_and_the_newest(events: list[str | None]) -> None:
    room = WaitingRoom()
    gone = sum(room.put(shot(number, event), number) for number, event in enumerate(events))
    assert len(room) == len(events) - gone <= MOST_OBJECTS
    newest = {event: str(number).encode() for number, event in enumerate(events)}
    assert all(newest[event] == data for event, data in waiting(room))
    assert room.clear() == len(events) - gone
    assert not waiting(room)
