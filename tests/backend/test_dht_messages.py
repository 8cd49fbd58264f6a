"""The messages of the distributed hash table, and what waits for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privface_backend.dht.messages import LONGEST_REQUEST, Answering, DhtRequest, event_message, read_request
from privface_backend.dht.outbox import Outbox, Outgoing
from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode
from support.mqtt import make_event

# The ancestor's own sample values.
VALUE = {
    "description": "Face Recognition",
    "requestor_id": "33466553786f48cb72faad7b2fb9d0952c97",
    "requestor_type": "NSSD",
    "request_id": "2023061906001633466553786f48cb72faad7b2fb9d0952c97",
    "Type": "Video_file",
    "file_name": "sample.mp4",
    "database_path": "/app/database",
    "privacy_parameter": 17,
}
TOPIC = "SIFIS:Privacy_Aware_Face_Recognition"
CAMERA = {**{key: value for key, value in VALUE.items() if key != "file_name"}, "Type": "cam_link", "cam_link": "0"}
POSTED = {"topic_name": TOPIC, "topic_uuid": "Face_Recognition", "value": VALUE}
REQUEST = DhtRequest(
    camera=False,
    target="sample.mp4",
    privacy_parameter="17",
    requestor_id=str(VALUE["requestor_id"]),
    requestor_type="NSSD",
    request_id=str(VALUE["request_id"]),
)


@pytest.mark.parametrize(
    "message",
    [
        {"Persistent": {**POSTED, "deleted": False}},
        {"Persistent": POSTED},
        {"RequestPostTopicUUID": POSTED},
        {"Volatile": {"value": POSTED}},
        {"Volatile": {"value": {"RequestPubMessage": {"value": POSTED}}}},
        {"Volatile": {"value": json.dumps(POSTED)}},
        {"Persistent": {**POSTED, "value": json.dumps(VALUE)}},
        {"Persistent": {**POSTED, "value": {**VALUE, "privacy_parameter": "17", "more": [1]}}},
        {"Persistent": {**POSTED, "value": {**VALUE, "privacy_parameter": 17.0, "Type": "video_file"}}},
        POSTED,
    ],
)
def test_a_request_in_every_wrapping(message: Any) -> None:
    assert read_request(json.dumps(message)) == REQUEST
    assert read_request(json.dumps(message).encode()) == REQUEST


@pytest.mark.parametrize("topic", [TOPIC, f"{TOPIC}_CAM"])
def test_a_camera_request(topic: str) -> None:
    request = read_request(json.dumps({"Persistent": {"topic_name": topic, "topic_uuid": "x", "value": CAMERA}}))
    assert request is not None
    assert (request.camera, request.target) == (True, "0")
    assert "cam" not in repr(request.target)
    without_type = {key: value for key, value in CAMERA.items() if key != "Type"}
    request = read_request(json.dumps({"topic_name": topic, "value": without_type}))
    assert request is not None
    assert request.camera is (topic != TOPIC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "17",
        '"x"',
        "[" * 50_000,
        "{}",
        '{"Persistent": null}',
        '{"Persistent": []}',
        '{"Volatile": {"value": {"value": {"value": {"value": {"value": {"value": 1}}}}}}}',
        b"\xff\xfe\x00",
        json.dumps({"Persistent": {**POSTED, "deleted": True}}),
        json.dumps({"Persistent": {**POSTED, "topic_name": f"{TOPIC}_Results"}}),
        json.dumps({"topic_name": 7}),
        json.dumps({"Persistent": {**POSTED, "topic_name": ["x"]}}),
        json.dumps({"Persistent": {**POSTED, "value": "no object"}}),
        json.dumps({"Persistent": {**POSTED, "value": [VALUE]}}),
        json.dumps({"Persistent": {**POSTED, "padding": "x" * LONGEST_REQUEST}}),
    ],
)
def test_what_is_no_request(text: str | bytes) -> None:
    assert read_request(text) is None


def test_a_request_without_anything_in_it_is_one_still() -> None:
    request = read_request(json.dumps({"topic_name": TOPIC, "value": {"privacy_parameter": True, "request_id": {}}}))
    assert request == DhtRequest(
        camera=False, target="", privacy_parameter="", requestor_id="", requestor_type="", request_id=""
    )


def asker() -> dict[str, object]:
    return {key: VALUE[key] for key in ("requestor_id", "requestor_type", "request_id")}


def test_the_results_have_the_ancestors_shape() -> None:
    answering = Answering(request=REQUEST, shown="sample.mp4")
    labels = {"2": "/app/database/Paul.jpg"}
    assert json.loads(answering.frame_result(60, ["/app/database/Paul.jpg"], 1)) == {
        "RequestPostTopicUUID": {
            "topic_name": "SIFIS:Privacy_Aware_Face_Recognition_Frame_Results",
            "topic_uuid": "Face_Recognition_Frame_Results",
            "value": {
                "description": "Face Recognition Frame Results",
                "Type": "Video_file",
                "file_name": "sample.mp4",
                "Privacy_Parameter": 17,
                "Frame": 60,
                "Labels": ["/app/database/Paul.jpg"],
                "length": 1,
                **asker(),
                "Unknown": 1,
            },
        }
    }
    assert json.loads(answering.result(labels, 120, 1)) == {
        "RequestPostTopicUUID": {
            "topic_name": "SIFIS:Privacy_Aware_Face_Recognition_Results",
            "topic_uuid": "Face_Recognition_Results",
            "value": {
                "description": "Face Recognition Results",
                "Type": "Video_file",
                "file_name": "sample.mp4",
                "Privacy_Parameter": 17,
                "Labels": labels,
                "count_frames": 120,
                **asker(),
                "Unknown": 1,
            },
        }
    }


def test_a_refusal_says_why() -> None:
    error = PrivFaceError(ErrorCode.PATH_NOT_ALLOWED, "No.", allowed="something else")
    value = json.loads(Answering(request=REQUEST, shown="").refusal(error, {}, 0, 0))["RequestPostTopicUUID"]["value"]
    assert value["Error"] == {"code": "path_not_allowed", "message": "No.", "allowed": "something else"}
    assert (value["Labels"], value["count_frames"]) == ({}, 0)


def test_an_event_is_told_and_not_kept() -> None:
    event = make_event(1)
    message = json.loads(event_message(event))
    assert message.keys() == {"RequestPubMessage"}
    value = message["RequestPubMessage"]["value"]
    assert value["topic_name"] == "SIFIS:Privacy_Aware_Face_Recognition_Events"
    assert value["value"] == event.to_dict()
    # What a node makes of it for its listeners is no request.
    assert read_request(json.dumps({"Volatile": message["RequestPubMessage"]})) is None


NOW = datetime.now(UTC)


def test_the_outbox_keeps_order_until_it_is_done() -> None:
    outbox = Outbox(3)
    first, second = Outgoing("1"), Outgoing("2")
    for message in (first, second):
        outbox.push(message)
    assert outbox.first(NOW) is outbox.first(NOW) is first
    outbox.done(first)
    outbox.done(first)
    assert outbox.first(NOW) is second
    assert (len(outbox), outbox.dropped) == (1, 0)
    assert "1" not in repr(first)


def test_events_give_way_to_results() -> None:
    outbox = Outbox(3)
    event = Outgoing("event", NOW + timedelta(seconds=30))
    results = [Outgoing(str(number)) for number in range(4)]
    for message in (results[0], event, results[1], results[2]):
        outbox.push(message)
    assert (outbox.dropped, outbox.first(NOW)) == (1, results[0])
    outbox.push(results[3])
    assert (outbox.dropped, outbox.first(NOW)) == (2, results[1])


def test_what_has_expired_is_not_sent() -> None:
    outbox = Outbox(3)
    outbox.push(Outgoing("late", NOW))
    assert (outbox.first(NOW), outbox.dropped) == (None, 1)
