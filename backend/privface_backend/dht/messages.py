"""The messages of the distributed hash table. Pure.

What is posted under a topic's name and uuid replaces what was there, on every node; what is published is told once and
kept nowhere. On the websocket both come as ``{"Persistent": {"topic_name", "topic_uuid", "value", "deleted"}}`` and
``{"Volatile": {"value"}}``; nodes of other versions, and programs in between, leave wrappers out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import Event

LONGEST_REQUEST: Final = 64 * 1024
REQUEST_TOPIC: Final = "SIFIS:Privacy_Aware_Face_Recognition"
CAMERA_TOPIC: Final = "SIFIS:Privacy_Aware_Face_Recognition_CAM"
EVENT_TOPIC: Final = "SIFIS:Privacy_Aware_Face_Recognition_Events"
_FRAME_RESULT: Final = ("SIFIS:Privacy_Aware_Face_Recognition_Frame_Results", "Face_Recognition_Frame_Results")
_RESULT: Final = ("SIFIS:Privacy_Aware_Face_Recognition_Results", "Face_Recognition_Results")
_WRAPPERS: Final = ("Persistent", "Volatile", "RequestPostTopicUUID", "RequestPubMessage")
_MOST_WRAPPERS: Final = 6
_FILE: Final = "Video_file"
_CAMERA: Final = "cam_link"


@dataclass(frozen=True, slots=True, kw_only=True)
class DhtRequest:
    """Who is in a file, or before a camera. ``target``: the file's name or the camera's link, as it was given; texts
    that were not given are empty."""

    camera: bool
    target: str = field(repr=False)
    privacy_parameter: str
    requestor_id: str
    requestor_type: str
    request_id: str


def read_request(text: str | bytes) -> DhtRequest | None:
    """The request in a message; None: it holds none for us, as most messages of other programs."""
    if len(text) > LONGEST_REQUEST:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    message = _unwrap(document)
    if message is None or message.get("deleted") is True:
        return None
    topic, value = message.get("topic_name"), _read_value(message.get("value"))
    if topic not in (REQUEST_TOPIC, CAMERA_TOPIC) or value is None:
        return None
    kind = str(value.get("Type", "")).lower()
    camera = kind == _CAMERA if kind in {_CAMERA, _FILE.lower()} else topic == CAMERA_TOPIC
    return DhtRequest(
        camera=camera,
        target=_text(value, "cam_link" if camera else "file_name"),
        privacy_parameter=_text(value, "privacy_parameter"),
        requestor_id=_text(value, "requestor_id"),
        requestor_type=_text(value, "requestor_type"),
        request_id=_text(value, "request_id"),
    )


def _unwrap(document: Any) -> Mapping[str, Any] | None:
    """What has a topic's name, inside of however many wrappers."""
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(document, Mapping):
            return None
        if "topic_name" in document:
            return document
        inner = next((document[wrapper] for wrapper in _WRAPPERS if wrapper in document), document.get("value"))
        document = _read_value(inner)
    return None


def _read_value(value: Any) -> Mapping[str, Any] | None:
    """An object, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    # JavaScript knows one kind of number.
    return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What every answer to a request holds. ``shown``: the file's or camera's name, without secrets."""

    request: DhtRequest
    shown: str

    def frame_result(self, frame: int, labels: Sequence[str], unknown: int) -> str:
        """What was seen up to a frame since the message before: the labels of people, and how many strangers there
        were so far."""
        return _post(
            _FRAME_RESULT,
            {"description": "Face Recognition Frame Results"}
            | self._asked()
            | {"Frame": frame, "Labels": list(labels), "length": len(labels)}
            | self._asker(unknown),
        )

    def result(self, labels: Mapping[str, str], frames: int, unknown: int) -> str:
        """The end: everybody's label by the frame where they were first seen."""
        return _post(_RESULT, self._result(labels, frames) | self._asker(unknown))

    def refusal(self, error: PrivFaceError, labels: Mapping[str, str], frames: int, unknown: int) -> str:
        """The end where something was wrong, with what was seen until then."""
        return _post(_RESULT, self._result(labels, frames) | self._asker(unknown) | {"Error": error.to_dict()})

    def _result(self, labels: Mapping[str, str], frames: int) -> dict[str, object]:
        return (
            {"description": "Face Recognition Results"}
            | self._asked()
            | {"Labels": dict(labels), "count_frames": frames}
        )

    def _asked(self) -> dict[str, object]:
        given = self.request.privacy_parameter
        parameter = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
        kind = _CAMERA if self.request.camera else _FILE
        return {"Type": kind, "file_name": self.shown, "Privacy_Parameter": parameter}

    def _asker(self, unknown: int) -> dict[str, object]:
        request = self.request
        return {
            "requestor_id": request.requestor_id[:_LONGEST_WORD],
            "requestor_type": request.requestor_type[:_LONGEST_WORD],
            "request_id": request.request_id[:_LONGEST_WORD],
            "Unknown": unknown,
        }


_LONGEST_WORD: Final = 256


def event_message(event: Event) -> str:
    """An event, told once: it is kept nowhere, as it says nothing about the present for long."""
    value = {"topic_name": EVENT_TOPIC, "description": "Face Recognition Event", "value": event.to_dict()}
    return json.dumps({"RequestPubMessage": {"value": value}})


def _post(topic: tuple[str, str], value: Mapping[str, object]) -> str:
    name, uuid = topic
    return json.dumps({"RequestPostTopicUUID": {"topic_name": name, "topic_uuid": uuid, "value": value}})
