"""What messages with pictures hold."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from privface_backend.bridge.patterns import TopicPattern
from privface_backend.bridge.payloads import open_payload
from privface_backend.bridge.settings import pattern_problem
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n a picture"
TEXT = base64.b64encode(JPEG)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (JPEG, "raw"),
        (TEXT, "base64"),
        (TEXT.rstrip(b"="), "base64"),
        (base64.encodebytes(JPEG), "base64"),
        (base64.urlsafe_b64encode(JPEG), "base64"),
        (b"data:image/jpeg;base64," + TEXT, "base64"),
        (b'{"image": "' + TEXT + b'"}', "json"),
        (b' \n{"snapshot": "data:image/jpeg;base64,' + TEXT + b'"}', "json"),
    ],
)
def test_each_form_is_read_by_name_and_by_itself(payload: bytes, kind: str) -> None:
    assert open_payload(payload, kind=kind).data == JPEG
    assert open_payload(payload).data == JPEG


def test_a_png_is_a_picture_too() -> None:
    assert open_payload(PNG).data == PNG
    assert open_payload(base64.b64encode(PNG)).data == PNG


def test_a_field_inside_of_others_is_found_by_its_path() -> None:
    payload = json.dumps({"after": {"shots": [{"jpg": TEXT.decode()}], "at": "2026-11-28T13:00:00+01:00"}}).encode()
    opened = open_payload(payload, path="after.shots.0.jpg", time_path="after.at")
    assert (opened.data, opened.taken_at) == (JPEG, NOON)
    with pytest.raises(PrivFaceError):
        open_payload(payload, path="after.shots.1.jpg")
    with pytest.raises(PrivFaceError):
        open_payload(payload)


@pytest.mark.parametrize(
    ("value", "taken_at"),
    [
        (NOON.timestamp(), NOON),
        (NOON.timestamp() * 1000, NOON),
        ("2026-11-28T12:00:00Z", NOON),
        ("2026-11-28T12:00:00", None),
        ("yesterday", None),
        (True, None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
)
def test_times_are_read_where_they_are_clear(value: object, taken_at: datetime | None) -> None:
    payload = json.dumps({"image": TEXT.decode(), "timestamp": value}).encode()
    assert open_payload(payload).taken_at == taken_at


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"GIF89a",
        b"{",
        b"{}",
        b"[]",
        b'{"image": 3}',
        b'{"image": "!"}',
        b"hello",
        b"data:,",
        b"[" * 10**5,
        b"{" * 10**5,
    ],
)
@pytest.mark.parametrize("kind", ["auto", "raw", "base64", "json"])
def test_what_holds_no_picture_is_refused(payload: bytes, kind: str) -> None:
    with pytest.raises(PrivFaceError) as caught:
        open_payload(payload, kind=kind)
    assert caught.value.code is ErrorCode.PICTURE_FORMAT


@given(payload=st.binary(max_size=300), kind=st.sampled_from(["auto", "raw", "base64", "json"]))
def test_any_bytes_give_a_picture_or_that_error(payload: bytes, kind: str) -> None:
    data: bytes | None = None
    try:
        data = open_payload(payload, kind=kind).data
    except PrivFaceError as error:
        if error.code is not ErrorCode.PICTURE_FORMAT:
            raise
    assert data is None or data.startswith((b"\xff\xd8\xff", b"\x89PNG"))


@given(data=st.binary(max_size=200), wrapped=st.booleans(), safe=st.booleans(), padded=st.booleans())
def test_base64_comes_back_as_it_went(data: bytes, wrapped: bool, safe: bool, padded: bool) -> None:
    data = b"\xff\xd8\xff" + data
    text = base64.urlsafe_b64encode(data) if safe else base64.encodebytes(data) if wrapped else base64.b64encode(data)
    assert open_payload(text if padded else text.rstrip(b"=\n"), kind="base64").data == data


@pytest.mark.parametrize(
    ("pattern", "topic", "camera"),
    [
        ("cameras/{camera}/snapshot", "cameras/front door/snapshot", "front door"),
        ("{camera}", "garden", "garden"),
        ("a/b/{camera}", "a/b/c", "c"),
        ("cameras/{camera}/snapshot", "cameras/a/b/snapshot", None),
        ("cameras/{camera}/snapshot", "cameras//snapshot", None),
        ("cameras/{camera}/snapshot", "cameras/a/video", None),
    ],
)
def test_a_pattern_names_the_camera(pattern: str, topic: str, camera: str | None) -> None:
    assert pattern_problem(pattern) is None
    assert TopicPattern(pattern).camera(topic) == camera
    assert TopicPattern(pattern).topic_filter == pattern.replace("{camera}", "+")


@pytest.mark.parametrize(
    "pattern",
    ["", "cameras", "cameras/x{camera}/a", "{camera}/{camera}", "a/+/{camera}", "a/#/{camera}", "{camera}/{}"],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern)
