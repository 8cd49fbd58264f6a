"""Decisions as Double Take tells them: the shapes of its documentation, and what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.geometry import Size
from privface_backend.mqtt.double_take import (
    DoubleTakeTopics,
    camera_payload,
    match_payload,
    topic_names,
    unknown_payload,
)
from privface_backend.mqtt.double_take_mirror import DoubleTakeMirror
from privface_backend.mqtt.outbox import Message
from privface_backend.mqtt.projection import ShownCamera, ShownPerson
from privface_backend.protocol import Event, FrameSource, Outcome, Phase
from support.mqtt import make_event

FRAME = Size(640, 360)
ROME = timezone(timedelta(hours=2))
PERSON = ShownPerson(id="1", name="Anna Example", slug="anna-example")
CAMERA = ShownCamera(name="Back Door", slug="back-door")
BASE = {"id": str, "duration": float, "timestamp": str, "attempts": int, "camera": str, "zones": list}
FACE = {
    "name": str,
    "confidence": float,
    "match": bool,
    "box": dict,
    "type": str,
    "duration": float,
    "detector": str,
    "filename": type(None),
    "base64": type(None),
}


def made(**changes: Any) -> Event:
    event = replace(
        make_event(1, now=datetime(2021, 6, 17, 5, 1, 36, 30_000, tzinfo=UTC)),
        box=(0.25, 0.5, 0.125, 0.2),
        evidence=2.0,
        votes={"known": 3, "unknown": 1},
        latency_ms={"total": 1264.0},
        source=FrameSource.FRIGATE,
        person_id=PERSON.id,
        person=PERSON.name,
    )
    return replace(event, **changes)


def stranger(**changes: Any) -> Event:
    return made(**({"outcome": Outcome.UNKNOWN, "person": None, "person_id": None, "evidence": -1.0} | changes))


def has_shape(document: Any, shape: dict[str, type]) -> bool:
    return {key: type(value) for key, value in document.items()} == shape


def test_a_match_has_the_shape_of_its_documentation() -> None:
    document = match_payload(made(), "back-door", FRAME, ROME)
    match = document.pop("match")
    assert has_shape(document, BASE)
    assert has_shape(match, FACE)
    assert document == {
        "id": "event-1",
        "duration": 1.26,
        "timestamp": "2021-06-17T07:01:36.030+02:00",
        "attempts": 4,
        "camera": "back-door",
        "zones": [],
    }
    assert (match["name"], match["match"], match["confidence"]) == ("Anna Example", True, 90.05)
    assert match["box"] == {"top": 180, "left": 160, "width": 80, "height": 72}
    assert (match["type"], match["detector"]) == ("frigate", "privface")


def test_a_stranger_has_the_shape_of_its_documentation() -> None:
    document = unknown_payload(stranger(), "back-door", FRAME, ROME)
    unknown, unknowns = document.pop("unknown"), document.pop("unknowns")
    assert has_shape(document, BASE)
    assert has_shape(unknown, FACE)
    assert unknowns == [unknown]
    assert (unknown["name"], unknown["match"]) == ("unknown", False)


@pytest.mark.parametrize("event", [made(), stranger()])
def test_a_camera_s_message_has_the_shape_of_its_documentation(event: Event) -> None:
    document = camera_payload(event, "back-door", FRAME, ROME)
    known = event.person is not None
    assert has_shape(
        {key: document.pop(key) for key in ("matches", "misses", "unknowns", "personCount", "counts")},
        {"matches": list, "misses": list, "unknowns": list, "personCount": int, "counts": dict},
    )
    assert has_shape(document, BASE)
    document = camera_payload(event, "back-door", FRAME, ROME)
    assert [face["name"] for face in document["matches"]] == (["Anna Example"] if known else [])
    assert [face["name"] for face in document["unknowns"]] == ([] if known else ["unknown"])
    assert document["counts"] == {"person": 1, "match": int(known), "miss": 0, "unknown": int(not known)}


def test_without_a_frame_s_size_a_box_stays_null() -> None:
    assert match_payload(made(), "door", None)["match"]["box"] is None
    assert match_payload(made(box=None), "door", FRAME)["match"]["box"] is None


def confidence(event: Event) -> float:
    document = camera_payload(event, "door", FRAME)
    ((face,),) = [faces for faces in (document["matches"], document["unknowns"]) if faces]
    return float(face["confidence"])


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_confidence_rises_with_the_evidence_and_a_name_stands_above_all_others(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 80 <= confidence(made(evidence=low)) <= confidence(made(evidence=high)) <= 100
    assert 0 <= confidence(stranger(evidence=low)) <= confidence(stranger(evidence=high)) <= 35
    assert confidence(stranger(evidence=None)) == 0


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("david", "david"),
        ("David Smith", "David-Smith"),
        ("José Ñuñez", "Jose-Nunez"),
        ("O'Neil", "ONeil"),
        ("a/b+c#", "abc"),
        ("李小龍", "the-slug"),
        ("Søren", "the-slug"),
        ("unknown", "the-slug"),
        ("Unknown", "the-slug"),
        ("🙂", "the-slug"),
    ],
)
def test_a_name_is_safe_in_a_topic(name: str, written: str) -> None:
    assert topic_names([("1", name, "the_slug")]) == {"1": written}


def test_two_people_never_share_a_topic() -> None:
    names = topic_names([("1", "Anna", "anna"), ("2", "anna", "anna-1f2e")])
    assert names == {"1": "Anna", "2": "anna-1f2e"}


class Broker:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.retained: dict[str, bytes] = {}

    def publish(self, messages: Any, expires_at: datetime, *, person_id: str | None = None) -> None:
        del person_id
        assert expires_at.tzinfo is not None
        assert all(isinstance(message, Message) and json.loads(message.payload) for message in messages)
        self.topics += [message.topic for message in messages]

    def retain(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload


def mirror(broker: Broker, now: Callable[[], float] = lambda: 0.0) -> DoubleTakeMirror:
    mirror = DoubleTakeMirror(broker, DoubleTakeTopics("double-take"), now=now)
    mirror.follow_people([PERSON])
    mirror.follow_camera(CAMERA)
    return mirror


@pytest.mark.parametrize(
    ("event", "topics"),
    [
        (made(), ["double-take/matches/Anna-Example", "double-take/cameras/back-door"]),
        (stranger(), ["double-take/matches/unknown", "double-take/cameras/back-door"]),
        (made(phase=Phase.PROVISIONAL), []),
        (stranger(phase=Phase.PROVISIONAL), []),
        (stranger(outcome=Outcome.UNUSABLE), []),
    ],
)
def test_a_confirmed_decision_is_told_and_no_other(event: Event, topics: list[str]) -> None:
    broker = Broker()
    person = PERSON if event.person_id else None
    assert mirror(broker).tell(event, CAMERA, person, FRAME) == ()
    assert broker.topics == topics
    assert broker.retained == {"double-take/cameras/back-door/person": b"1" if topics else b"0"}


def test_somebody_who_was_forgotten_meanwhile_is_not_told_of() -> None:
    broker = Broker()
    mirror(broker).tell(made(), CAMERA, None, FRAME)
    assert broker.topics == []


def test_visits_are_counted_once() -> None:
    broker = Broker()
    told = mirror(broker)
    for visit, count in (("a", b"1"), ("b", b"2"), ("a", b"2")):
        told.tell(made(visit_id=visit), CAMERA, PERSON, FRAME)
        assert broker.retained == {"double-take/cameras/back-door/person": count}


def test_the_topic_of_a_camera_that_is_called_otherwise_now_is_cleared() -> None:
    broker = Broker()
    told = mirror(broker)
    told.follow_camera(ShownCamera(name="Back_Door", slug="back-door-1a2b"))
    told.tell(made(), ShownCamera(name="Back_Door", slug="back-door-1a2b"), PERSON, FRAME)
    told.forget_camera(CAMERA)
    told.follow_camera(ShownCamera(name="Back_Door", slug="back-door"))
    assert broker.retained == {
        "double-take/cameras/back-door/person": b"0",
        "double-take/cameras/back-door-1a2b/person": b"",
    }
    # What is another's by now stays.
    told.follow_camera(ShownCamera(name="Garage", slug="garage"))
    told.follow_camera(ShownCamera(name="Shed", slug="garage"))
    told.follow_camera(ShownCamera(name="Garage", slug="garage-1"))
    assert broker.retained["double-take/cameras/garage/person"] == b"0"
