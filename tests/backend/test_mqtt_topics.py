"""Topics, slugs, payloads and commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.domain.privacy import MAX_KERNEL
from privface_backend.mqtt.slugs import SLUG_PATTERN, assign_slugs, make_slug
from privface_backend.mqtt.topics import (
    CommandError,
    SetEnabled,
    SetPrivacy,
    Topics,
    camera_state,
    encode_json,
    event_payload,
    person_state,
)
from privface_backend.protocol import Event, PresencePhase
from support.mqtt import make_event

KEY = "3f1f6a52-0f0e-4d0c-9f57-0e7a3a1a6a10"
TOPICS = Topics("privface")
names = st.text(min_size=0, max_size=80)
people = st.lists(st.tuples(st.uuids().map(str), names), max_size=12, unique_by=lambda pair: pair[0])
namesakes = st.lists(st.tuples(st.uuids().map(str), st.sampled_from(["Anna", "anna", "Ånna", "李", ""])), max_size=12)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Anna", "anna"),
        ("Anna Maria Example", "anna-maria-example"),
        ("José Ñuñez", "jose-nunez"),
        ("Jürgen Groß", "jurgen-gross"),
        ("Søren Łukasz", "soren-lukasz"),
        ("front_door-2", "front_door-2"),
        ("  a/b+c#d$e  ", "a-b-c-d-e"),
        ("$SYS", "sys"),
        ("O'Neil", "o-neil"),
    ],
)
def test_a_name_that_ascii_can_write_is_its_slug(name: str, slug: str) -> None:
    assert make_slug(name, KEY) == slug


def test_a_name_that_ascii_cannot_write_carries_a_mark_of_its_key() -> None:
    other = "00000000-0f0e-4d0c-9f57-0e7a3a1a6a10"
    for name in ("李小龍", "Иван", "مريم", "🙂", ""):
        assert make_slug(name, KEY).startswith("id-")
        assert make_slug(name, KEY) == make_slug(name, KEY) != make_slug(name, other)
    assert make_slug("Иван Smith", KEY).startswith("smith-")
    assert make_slug("Пётр Smith", other) != make_slug("Иван Smith", KEY)


@given(names, st.uuids())
def test_every_slug_is_safe_in_a_topic(name: str, key: UUID) -> None:
    slug = make_slug(name, str(key))
    assert SLUG_PATTERN.fullmatch(slug)
    assert slug.isascii()
    assert slug == slug.lower()


@given(people)
def test_assigned_slugs_are_safe_and_never_alike(pairs: list[tuple[str, str]]) -> None:
    slugs = assign_slugs(pairs)
    assert set(slugs) == {key for key, _ in pairs}
    assert len(set(slugs.values())) == len(slugs)
    assert all(SLUG_PATTERN.fullmatch(slug) for slug in slugs.values())
    assert slugs == assign_slugs(pairs)


@given(namesakes.map(lambda pairs: list(dict(pairs).items())))
def test_namesakes_keep_their_slugs_when_others_come(pairs: list[tuple[str, str]]) -> None:
    whole = assign_slugs(pairs)
    for count in range(len(pairs)):
        assert assign_slugs(pairs[:count]).items() <= whole.items()


def test_the_first_of_two_namesakes_keeps_the_plain_slug() -> None:
    second = "77777777-0f0e-4d0c-9f57-0e7a3a1a6a10"
    slugs = assign_slugs([(KEY, "Anna"), (second, "anna")])
    assert slugs[KEY] == "anna"
    assert slugs[second].startswith("anna-")


def test_a_person_named_like_a_marked_slug_does_not_collide() -> None:
    second, third = "77777777-0f0e-4d0c-9f57-0e7a3a1a6a10", "88888888-0f0e-4d0c-9f57-0e7a3a1a6a10"
    marked = assign_slugs([(KEY, "Anna"), (second, "Anna")])[second]
    slugs = assign_slugs([(KEY, "Anna"), (third, marked), (second, "Anna")])
    assert len(set(slugs.values())) == 3
    assert slugs[third] == marked


def test_topics_are_those_of_the_wire() -> None:
    assert TOPICS.status == "privface/status"
    assert TOPICS.event == "privface/event"
    assert TOPICS.person_state("anna") == "privface/person/anna/state"
    assert TOPICS.camera_state("door") == "privface/camera/door/state"
    assert TOPICS.camera_look("door") == "privface/camera/door/look"
    assert TOPICS.camera_event("door") == "privface/camera/door/event"
    assert TOPICS.person_event("anna") == "privface/person/anna/event"
    assert TOPICS.commands == ("privface/camera/+/enabled/set", "privface/camera/+/privacy/set")
    assert Topics("home/pf").event == "home/pf/event"


def test_commands_are_read() -> None:
    assert TOPICS.command("privface/camera/door/enabled/set", b"ON") == SetEnabled(camera_slug="door", enabled=True)
    assert TOPICS.command("privface/camera/door/enabled/set", b"OFF") == SetEnabled(camera_slug="door", enabled=False)
    assert TOPICS.command("privface/camera/door/privacy/set", b"17") == SetPrivacy(camera_slug="door", parameter=17)


@pytest.mark.parametrize(
    "topic",
    [
        "privface/camera/door/enabled/state",
        "privface/camera/a/b/enabled/set",
        "privface/camera//enabled/set",
        "privface/camera/Door X/enabled/set",
        "other/camera/door/enabled/set",
        "privface/person/anna/state",
    ],
)
def test_other_topics_are_no_commands(topic: str) -> None:
    assert TOPICS.command(topic, b"ON") is None


@pytest.mark.parametrize("payload", [b"on", b"1", b"true", b"", b"ON ", b"\xff\xfe", b"ONE"])
def test_a_bad_switch_is_refused_with_what_is_allowed(payload: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        TOPICS.command("privface/camera/door/enabled/set", payload)
    assert caught.value.allowed == "ON or OFF"


BAD_KERNELS = [b"16", b"0", b"-1", b"17.0", b"", b"1_7", b"+17", b"\xef\xbc\x91", b"seventeen", b"257", b"9" * 5000]


@pytest.mark.parametrize("payload", BAD_KERNELS)
def test_a_bad_kernel_size_is_refused_with_what_is_allowed(payload: bytes) -> None:
    with pytest.raises(CommandError, match=f"odd whole number, 1 to {MAX_KERNEL}"):
        TOPICS.command("privface/camera/door/privacy/set", payload)


@given(st.binary(max_size=200))
def test_what_a_bad_command_said_is_echoed_short_and_safe(payload: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        TOPICS.command("privface/camera/door/privacy/set", payload + b"!")
    assert len(caught.value.echo) <= 19
    assert caught.value.echo.isascii()
    assert caught.value.echo.isprintable()


def test_an_event_is_published_as_the_wire_has_it() -> None:
    event = make_event(3)
    data = json.loads(event_payload(event))
    assert data == event.to_dict()
    assert Event.from_dict(data).seq == 3


def test_states_have_the_keys_of_the_wire() -> None:
    moment = datetime(2026, 11, 23, 8, 15, 30, 125000, tzinfo=UTC)
    since = moment - timedelta(seconds=5)
    state = person_state(
        name="Zoë", camera="door", last_seen=moment, score=0.61239, phase=PresencePhase.SEEN, since=since
    )
    assert state == {
        "person": "Zoë",
        "camera": "door",
        "last_seen": "2026-11-23T08:15:30.125Z",
        "score": 0.6124,
        "present": True,
        "state": "seen",
        "since": "2026-11-23T08:15:25.125Z",
    }
    nowhere = person_state(name="Zoë", camera=None, last_seen=None, score=None, phase=PresencePhase.LEFT, since=None)
    assert (nowhere["last_seen"], nowhere["since"]) == (None, None)
    assert (nowhere["present"], nowhere["state"]) == (False, "left")
    unseen = camera_state(camera="Tür", persons=[], unknown=0, last_event_id=None, ts=None)
    assert unseen == {"camera": "Tür", "persons": [], "unknown": 0, "last_event_id": None, "ts": None}
    assert camera_state(camera="Tür", persons=["Zoë"], unknown=2, last_event_id="event-1", ts=moment) == {
        "camera": "Tür",
        "persons": ["Zoë"],
        "unknown": 2,
        "last_event_id": "event-1",
        "ts": "2026-11-23T08:15:30.125Z",
    }


@given(names)
def test_any_name_can_be_written_as_json(name: str) -> None:
    assert isinstance(json.loads(encode_json({"person": name}))["person"], str)
