"""Frigate's messages, as each of its versions documents them, and as no version would write them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privface_backend.frigate.payloads import (
    MOST_BYTES,
    Availability,
    FaceUpdate,
    Ignored,
    Message,
    ObjectEvent,
    ObjectSnapshot,
    Reason,
    read_message,
)

FOLDER = Path(__file__).parents[1] / "support" / "frigate"
VERSIONS = ("0.14", "0.15", "0.16", "0.17", "0.18")
FIXTURES = {version: json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8")) for version in VERSIONS}
MESSAGES = [
    pytest.param(message, id=f"{version}-{place}")
    for version, fixture in FIXTURES.items()
    for place, message in enumerate(fixture["messages"])
]
OBJECT = FIXTURES["0.16"]["messages"][2]["payload"]
ID = "1607123955.475377-mxklsc"


def read(topic: str, payload: object, *, retained: bool = False) -> Message:
    data = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    return read_message("frigate", topic, data, retained=retained)


def plain(message: Message) -> Mapping[str, Any]:
    """The message in the words of the fixtures."""
    match message:
        case ObjectEvent(type=kind, object=one):
            label = one.sub_label
            return {
                "kind": "event",
                "type": kind.value,
                "id": one.id,
                "camera": one.camera,
                "label": one.label,
                "frame_time": one.frame_time,
                "snapshot_time": one.snapshot_time,
                "zones": sorted(one.zones),
                "has_snapshot": one.has_snapshot,
                "stationary": one.stationary,
                "face": one.face,
                "sub_label": None if label is None else [label.name, label.score],
            }
        case FaceUpdate():
            told = {"id": message.id, "camera": message.camera, "name": message.name, "score": message.score}
            return {"kind": "face", **told}
        case Availability(online=online):
            return {"kind": "availability", "online": online}
        case Ignored(reason=reason):
            return {"kind": "ignored", "reason": reason.value}
        case ObjectSnapshot():
            return {"kind": "snapshot"}


def test_each_fixture_says_which_version_it_stands_for() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(VERSIONS)
    for version, fixture in FIXTURES.items():
        assert fixture["version"] == version
        assert fixture["says"].startswith(f"Frigate {version}: ")


@pytest.mark.parametrize("message", MESSAGES)
def test_what_a_version_says_is_read(message: Mapping[str, Any]) -> None:
    found = read(message["topic"], message["payload"], retained=message.get("retained", False))
    assert plain(found) == message["reads"]


def test_every_version_tells_of_an_object_from_its_beginning_to_its_end() -> None:
    for version, fixture in FIXTURES.items():
        told = [message["reads"].get("type") for message in fixture["messages"]]
        assert [told.count(kind) for kind in ("new", "end")] == [1, 1], version


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"sub_label": "Ada"}, "sub_label", ["Ada", None]),
        ({"sub_label": ["Ada", "0.5"]}, "sub_label", ["Ada", 0.5]),
        ({"sub_label": ["Ada"]}, "sub_label", ["Ada", None]),
        ({"sub_label": []}, "sub_label", None),
        ({"sub_label": [None, None]}, "sub_label", None),
        ({"sub_label": ["Ada", 7]}, "sub_label", ["Ada", None]),
        ({"frame_time": "1607123962.5"}, "frame_time", 1607123962.5),
        ({"frame_time": "soon"}, "frame_time", None),
        ({"frame_time": -1}, "frame_time", None),
        ({"frame_time": 1e300}, "frame_time", None),
        ({"has_snapshot": "true"}, "has_snapshot", True),
        ({"has_snapshot": 1}, "has_snapshot", True),
        ({"has_snapshot": "no"}, "has_snapshot", False),
        ({"stationary": None, "active": False}, "stationary", True),
        ({"stationary": None, "active": None}, "stationary", False),
        ({"current_zones": "yard", "entered_zones": None}, "zones", ["yard"]),
        ({"current_zones": [["yard"], 7, "porch"], "entered_zones": {}}, "zones", ["7", "porch"]),
        ({"current_attributes": {"label": "face", "box": None}}, "face", True),
        ({"current_attributes": ["face"]}, "face", False),
        ({"snapshot": {"frame_time": "1607123962"}}, "snapshot_time", 1607123962.0),
        ({"snapshot": None}, "snapshot_time", None),
    ],
)
def test_what_is_said_in_another_way_is_read_too(changes: dict[str, Any], key: str, value: object) -> None:
    after = {**OBJECT["after"], **changes}
    assert plain(read("frigate/events", {"type": "update", "after": after}))[key] == value


@pytest.mark.parametrize("box", [None, [1, 2, 3], [1, 2, 3, "x"], "1,2,3,4", {}, [1, 2, 3, 1e999]])
def test_a_box_that_is_none_is_left_out(box: object) -> None:
    found = read("frigate/events", {"type": "new", "after": {**OBJECT["after"], "box": box}})
    assert isinstance(found, ObjectEvent)
    assert found.object.box is None


def test_a_box_is_read_in_pixels() -> None:
    found = read("frigate/events", {"type": "new", "after": {**OBJECT["after"], "box": ["1", 2, 3.5, 4]}})
    assert isinstance(found, ObjectEvent)
    assert found.object.box == (1.0, 2.0, 3.5, 4.0)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"after": {"id": ID, "camera": "door"}}, "update"),
        ({"after": {"id": ID, "camera": "door", "end_time": 1607123962.5}}, "end"),
        ({"before": {"id": ID, "camera": "door"}, "type": "end"}, "end"),
    ],
)
def test_a_message_without_a_type_or_an_after_is_understood(data: object, kind: str) -> None:
    assert plain(read("frigate/events", data))["type"] == kind


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("frigate/events", "", Reason.NOT_JSON),
        ("frigate/events", "[" * 100_000, Reason.NOT_JSON),
        ("frigate/events", "9" * 10_000, Reason.NOT_JSON),
        ("frigate/events", "\N{SNOWMAN}", Reason.NOT_JSON),
        ("frigate/events", "[]", Reason.NO_OBJECT),
        ("frigate/events", '{"after": 3, "before": []}', Reason.NO_OBJECT),
        ("frigate/events", '{"after": {"camera": "door"}}', Reason.BAD_ID),
        ("frigate/events", '{"after": {"id": "../config", "camera": "door"}}', Reason.BAD_ID),
        ("frigate/events", '{"after": {"id": "1?x", "camera": "door"}}', Reason.BAD_ID),
        ("frigate/events", '{"after": {"id": "1", "camera": "../door"}}', Reason.BAD_CAMERA),
        ("frigate/events", '{"type": "x", "after": {"id": "1", "camera": "door"}}', Reason.UNKNOWN_TYPE),
        ("frigate/events", f'"{"x" * MOST_BYTES}"', Reason.TOO_LONG),
        ("frigate/tracked_object_update", "null", Reason.NO_OBJECT),
        ("frigate/tracked_object_update", '{"type": "face"}', Reason.BAD_ID),
        ("frigate/available", "", Reason.EMPTY),
        ("frigate/available", "maybe", Reason.UNKNOWN_TYPE),
        ("frigate/door/person/snapshot", "", Reason.EMPTY),
        ("frigate/do.or/person/snapshot", "x", Reason.BAD_CAMERA),
        ("frigate/stats", "{}", Reason.UNKNOWN_TOPIC),
        ("frigate", "{}", Reason.UNKNOWN_TOPIC),
        ("frigate2/events", "{}", Reason.UNKNOWN_TOPIC),
    ],
)
def test_what_can_t_be_read_is_ignored_with_a_reason(topic: str, payload: str, reason: Reason) -> None:
    assert read(topic, payload) == Ignored(reason=reason)


@pytest.mark.parametrize("topic", ["frigate/events", "frigate/tracked_object_update", "frigate/door/person/snapshot"])
def test_what_was_retained_is_about_nobody_who_is_there(topic: str) -> None:
    assert read(topic, OBJECT, retained=True) == Ignored(reason=Reason.RETAINED)


def test_a_base_of_several_levels_is_taken_off() -> None:
    found = read_message("home/nvr", "home/nvr/door/person/snapshot", b"\xff\xd8jpeg")
    assert found == ObjectSnapshot(camera="door", label="person", data=b"\xff\xd8jpeg")
    assert "jpeg" not in repr(found)


def test_names_are_in_no_repr() -> None:
    for message in (
        read("frigate/events", OBJECT),
        read("frigate/tracked_object_update", {"type": "face", "id": ID, "name": "John"}),
    ):
        assert "John" not in repr(message)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(data: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    elif isinstance(data, list):
        inner = list(enumerate(data))
    return [found for key, value in inner for found in [(*path, key), *places(value, (*path, key))]]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_keys_that_are_gone_added_or_of_another_type_never_raise(data: st.DataObject) -> None:
    fixture = FIXTURES[data.draw(st.sampled_from(VERSIONS))]
    told = [message for message in fixture["messages"] if isinstance(message["payload"], dict)]
    message = data.draw(st.sampled_from(told))
    payload = copy.deepcopy(message["payload"])
    for _ in range(data.draw(st.integers(1, 6))):
        found = places(payload)
        if not found:
            break
        *way, key = data.draw(st.sampled_from(found))
        parent = payload
        for step in way:
            parent = parent[step]
        change = data.draw(st.sampled_from(["remove", "mistype", "text", "add"]))
        if change == "remove":
            del parent[key]
        elif change == "mistype":
            parent[key] = data.draw(anything)
        elif change == "text":
            parent[key] = str(parent[key])
        elif isinstance(parent, dict):
            parent[data.draw(st.text(max_size=12))] = data.draw(anything)
    read_it = read(message["topic"], payload)
    assert isinstance(read_it, ObjectEvent | FaceUpdate | Ignored)
    if isinstance(read_it, ObjectEvent):
        assert "/" not in read_it.object.id + read_it.object.camera


@settings(deadline=None)
@given(st.sampled_from(["events", "available", "tracked_object_update", "door/person/snapshot"]), st.binary())
def test_bytes_of_any_kind_never_raise(topic: str, payload: bytes) -> None:
    assert isinstance(read_message("frigate", f"frigate/{topic}", payload), Message)
